"""What layers compute when each is called alone, against the functions that Keras itself writes for them."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf_keras = pytest.importorskip("tf_keras")

from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Signature, TensorSpec  # noqa: E402
from migrate.sources.keras_source import Runtime  # noqa: E402
from migrate.verify.keras_alone import layers_alone  # noqa: E402
from migrate.verify.keras_graph import CALLED_ALONE, alone, computed_alone, path_of  # noqa: E402


@pytest.fixture(scope="module")
def model():
    layers = tf_keras.layers
    x = tf_keras.Input([6, 4], name="x")
    y = layers.Dense(5, "relu", kernel_regularizer="l2", name="hidden")(x)
    y = layers.BatchNormalization(name="normal")(y)
    y = layers.Dropout(0.5, name="drop")(layers.LSTM(3, name="memory")(y))
    return tf_keras.Model(x, layers.Dense(2, name="out")(y))


def _alone(model):
    inputs, outputs = {"x": TensorSpec("x:0", "float32", (None, 6, 4))}, {"out": TensorSpec("out:0", "float32", None)}
    signature = Signature("s", "", inputs, outputs)
    loaded = types.SimpleNamespace(model=model, signature=signature, given=model.input)
    return layers_alone(loaded, Runtime.TF_KERAS)


def test_keras_writes_functions_that_compute_the_same(model, tmp_path):
    found = _alone(model)
    model.save(tmp_path / "saved", save_format="tf")
    (graph,) = SavedModel.FromString((tmp_path / "saved" / "saved_model.pb").read_bytes()).meta_graphs
    written = computed_alone(graph, {path_of(name) for name in found.computed})
    assert {"", "layer_with_weights-0", "layer_with_weights-1"} <= {path_of(name) for name in written}
    for name, expected in found.computed.items():
        lacks = {op: count for op, count in expected.items() if written[name].get(op, 0) < count}
        assert not lacks, name


def test_there_is_a_function_for_each_mode(model):
    found = _alone(model).computed
    for attribute in CALLED_ALONE:
        assert alone("layer_with_weights-1", attribute, True) in found
        assert (
            found[alone("layer_with_weights-1", attribute, True)]
            != found[alone("layer_with_weights-1", attribute, False)]
        )
        assert alone("layer_with_weights-0", attribute, None) in found


def test_a_cell_that_has_cached_masks_is_passed_over():
    x = tf_keras.Input([6, 4], name="x")
    y = tf_keras.layers.LSTM(3, dropout=0.5, recurrent_dropout=0.5, name="memory")(x)
    model = tf_keras.Model(x, tf_keras.layers.Dense(2, name="out")(y))
    model(np.ones([1, 6, 4], np.float32), training=True)
    layers = {path_of(name) for name in _alone(model).computed}
    assert "layer_with_weights-1" in layers and "layer_with_weights-0" not in layers


def test_keras_3_writes_none(model):
    loaded = types.SimpleNamespace(model=model)
    assert layers_alone(loaded, Runtime.KERAS).computed == {}
