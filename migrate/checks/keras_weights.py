"""Whether stored weights are those of an architecture, as far as a config says what its layers hold.

Keras itself says so when it loads the model; audit starts no Keras. A layer of a class that is not listed here is
believed, and so is all that only its place among such layers would tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import first_few
from migrate.frozen import frozen
from migrate.records import Finding, Shape, refusal
from migrate.sources.keras import KerasSource, StoredTensor, Weights

_OBJECT = re.compile(r"layer_with_weights-(\d+)/(?:cell/)?(\w+)/\.ATTRIBUTES/VARIABLE_VALUE")
_VARIABLE = re.compile(r"(?:layers|_layer_checkpoint_dependencies)/(\w+)/(?:cell/)?vars/(\d+)")
_TOLD, _LISTED = 3, 5
# fmt: off
_WEIGHTLESS = frozenset(
    [
        "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
        "AveragePooling2D", "AveragePooling3D", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D", "Dot",
        "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
        "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
        "GlobalMaxPooling3D", "InputLayer", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
        "Maximum", "Minimum", "Multiply", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Softmax",
        "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Subtract", "ThresholdedReLU", "UpSampling1D",
        "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
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


@frozen
class _Layer:
    """What a config says of one layer.

    Attributes:
      name: of the layer.
      class_name: its class.
      weights: shapes by attribute, in Keras' order, None for what is not known; None for a class that is not known.
    """

    name: str
    class_name: str
    weights: Mapping[str, Shape] | None


def find_misfits(source: KerasSource, custom_objects: Collection[str]) -> Iterator[Finding]:
    """Refuses weights that Keras would not take for the architecture, and names the first that do not fit.

    Args:
      source: as it lies on the disk.
      custom_objects: the user's `module:Name` entries; what the weights of such a class are is not known.
    """
    expected = _expected(source.config, frozenset(entry.partition(":")[2] for entry in custom_objects))
    # A whole model in one file is of one piece.
    if expected is None or not source.weights or source.files.architecture == source.files.weights:
        return
    misfits: list[tuple[str, str]] = []
    if source.form is Weights.OBJECTS and source.root is not None:
        misfits = list(_by_number(source, expected))
    elif source.form is Weights.HDF5_V3:
        misfits = list(_by_class(source.weights, expected))
    elif source.form is Weights.NAMES:
        stored = _stored(source.weights, [layer.name for layer in expected])
        misfits = list(_by_name(stored, expected, complete=True))
    elif source.form is Weights.HDF5:
        stored = _stored(source.weights, source.groups or [layer.name for layer in expected])
        if source.groups and all(layer.weights is not None for layer in expected):
            wanted = [layer.name for layer in expected if layer.weights]
            if len(wanted) != len(stored):
                yield _refused(
                    source,
                    (),
                    f"of {len(stored)} layers with weights ({first_few(sorted(stored), _LISTED)}), and the "
                    f"architecture has {len(wanted)} ({first_few(wanted, _LISTED)})",
                )
                return
        if not stored.keys() <= {layer.name for layer in expected}:
            return  # With other names Keras goes by the order, which says nothing without Keras.
        misfits = list(_by_name(stored, expected, complete=False))
    if misfits:
        names, told = zip(*misfits[:_TOLD], strict=True)
        more = f" and {len(misfits) - _TOLD} more" if len(misfits) > _TOLD else ""
        yield _refused(source, names, f"of another architecture: {'; '.join(told)}{more}")


def _refused(source: KerasSource, names: tuple[str, ...], message: str) -> Finding:
    return refusal(
        "keras-weights-differ",
        f"{source.files.weights}: holds the weights {message}",
        names,
        "bring the architecture that these weights were trained with, or name it with --architecture=FILE",
    )


def _by_number(source: KerasSource, expected: Sequence[_Layer]) -> Iterator[tuple[str, str]]:
    below = f"{source.root}/" if source.root else ""
    stored: dict[int, dict[str, StoredTensor]] = {}
    for tensor in source.weights:
        match = _OBJECT.fullmatch(tensor.name.removeprefix(below))
        if match:
            stored.setdefault(int(match[1]), {})[match[2]] = tensor
    number = 0
    for layer in expected:
        if layer.weights is None:
            return  # It may have weights or none: what comes after it may have any number.
        if layer.weights:
            yield from _compared(f"{below}layer_with_weights-{number}", layer, stored.get(number, {}), complete=True)
            number += 1


def _by_class(tensors: Sequence[StoredTensor], expected: Sequence[_Layer]) -> Iterator[tuple[str, str]]:
    """Keras 3 stores the layers of each class under its name and a number (saving_lib.py, _save_container_state)."""
    stored: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        match = _VARIABLE.fullmatch(tensor.name)
        if match:
            stored.setdefault(match[1], {})[match[2]] = tensor
    seen: dict[str, int] = {}
    for layer in expected:
        name = _snake_case(layer.class_name)
        number = seen[name] = seen.get(name, -1) + 1
        if layer.weights:
            key = f"{name}_{number}" if number else name
            numbered = {str(place): shape for place, shape in enumerate(layer.weights.values())}
            yield from _compared(key, _Layer(layer.name, name, numbered), stored.get(key, {}), complete=True)


def _snake_case(class_name: str) -> str:
    """As Keras does it (keras/src/utils/naming.py)."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _by_name(
    stored: Mapping[str, Mapping[str, StoredTensor]], expected: Sequence[_Layer], complete: bool
) -> Iterator[tuple[str, str]]:
    for layer in expected:
        if layer.weights:
            yield from _compared(layer.name, layer, stored.get(layer.name, {}), complete)


def _compared(
    where: str, layer: _Layer, stored: Mapping[str, StoredTensor], complete: bool
) -> Iterator[tuple[str, str]]:
    """The weights of one layer that are stored with another shape or not at all, each with what is said of it."""
    assert layer.weights is not None
    for attribute, shape in layer.weights.items():
        tensor = stored.get(attribute)
        if tensor is None:
            if complete or layer.weights.keys() & stored.keys():  # Else of names that are not known here.
                yield layer.name, f"it has no {where}/{attribute}, which the layer {layer.name!r} needs"
        elif not _fits(tensor.shape, shape):
            wanted = ", ".join("?" if d is None else str(d) for d in shape or ())
            yield layer.name, f"{tensor.name} has the shape {list(tensor.shape)}, the layer {layer.name!r} [{wanted}]"


def _fits(stored: tuple[int, ...], wanted: Shape) -> bool:
    if wanted is None:
        return True
    return len(stored) == len(wanted) and all(w in (None, s) for s, w in zip(stored, wanted, strict=True))


def _stored(tensors: Sequence[StoredTensor], layers: Collection[str]) -> dict[str, dict[str, StoredTensor]]:
    """Stored weights of some layers by layer and by attribute: `hidden/hidden/kernel:0`, `conv1/bn/gamma`.

    Layers may be called `conv1` and `conv1/bn`. A weight is that of the longest name that its own begins with.
    """
    names = frozenset(layers)
    lengths = sorted({len(name) for name in names}, reverse=True)
    found: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        stored = tensor.name
        begins = (stored[:length] for length in lengths if stored[length : length + 1] == "/")
        layer = next((begin for begin in begins if begin in names), None)
        if layer is not None:
            found.setdefault(layer, {})[stored.rpartition("/")[2].partition(":")[0]] = tensor
    return found


# What a config says


def _expected(config: Mapping[str, Any], given_classes: Collection[str]) -> list[_Layer] | None:
    """The layers of a Sequential or functional model, which may have classes of the user's; None for another config."""
    inner = config.get("config")
    entries = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        return None
    sequential = config.get("class_name") == "Sequential"
    channels: dict[str, int | None] = {}
    previous: int | None = None
    found = []
    for entry in entries:
        settings = entry["config"]
        name = str(settings.get("name") or entry.get("name") or "")
        given = previous if sequential else _given(entry, channels)
        shape = settings.get("batch_input_shape", settings.get("batch_shape"))
        if isinstance(shape, list) and shape:
            given = _number(shape[-1])
        class_name = entry["class_name"]
        is_known = class_name.rpartition(">")[2] not in given_classes
        found.append(_Layer(name, class_name, _weights(class_name, settings, given) if is_known else None))
        previous = channels[name] = _channels(class_name, settings, given) if is_known else None
    return found


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and isinstance(entry.get("class_name"), str)
        and isinstance(entry.get("config"), Mapping)
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
