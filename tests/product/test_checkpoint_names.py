"""The new model's variables go through tf.train.Checkpoint and CheckpointManager under their TF1 names."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")


_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_KEYS = {
    "w": "vars/w",
    "w/Adam": "vars/w.SAdam",  # TensorFlow's spelling of a slash in a name (trackable_utils.py).
    "w/Adam_1": "vars/w.SAdam_1",
    "b": "vars/b",
    "b/Adam": "vars/b.SAdam",
    "b/Adam_1": "vars/b.SAdam_1",
    "beta1_power": "vars/beta1_power",
    "beta2_power": "vars/beta2_power",
    "global_step": "vars/global_step",
}


def _keys(path):
    return {name for name, _ in tf.train.list_variables(path)} - {"_CHECKPOINTABLE_OBJECT_GRAPH"}


def _values(loaded):
    return {name: variable.numpy() for name, variable in loaded.vars.items()}


def _differ(one, other):
    return {name for name, value in one.items() if not np.array_equal(value, other[name])}


def test_a_model_that_was_trained_on_is_restored_into_a_fresh_load(converted, tmp_path):
    import tf_keras

    path = str(converted.path("training_adam"))
    x = tf.constant([[1.0, 2.0], [0.5, -1.0]])

    def load():
        loaded = tf.saved_model.load(path)
        optimizer = tf_keras.optimizers.SGD(0.1, momentum=0.9)
        optimizer.build(list(loaded.trainable_variables))
        return loaded, optimizer, tf.train.Checkpoint(model=loaded, optimizer=optimizer)

    def step(loaded, optimizer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(loaded.signatures["predict"](x=x)["prediction"]))
        gradients = tape.gradient(loss, list(loaded.trainable_variables))
        optimizer.apply_gradients(zip(gradients, loaded.trainable_variables, strict=True))

    trained, optimizer, checkpoint = load()
    start = _values(trained)
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    step(trained, optimizer)
    manager.save()
    step(trained, optimizer)
    saved = manager.save()
    end = _values(trained)
    assert _differ(start, end) == {"w", "b"}
    assert {key for key in _keys(saved) if key.startswith("model/")} == {
        f"model/{key}{_SUFFIX}" for key in _KEYS.values()
    }

    fresh, fresh_optimizer, fresh_checkpoint = load()
    assert not _differ(start, _values(fresh))
    manager = tf.train.CheckpointManager(fresh_checkpoint, str(tmp_path), max_to_keep=2)
    fresh_checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    assert not _differ(end, _values(fresh))
    # The optimizer's momentum, too: the next step is the same.
    step(trained, optimizer)
    step(fresh, fresh_optimizer)
    assert not _differ(_values(trained), _values(fresh))


def test_the_saved_models_own_checkpoint_has_the_names(converted):
    path = converted.path("training_adam")
    assert _keys(str(path / "variables" / "variables")) == {key + _SUFFIX for key in _KEYS.values()}
    map_ = json.loads((path / "assets.extra" / "migration.json").read_text())["variables"]
    assert map_ == {name: key + _SUFFIX for name, key in _KEYS.items()}


@pytest.mark.parametrize("name", ["training_adam", "partitioned", "odd_names", "base64_csv"])
def test_vars_are_the_models_variables_by_their_tf1_names(name, converted, golden):
    loaded = tf.saved_model.load(str(converted.path(name)))
    assert {f"{key}:0" for key in loaded.vars} == {variable.name for variable in loaded.variables}
    assert all(variable.name == f"{key}:0" for key, variable in loaded.vars.items())
    assert {id(v) for v in loaded.vars.values()} == {id(v) for v in loaded.variables}
    assert golden[name]["source_trainable"] == {f"{k}:0" for k, v in loaded.vars.items() if v.trainable}


def test_weights_move_by_name_between_models_of_other_variables(converted, tmp_path):
    """Keys that counted positions would give the one model's weights to the other's variables."""
    one = tf.saved_model.load(str(converted.path("training_adam")))
    two = tf.saved_model.load(str(converted.path("training")))
    assert list(one.vars) != list(two.vars)
    saved = tf.train.Checkpoint(model=one).save(str(tmp_path / "one"))
    tf.train.Checkpoint(model=two).restore(saved).expect_partial()
    for name in ("w", "b"):
        np.testing.assert_array_equal(two.vars[name].numpy(), one.vars[name].numpy())
