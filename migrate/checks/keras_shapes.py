"""What the config of a Keras model says its layers hold: shapes of weights by attribute, in Keras' order.

Keras itself says so when it makes the layers; audit starts no Keras. Of a class that is not listed here nothing is
known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.records import Shape

# fmt: off
_WEIGHTLESS = frozenset(
    [
        "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
        "AveragePooling2D", "AveragePooling3D", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D", "Dot",
        "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
        "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
        "GlobalMaxPooling3D", "InputLayer", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
        "Maximum", "Minimum", "Multiply", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
        "SlicingOpLambda", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Subtract",
        "TFOpLambda", "ThresholdedReLU", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D",
        "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
    ]
)
_KEEPS_CHANNELS = frozenset(
    [
        "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "BatchNormalizationV1", "Dropout",
        "ELU", "GaussianDropout", "GaussianNoise", "LayerNormalization", "LeakyReLU", "Masking", "ReLU",
        "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ThresholdedReLU",
    ]
)
# fmt: on
_GATES = {"LSTM": 4, "CuDNNLSTM": 4, "GRU": 3, "CuDNNGRU": 3, "SimpleRNN": 1}
_CONVOLUTIONS = {"Conv1D": 1, "Conv2D": 2, "Conv3D": 3}
# Their weights have names and shapes that are not listed here.
# fmt: off
_WEIGHTED = frozenset(
    [
        "Bidirectional", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D",
        "ConvLSTM3D", "DepthwiseConv1D", "DepthwiseConv2D", "EinsumDense", "LocallyConnected1D", "LocallyConnected2D",
        "MultiHeadAttention", "PReLU", "SeparableConv1D", "SeparableConv2D",
    ]
)
# fmt: on
_MODELS = ("Functional", "Model", "Sequential")


@frozen
class LayerWeights:
    """What a config says of one layer, or of a model that is a layer.

    Attributes:
      name: of the layer.
      class_name: its class.
      weights: shapes by attribute, in Keras' order, None for what is not known; None for a class that is not known.
      has_weights: whether it has any; None where that is not known.
      inner: the layers of a model; None for a layer.
    """

    name: str
    class_name: str
    weights: Mapping[str, Shape] | None
    has_weights: bool | None
    inner: tuple[LayerWeights, ...] | None = None


def expected_layers(config: Mapping[str, Any], given_classes: Collection[str]) -> tuple[LayerWeights, ...] | None:
    """The layers of a Sequential or functional model; None for another config.

    Args:
      config: `{"class_name": ..., "config": ...}`.
      given_classes: classes of the user's, of whose weights nothing is known.
    """
    inner = config.get("config")
    entries = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        return None
    sequential = config.get("class_name") == "Sequential"
    channels: dict[str, int | None] = {}
    previous: int | None = None
    found = []
    for entry in entries:
        settings = entry["config"] if isinstance(entry["config"], Mapping) else {}
        name = str(settings.get("name") or entry.get("name") or "")
        given = previous if sequential else _given(entry, channels)
        shape = settings.get("batch_input_shape", settings.get("batch_shape"))
        if isinstance(shape, list) and shape:
            given = _number(shape[-1])
        class_name = entry["class_name"]
        is_known = class_name.rpartition(">")[2] not in given_classes
        layers = expected_layers(entry, given_classes) if class_name in _MODELS and is_known else None
        weights = _weights(class_name, settings, given) if is_known and layers is None else None
        has_weights = bool(weights) if weights is not None else _any(layers) if layers is not None else None
        if class_name in _WEIGHTED and is_known:
            has_weights = True
        found.append(LayerWeights(name, class_name, weights, has_weights, layers))
        previous = channels[name] = _channels(class_name, settings, given) if is_known else None
    return tuple(found)


def _any(layers: Collection[LayerWeights]) -> bool | None:
    known = [layer.has_weights for layer in layers]
    return True if True in known else None if None in known else False


def _is_entry(entry: Any) -> bool:
    """Whether it is a layer as a config has it; Keras 2.1 and before gave a Sequential's layers as a list."""
    return (
        isinstance(entry, Mapping)
        and isinstance(entry.get("class_name"), str)
        and (
            isinstance(entry.get("config"), Mapping)
            or (entry["class_name"] == "Sequential" and isinstance(entry.get("config"), list))
        )
    )


def _given(entry: Mapping[str, Any], channels: Mapping[str, int | None]) -> int | None:
    """Last dimension of what goes into a layer of a functional model of Keras 2, where it is one tensor."""
    nodes = entry.get("inbound_nodes")
    if not isinstance(nodes, list) or not nodes or not isinstance(nodes[0], list) or len(nodes[0]) != 1:
        return None
    source = nodes[0][0]
    return channels.get(source[0]) if isinstance(source, list) and source and isinstance(source[0], str) else None


def _channels(class_name: str, settings: Mapping[str, Any], given: int | None) -> int | None:
    """Last dimension of what comes out of a layer."""
    if class_name in _KEEPS_CHANNELS or class_name == "InputLayer":
        return given
    if settings.get("data_format") in (None, "channels_last"):
        if class_name in _CONVOLUTIONS:
            return _number(settings.get("filters"))
        if "Pooling" in class_name:
            return given
    if class_name == "Dense" or class_name in _GATES:
        return _number(settings.get("units"))
    return _number(settings.get("output_dim")) if class_name == "Embedding" else None


def _weights(class_name: str, settings: Mapping[str, Any], given: int | None) -> Mapping[str, Shape] | None:
    """Shapes of a layer's weights by attribute, in Keras' order; None for a class that is not known."""
    if class_name in _WEIGHTLESS:
        return {}
    units = _number(settings.get("units"))
    bias = settings.get("use_bias") is not False
    if class_name == "Dense":
        return {"kernel": (given, units), **({"bias": (units,)} if bias else {})}
    if class_name in _CONVOLUTIONS:
        filters = _number(settings.get("filters"))
        known = settings.get("data_format") in (None, "channels_last") and settings.get("groups", 1) == 1
        size = _size(settings.get("kernel_size"), _CONVOLUTIONS[class_name])
        kernel = None if size is None else (*size, given if known else None, filters)
        return {"kernel": kernel, **({"bias": (filters,)} if bias else {})}
    if class_name == "Embedding":
        return {"embeddings": (_number(settings.get("input_dim")), _number(settings.get("output_dim")))}
    if class_name in ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2"):
        names = [name for name, key in (("gamma", "scale"), ("beta", "center")) if settings.get(key) is not False]
        return dict.fromkeys([*names, "moving_mean", "moving_variance"], None)
    if class_name in _GATES:
        wide = None if units is None else units * _GATES[class_name]
        # The bias of a GRU has one row or two, and CuDNN's another length.
        return {"kernel": (given, wide), "recurrent_kernel": (units, wide), **({"bias": None} if bias else {})}
    return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: Any, rank: int) -> tuple[int | None, ...] | None:
    if isinstance(value, list) and len(value) == rank:
        return tuple(map(_number, value))
    return (_number(value),) * rank if isinstance(value, int) else None
