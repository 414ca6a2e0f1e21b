"""Nodes that are added to a graph together."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.verify.added_nodes import AddedNodes  # noqa: E402 (starts TensorFlow)
from migrate.verify.further import COUNTED, SCALE, SHIFT, alter, altered  # noqa: E402
from migrate.verify.variables import reader  # noqa: E402


def test_nodes_take_tensors_of_the_graph_and_each_other():
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        added = AddedNodes(tf)
        twice = added.add("AddV2", [added.given(x), added.given(x)], T=x.dtype)
        more = added.add("AddV2", [twice, added.constant(1.5, tf.float32)], T=tf.float32)
        (tensor,) = added.tensors(graph, [more])
        assert session.run(tensor, {x: [1.0, 2.0]}).tolist() == [3.5, 5.5]


def test_nothing_is_added_for_nothing():
    with tf.Graph().as_default() as graph:
        assert AddedNodes(tf).operations(graph, []) == []
        assert graph.get_operations() == []


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.bfloat16, tf.half])
def test_variables_get_the_values_that_altered_gives(use_resource, dtype):
    values = [0.1, -3.0, float("nan"), float("inf"), 1e-3]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable(
            "v", initializer=tf.constant(values, dtype), use_resource=use_resource, dtype=dtype
        )
        never = tf.compat.v1.get_variable("never", [2], dtype, use_resource=use_resource)
        session.run(variable.initializer)
        read = reader(tf, session, [variable.op.name, never.op.name])
        before = read()
        alter(tf, session, [variable.op.name])
        found = session.run(variable.read_value())
        after = read()
    assert found.tolist() == altered(tf, tf.constant(values, dtype)).numpy().tolist()
    assert before["v"] != after["v"] and before["v"].shape == after["v"].shape == (5,)
    assert before["never"] == after["never"] != before["v"]


def test_an_integer_is_counted():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.get_variable("step", initializer=tf.constant(3, tf.int64), use_resource=False)
        session.run(step.initializer)
        alter(tf, session, ["step"])
        assert session.run(step) == 3 + COUNTED


def test_a_value_is_scaled_and_shifted():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("v", initializer=tf.constant(4.0), use_resource=False)
        session.run(variable.initializer)
        alter(tf, session, ["v"])
        assert session.run(variable) == 4.0 * SCALE + SHIFT
