from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.checks.keras_shapes import expected_layers


def _layer(class_name, name="layer", **config):
    return {"class_name": class_name, "config": {"name": name, **config}}


def _sequential(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def _after(class_name, given_classes=(), **config):
    """What is said of one layer that takes five channels."""
    start = _layer("InputLayer", "start", batch_input_shape=[None, 7, 5])
    return expected_layers(_sequential(start, _layer(class_name, **config)), given_classes)[1]


@pytest.mark.parametrize(
    ("class_name", "config", "weights"),
    [
        ("Dropout", {}, {}),
        ("Dense", {"units": 3}, {"kernel": (5, 3), "bias": (3,)}),
        ("Dense", {"units": 3, "use_bias": False}, {"kernel": (5, 3)}),
        ("Dense", {}, {"kernel": (5, None), "bias": (None,)}),
        ("Dense", {"units": True}, {"kernel": (5, None), "bias": (None,)}),
        ("Conv1D", {"filters": 4, "kernel_size": [2]}, {"kernel": (2, 5, 4), "bias": (4,)}),
        ("Conv2D", {"filters": 4, "kernel_size": 2}, {"kernel": (2, 2, 5, 4), "bias": (4,)}),
        ("Conv2D", {"filters": 4, "kernel_size": [2]}, {"kernel": None, "bias": (4,)}),
        ("Conv1D", {"filters": 4, "kernel_size": 2, "groups": 5}, {"kernel": (2, None, 4), "bias": (4,)}),
        ("Conv1D", {"kernel_size": 2, "data_format": "channels_first"}, {"kernel": (2, None, None), "bias": (None,)}),
        ("Embedding", {"input_dim": 9, "output_dim": 2}, {"embeddings": (9, 2)}),
        ("BatchNormalization", {"scale": False}, dict.fromkeys(["beta", "moving_mean", "moving_variance"])),
        ("LSTM", {"units": 2}, {"kernel": (5, 8), "recurrent_kernel": (2, 8), "bias": None}),
        ("GRU", {"units": 2, "use_bias": False}, {"kernel": (5, 6), "recurrent_kernel": (2, 6)}),
        ("SimpleRNN", {}, {"kernel": (5, None), "recurrent_kernel": (None, None), "bias": None}),
    ],
)
def test_the_weights_of_a_layer(class_name, config, weights):
    found = _after(class_name, **config)
    assert found.weights == weights
    assert list(found.weights) == list(weights)  # Keras' order.
    assert found.has_weights is bool(weights)


@pytest.mark.parametrize(
    ("class_name", "given_classes", "has_weights"),
    [("Attention", (), None), ("Dense", ("Dense",), None), ("Mine>Dense", ("Dense",), None), ("PReLU", (), True)],
)
def test_of_a_class_that_is_not_listed_no_shape_is_known(class_name, given_classes, has_weights):
    found = _after(class_name, given_classes, units=3)
    assert (found.weights, found.has_weights) == (None, has_weights)


@pytest.mark.parametrize(
    ("between", "channels"),
    [
        ([], 5),
        ([_layer("Dropout")], 5),
        ([_layer("MaxPooling1D")], 5),
        ([_layer("Conv1D", filters=4)], 4),
        ([_layer("Conv1D", filters=4, data_format="channels_first")], None),
        ([_layer("LSTM", units=2)], 2),
        ([_layer("Flatten")], None),
        ([_layer("Stranger")], None),
        ([_layer("Stranger", batch_input_shape=[None, 8]), _layer("ReLU")], None),
        ([_layer("ReLU", batch_input_shape=[None, 8])], 8),
    ],
)
def test_channels_go_through_a_sequential_model(between, channels):
    start = _layer("InputLayer", batch_input_shape=[None, 7, 5])
    *_, last = expected_layers(_sequential(start, *between, _layer("Dense", units=1)), ())
    assert last.weights["kernel"] == (channels, 1)


def test_a_functional_model_and_a_model_in_it():
    inner = {**_sequential(_layer("Dense", "first", units=2, batch_input_shape=[None, 4])), "name": "inner"}
    inner["inbound_nodes"] = [[["x", 0, 0, {}]]]
    layers = [
        _layer("InputLayer", "x", batch_input_shape=[None, 4]),
        inner,
        {**_layer("Dense", "side", units=3), "inbound_nodes": [[["x", 0, 0, {}]]]},
        {**_layer("Add", "sum"), "inbound_nodes": [[["x", 0, 0, {}], ["side", 0, 0, {}]]]},
        {**_layer("Dense", "end", units=1), "inbound_nodes": [[["side", 0, 0, {}]]]},
        {**_layer("Dense", "two", units=1), "inbound_nodes": [[["x", 0, 0, {}], ["side", 0, 0, {}]]]},
    ]
    x, model, side, _, end, two = expected_layers({"class_name": "Functional", "config": {"layers": layers}}, ())
    assert (x.inner, x.has_weights, model.has_weights, model.weights) == (None, False, True, None)
    assert [(layer.name, layer.weights["kernel"]) for layer in model.inner] == [("first", (4, 2))]
    assert [layer.weights["kernel"] for layer in (side, end, two)] == [(4, 3), (3, 1), (None, 1)]


def test_whether_a_model_in_a_model_has_weights():
    def has_weights(*layers):
        return expected_layers(_sequential(_sequential(*layers)), ())[0].has_weights

    assert has_weights(_layer("Dropout")) is False
    assert has_weights(_layer("Dropout"), _layer("Stranger")) is None
    assert has_weights(_layer("Stranger"), _layer("PReLU")) is True


@pytest.mark.parametrize(
    "config",
    [{}, {"config": 1}, {"config": {"layers": [1]}}, {"config": {"layers": [{"class_name": 1, "config": {}}]}}],
)
def test_a_config_of_another_form(config):
    assert expected_layers(config, ()) is None


_PLAIN = st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2)
_JSON = st.recursive(_PLAIN, lambda inner: st.lists(inner, max_size=3))
_CLASSES = st.sampled_from(["Dense", "Conv2D", "LSTM", "Embedding", "Sequential", "InputLayer", "Stranger"])
_KEYS = st.sampled_from(["units", "filters", "kernel_size", "batch_input_shape", "use_bias", "name", "layers"])


@settings(max_examples=25)
@given(st.lists(st.tuples(_CLASSES, st.dictionaries(_KEYS, _JSON, max_size=4), _JSON), max_size=4))
def test_no_settings_are_a_bug(entries):
    layers = [{"class_name": name, "config": config, "inbound_nodes": nodes} for name, config, nodes in entries]
    for class_name in ("Sequential", "Functional"):
        found = expected_layers({"class_name": class_name, "config": {"layers": layers}}, ())
        assert [layer.class_name for layer in found] == [name for name, _, _ in entries]
