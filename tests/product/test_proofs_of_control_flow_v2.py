"""The same Python as v1 control flow and as functional control flow, made by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.proof.difference import difference
from migrate.proof.model import Model
from migrate.proof.records import NotProved, Proved, Result
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched, final
from tests.control_flow import control_flow
from tests.proof.graphs import side

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

Build = Callable[[Any, Any, Any, Any], Any]


def graph(build: Build, is_v2: bool) -> MetaGraphDef:
    """What `build` makes of two inputs, a predicate and a resource variable; `out` is its result."""
    with control_flow(functional=is_v2), tf.Graph().as_default() as made:
        x, y = (v1.placeholder(tf.float32, [], name=name) for name in "xy")
        p = v1.placeholder(tf.bool, [], name="p")
        v = v1.get_variable("v", [], tf.float32, use_resource=True)
        tf.identity(build(x, y, p, v), name="out")
        found = MetaGraphDef()
        found.graph_def.ParseFromString(made.as_graph_def().SerializeToString())
        return found


def compared(one: MetaGraphDef, other: MetaGraphDef) -> tuple[Result, Result]:
    """What the proof says of `out` and of the variable."""
    shared = Shared()
    first, a = side(Model("source", shared, one), ["out"], lowers=True)
    second, b = side(Model("candidate", shared, other), ["out"], lowers=True)
    settle(first, second)
    output = difference(shared.terms, fetched(first, a[0]), fetched(second, b[0]), first.origins, second.origins)
    key = ("resource", b"", "v")
    if key not in first.written and key not in second.written:
        return output, Proved()
    if key not in first.written or key not in second.written:
        return output, NotProved("", "", "one writes it")
    return output, difference(shared.terms, final(first, key), final(second, key), first.origins, second.origins)


def conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    return tf.cond(p, lambda: x + 1.0, lambda: y * x) - y


def other_conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    return tf.cond(p, lambda: x + 1.0, lambda: y * y) - y


def conds_in_conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    return tf.cond(p, lambda: tf.cond(x > y, lambda: x, lambda: y + 2.0), lambda: v.read_value())


def other_conds_in_conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    return tf.cond(p, lambda: tf.cond(x < y, lambda: x, lambda: y + 2.0), lambda: v.read_value())


def writing_conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    with tf.control_dependencies([tf.cond(p, lambda: v.assign_add(x), lambda: v.read_value())]):
        return v.read_value()


def other_writing_conds(x: Any, y: Any, p: Any, v: Any) -> Any:
    with tf.control_dependencies([tf.cond(p, lambda: v.assign_add(y), lambda: v.read_value())]):
        return v.read_value()


def loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    return v1.while_loop(lambda i, t: i < y, lambda i, t: (i + 1.0, t * i), [x, y])[1]


def other_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    return v1.while_loop(lambda i, t: i < y, lambda i, t: (i + 1.0, t * t), [x, y])[1]


def loops_in_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any, t: Any) -> tuple[Any, Any]:
        inner = v1.while_loop(lambda j, _: j < i, lambda j, s: (j + 1.0, s + j), [x, t])
        return i + 1.0, inner[1]

    return v1.while_loop(lambda i, t: i < y, body, [x, y])[1]


def other_loops_in_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any, t: Any) -> tuple[Any, Any]:
        inner = v1.while_loop(lambda j, _: j < i, lambda j, s: (j + 1.0, s + i), [x, t])
        return i + 1.0, inner[1]

    return v1.while_loop(lambda i, t: i < y, body, [x, y])[1]


def conds_in_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any, t: Any) -> tuple[Any, Any]:
        return i + 1.0, tf.cond(i > 3.0, lambda: t + y, lambda: t - x)

    return v1.while_loop(lambda i, t: i < y, body, [x, y])[1]


def other_conds_in_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any, t: Any) -> tuple[Any, Any]:
        return i + 1.0, tf.cond(i > 3.0, lambda: t - x, lambda: t + y)

    return v1.while_loop(lambda i, t: i < y, body, [x, y])[1]


def writing_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any) -> Any:
        with tf.control_dependencies([v.assign_add(i)]):
            return i + 1.0

    end = v1.while_loop(lambda i: i < y, body, [x], parallel_iterations=1)
    with tf.control_dependencies([end]):
        return v.read_value()


def other_writing_loops(x: Any, y: Any, p: Any, v: Any) -> Any:
    def body(i: Any) -> Any:
        with tf.control_dependencies([v.assign_sub(i)]):
            return i + 1.0

    end = v1.while_loop(lambda i: i < y, body, [x], parallel_iterations=1)
    with tf.control_dependencies([end]):
        return v.read_value()


_PAIRS = [
    (conds, other_conds),
    (conds_in_conds, other_conds_in_conds),
    (writing_conds, other_writing_conds),
    (loops, other_loops),
    (loops_in_loops, other_loops_in_loops),
    (conds_in_loops, other_conds_in_loops),
    (writing_loops, other_writing_loops),
]


@pytest.mark.parametrize(("build", "other"), _PAIRS, ids=[build.__name__ for build, _ in _PAIRS])
def test_both_forms_are_one(build: Build, other: Build) -> None:
    one, two = graph(build, False), graph(build, True)
    ops = {node.op for node in two.graph_def.node}
    assert ops & {"If", "StatelessIf", "While", "StatelessWhile"}
    assert not ops & {"Switch", "Merge"}
    assert {node.op for node in one.graph_def.node} & {"Switch", "Merge"}
    assert [result for result in compared(one, two) if isinstance(result, NotProved)] == []
    assert any(isinstance(result, NotProved) for result in compared(one, graph(other, True)))
    assert any(isinstance(result, NotProved) for result in compared(graph(other, False), two))
