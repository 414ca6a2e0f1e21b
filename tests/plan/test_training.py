"""A signature that steps an optimizer: ten steps of the converted model are those of a v1 Session, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from tests.rewrite.differential import check  # noqa: E402 (starts TensorFlow)

train = v1.train

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "gradient_descent": lambda step: train.GradientDescentOptimizer(0.1),
    "momentum": lambda step: train.MomentumOptimizer(0.1, 0.9),
    "momentum_nesterov": lambda step: train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adagrad": lambda step: train.AdagradOptimizer(0.1),
    "adagrad_da": lambda step: train.AdagradDAOptimizer(
        0.1, step, l1_regularization_strength=0.01, l2_regularization_strength=0.02
    ),
    "adadelta": lambda step: train.AdadeltaOptimizer(0.5),
    "adam": lambda step: train.AdamOptimizer(0.1),
    "ftrl": lambda step: train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
    "ftrl_with_shrinkage": lambda step: train.FtrlOptimizer(
        0.1, l2_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.02
    ),
    "proximal_adagrad": lambda step: train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01),
    "proximal_gradient_descent": lambda step: train.ProximalGradientDescentOptimizer(
        0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.02
    ),
    "rms_prop": lambda step: train.RMSPropOptimizer(0.1, momentum=0.5),
    "rms_prop_centered": lambda step: train.RMSPropOptimizer(0.1, momentum=0.5, centered=True),
}


def _dense(optimizer: Callable[[Any], Any]) -> Any:
    x = v1.placeholder(tf.float32, [2, 3], name="x")
    weights = v1.get_variable("weights", initializer=[[0.5], [-0.25], [1.0]], use_resource=False)
    bias = v1.get_variable("bias", initializer=[0.125], use_resource=False)
    return _step(x, [weights, bias], tf.matmul(x, weights) + bias, optimizer)


def _sparse(optimizer: Callable[[Any], Any]) -> Any:
    x = v1.placeholder(tf.int32, [4], name="x")
    table = v1.get_variable("table", initializer=[[0.5, 1.0], [-0.25, 2.0], [1.0, 0.125]], use_resource=False)
    return _step(x, [table], tf.nn.embedding_lookup(table, x), optimizer)


def _partitioned(optimizer: Callable[[Any], Any]) -> Any:
    x = v1.placeholder(tf.int32, [4], name="x")
    table = v1.get_variable(
        "table", [5, 2], initializer=v1.ones_initializer(), partitioner=v1.fixed_size_partitioner(2), use_resource=False
    )
    return _step(x, list(table), tf.nn.embedding_lookup(table, x), optimizer)


def _step(x: Any, variables: list[Any], predicted: Any, optimizer: Callable[[Any], Any]) -> Any:
    step = v1.train.get_or_create_global_step()
    loss = tf.reduce_sum(tf.square(predicted - 0.75))
    made = optimizer(step)
    trained = made.minimize(loss, step)
    slots = [made.get_slot(v, name) for v in variables for name in made.get_slot_names()]
    with tf.control_dependencies([trained]):
        now = {f"state_{n}": v._ref() * 1.0 for n, v in enumerate([*variables, *(s for s in slots if s is not None)])}
        now["step"] = tf.identity(step._ref())
    return {"train": ({"x": x}, {"loss": loss, **now}), "predict": ({"x": x}, {"y": predicted})}


DENSE = [[[1.0, 2.0, 3.0], [0.5, -1.0, 0.25]], [[0.0, 1.0, -2.0], [3.0, 0.5, 0.125]]]
SPARSE = [[0, 2, 0, 1], [2, 2, 1, 2]]


def _calls(inputs: list[Any]) -> list[Any]:
    return [("train", {"x": inputs[n % 2]}) for n in range(10)] + [("predict", {"x": inputs[0]})]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense(name: str, tmp_path: Any) -> None:
    check(lambda: _dense(OPTIMIZERS[name]), _calls(DENSE), str(tmp_path))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sparse(name: str, tmp_path: Any) -> None:
    check(lambda: _sparse(OPTIMIZERS[name]), _calls(SPARSE), str(tmp_path))


@pytest.mark.parametrize("name", ["gradient_descent", "adam", "ftrl"])
def test_partitioned(name: str, tmp_path: Any) -> None:
    plan = check(lambda: _partitioned(OPTIMIZERS[name]), _calls([[0, 4, 0, 1], [2, 3, 3, 4]]), str(tmp_path))
    assert {"table/part_0", "table/part_1"} <= {variable.name for variable in plan.variables if variable.trainable}


def test_a_moving_average_beside_a_step(tmp_path: Any) -> None:
    def build() -> Any:
        x = v1.placeholder(tf.float32, [2, 3], name="x")
        weights = v1.get_variable("weights", initializer=[[0.5], [-0.25], [1.0]], use_resource=False)
        step = v1.train.get_or_create_global_step()
        trained = train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(tf.square(tf.matmul(x, weights))), step)
        averages = train.ExponentialMovingAverage(0.9, step)
        with tf.control_dependencies([trained]):
            averaged = averages.apply([weights])
        with tf.control_dependencies([averaged]):
            now = {"weights": weights._ref() * 1.0, "average": averages.average(weights)._ref() * 1.0}
        return {"train": ({"x": x}, now)}

    check(build, _calls(DENSE)[:-1], str(tmp_path))


def test_a_training_loop_in_the_graph(tmp_path: Any) -> None:
    def build() -> Any:
        x = v1.placeholder(tf.float32, [2, 3], name="x")
        weights = v1.get_variable("weights", initializer=[[0.5], [-0.25], [1.0]], use_resource=False)

        def body(i: Any) -> Any:
            loss = tf.reduce_sum(tf.square(tf.matmul(x, weights)))
            (gradient,) = tf.gradients(loss, [weights])
            with tf.control_dependencies([v1.assign_sub(weights, 0.01 * gradient)]):
                return i + 1

        done = v1.while_loop(lambda i: i < 3, body, [tf.constant(0)], parallel_iterations=1)
        with tf.control_dependencies([done]):
            return {"train": ({"x": x}, {"weights": weights._ref() * 1.0})}

    check(build, _calls(DENSE)[:-1], str(tmp_path))
