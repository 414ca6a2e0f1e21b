"""Loops and conds of TF1 that are trained on: ten steps give TF1's losses, through each way to call the new model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.records import Converted, Options
from tests.control_flow import control_flow

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

_STEPS, _RATE = 10, 0.2
_CHANCE = np.random.default_rng(3)
_SEQUENCES, _IMAGES = (_CHANCE.standard_normal(shape).astype(np.float32) for shape in ((4, 6, 3), (5, 4)))
INPUTS: dict[str, dict[str, Any]] = {
    "serving_default": {"x": _SEQUENCES, "n": np.array([6, 2, 5, 0], np.int32)},
    "normed": {"x": _IMAGES, "phase_train": np.array(True)},
}
WIDTHS = {"serving_default": (4, 6, 5), "normed": (5, 3)}


class _Lstm:
    """The least that dynamic_rnn asks of a cell."""

    output_size = 5
    state_size = (5, 5)

    def __init__(self) -> None:
        normal = v1.random_normal_initializer(stddev=0.5, seed=1)
        self._kernel = v1.get_variable("kernel", [3 + 5, 4 * 5], initializer=normal)
        self._bias = v1.get_variable("bias", [4 * 5], initializer=normal)

    def zero_state(self, batch: Any, dtype: Any) -> Any:
        return tuple(tf.zeros(tf.stack([batch, 5]), dtype) for _ in range(2))

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        carry, last = state
        i, j, f, o = tf.split(tf.concat([inputs, last], 1) @ self._kernel + self._bias, 4, 1)
        carry = carry * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        last = tf.tanh(carry) * tf.sigmoid(o)
        return last, (carry, last)


def _rnn() -> tuple[dict[str, Any], Any]:
    x = v1.placeholder(tf.float32, [None, None, 3], "sequences")
    n = v1.placeholder(tf.int32, [None], "lengths")
    outputs, _ = v1.nn.dynamic_rnn(_Lstm(), x, n, dtype=tf.float32)
    return {"x": x, "n": n}, tf.ensure_shape(outputs, [None, None, 5])


def _normed() -> tuple[dict[str, Any], Any]:
    """Batch normalisation with its updates in a cond, as FaceNet has it (slim.batch_norm, updates_collections=None)."""
    x = v1.placeholder(tf.float32, [None, 4], "images")
    p = v1.placeholder(tf.bool, [], "phase_train")
    w = v1.get_variable("w", [4, 3], initializer=v1.random_normal_initializer(seed=2))
    beta = v1.get_variable("beta", [3], initializer=v1.zeros_initializer())
    mean = v1.get_variable("moving_mean", [3], initializer=v1.zeros_initializer(), trainable=False)
    variance = v1.get_variable("moving_variance", [3], initializer=v1.ones_initializer(), trainable=False)
    y = x @ w

    def updated() -> Any:
        now, spread = tf.nn.moments(y, [0])
        waits = [v1.assign_sub(mean, (mean - now) * 0.1), v1.assign_sub(variance, (variance - spread) * 0.1)]
        with tf.control_dependencies(waits):
            return tf.identity(now), tf.identity(spread)

    chosen = v1.cond(p, updated, lambda: (tf.identity(mean), tf.identity(variance)))
    return {"x": x, "phase_train": p}, tf.nn.batch_normalization(y, *chosen, beta, None, 0.001)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("trained")
    source, new = str(folder / "source"), str(folder / "new")
    with control_flow():
        with tf.Graph().as_default(), v1.Session() as session, v1.variable_scope("", use_resource=False):
            signatures = {}
            for key, build in (("serving_default", _rnn), ("normed", _normed)):
                with v1.variable_scope(key):
                    inputs, y = build()
                signatures[key] = v1.saved_model.predict_signature_def(inputs, {"y": y})
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(source)
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
        (model,) = migrate.convert(source, new, Options(control_flow="functional")).models
        assert isinstance(model.outcome, Converted), model.outcome
        assert not {finding.code for finding in model.findings} & {"control-flow-kept", "tensor-array-kept"}
        yield source, new


def _wanted(key: str) -> Any:
    return np.random.default_rng(5).standard_normal(WIDTHS[key]).astype(np.float32)


def _tf1(path: str, key: str) -> tuple[list[float], dict[str, Any]]:
    """TF1's losses of a training loop, and what its variables hold after it."""
    with tf.Graph().as_default() as graph, v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], path).signature_def[key]
        loss = tf.reduce_mean(tf.square(graph.get_tensor_by_name(signature.outputs["y"].name) - _wanted(key)))
        variables = [variable for variable in v1.trainable_variables() if variable.op.name.startswith(key)]
        gradients = [tf.identity(gradient) for gradient in v1.gradients(loss, variables)]
        with tf.control_dependencies([loss, *gradients]):
            steps = [v1.assign_sub(v, _RATE * g).op for v, g in zip(variables, gradients, strict=True)]
        fed = {signature.inputs[name].name: value for name, value in INPUTS[key].items()}
        losses = [float(session.run([loss, *steps], fed)[0]) for _ in range(_STEPS)]
        left = [v for v in v1.global_variables() if v.op.name.startswith(key)]
        return losses, {v.op.name: session.run(v) for v in left}


def _tf2(call: Callable[[dict[str, Any]], Any], key: str, variables: list[Any]) -> list[float]:
    inputs = {name: tf.constant(value) for name, value in INPUTS[key].items()}
    losses = []
    for _ in range(_STEPS):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(call(inputs) - _wanted(key)))
        gradients = tape.gradient(loss, variables)
        for variable, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:  # The other signature's.
                variable.assign_sub(_RATE * gradient)
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize("key", INPUTS)
def test_ten_steps_through_a_signature(models: tuple[str, str], key: str) -> None:
    losses, left = _tf1(models[0], key)
    loaded = tf.saved_model.load(models[1])
    found = _tf2(lambda inputs: loaded.signatures[key](**inputs)["y"], key, list(loaded.trainable_variables))
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    assert losses[-1] < 0.97 * losses[0]
    held = {variable.name.partition(":")[0]: variable.numpy() for variable in loaded.variables}
    for name, value in left.items():
        np.testing.assert_allclose(held[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_ten_steps_through_a_call(models: tuple[str, str]) -> None:
    loaded = tf.saved_model.load(models[1])
    found = _tf2(loaded, "serving_default", list(loaded.trainable_variables))
    np.testing.assert_allclose(found, _tf1(models[0], "serving_default")[0], rtol=1e-5)


def test_ten_steps_through_a_layer_of_tensorflow_hub(models: tuple[str, str]) -> None:
    hub = pytest.importorskip("tensorflow_hub")
    layer = hub.KerasLayer(models[1], trainable=True)
    found = _tf2(layer, "serving_default", list(layer.trainable_weights))
    np.testing.assert_allclose(found, _tf1(models[0], "serving_default")[0], rtol=1e-5)
