"""Which reads race with a write where functional control flow lies between: as measured on TensorFlow 1.15.5.

Each graph was run there with its optimiser on and off, and once with a slow read, once with a slow write: `RACES` has
those that gave two answers. Everything else gave one, so a warning would be a false one.
"""

from __future__ import annotations

from typing import Any

import pytest

from migrate.plan.plan import make_plan

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from tests.rewrite.differential import saved_graph  # noqa: E402 (starts TensorFlow)

CONSTRUCTS = ("If", "Case", "While")
ALL = frozenset({"lowered If", "lowered Case", "lowered While", "kernel"})
LOWERED = ALL - {"kernel"}
RACES = {
    ("read outside", "write after first"): LOWERED,
    ("read outside", "write after second"): frozenset[str](),
    ("read outside", "write before given"): ALL,
    ("read outside", "write before late"): ALL,
    ("read outside", "write before it"): ALL,
    ("read outside", "write anywhere"): ALL,
    ("read inside", "write after first"): LOWERED,
    ("read inside", "write after second"): frozenset[str](),
    # A branch waits for its predicate, which `given` makes; an iteration waits for its counter alone.
    ("read inside", "write before given"): frozenset({"lowered While"}),
    ("read inside", "write before late"): LOWERED,
    ("read inside", "write before it"): frozenset[str](),
    ("read inside", "write anywhere"): ALL,
    ("write inside", "read after first"): LOWERED,
    ("write inside", "read after second"): frozenset[str](),
    # What waits for a lowered If or Case waits for the branch that was taken to begin, and not for its write.
    ("write inside", "read after it"): LOWERED - {"lowered While"},
    ("write inside", "read before given"): frozenset({"lowered While"}),
    ("write inside", "read before late"): LOWERED,
    ("write inside", "read before it"): frozenset[str](),
    ("write inside", "read anywhere"): ALL,
}
"""Kinds of control flow with which the read has no defined answer, by what the body does and where the other op is."""


def _build(construct: str, lowered: bool, inside: str, other: str) -> Any:
    """The control flow gives `first`, which needs nothing of the variable, and `second`, which does.

    It takes `given`, which makes `first` and the predicate, and `late`, which makes `second`.
    """
    x = v1.placeholder(tf.float32, [2], name="x")
    handle = v1.Variable([0.0, 0.0], name="n", use_resource=True).handle
    looks = other.startswith("read")
    found: list[Any] = []

    def read() -> Any:
        value = raw.ReadVariableOp(resource=handle, dtype=tf.float32)
        value.set_shape([2])
        return value

    def touch(*waits: Any) -> Any:
        with tf.control_dependencies(waits):
            op = read() if looks else raw.AssignAddVariableOp(resource=handle, value=tf.ones([2]))
        found.append(op)
        return op

    def after_touch() -> Any:
        with tf.control_dependencies([touch()]):
            return tf.identity(x)

    given = after_touch() if other.endswith("before given") else tf.identity(x)
    late = after_touch() if other.endswith("before late") else tf.identity(x)
    waits = [touch()] if other.endswith("before it") else []
    outside = read() if inside == "read outside" else None

    def second(value: Any) -> Any:
        if looks:
            with tf.control_dependencies([raw.AssignAddVariableOp(resource=handle, value=tf.ones([2]))]):
                return value + 1.0
        return (read() if outside is None else outside) * 2.0 + value

    graph = v1.get_default_graph()
    known = len(graph.get_operations())
    v1.enable_control_flow_v2()
    with tf.control_dependencies(waits):
        branches = [lambda: (given + 1.0, second(late)), lambda: (given * 2.0, late)]
        if construct == "If":
            first, last = tf.cond(tf.reduce_sum(given) > -9.0, *branches)
        elif construct == "Case":
            first, last = tf.switch_case(tf.cast(tf.reduce_sum(given) * 0.0, tf.int32), branches)
        else:
            loop = tf.while_loop(lambda i, *_: i < 2, lambda i, a, b: (i + 1, a + 1.0, second(b)), [0, given, late])
            _, first, last = loop
    v1.disable_control_flow_v2()
    (node,) = (op for op in graph.get_operations()[known:] if op.type.removeprefix("Stateless") == construct)
    node._set_attr("_lower_using_switch_merge", v1.AttrValue(b=lowered))
    after = {"first": [first], "second": [last], "it": [node]}
    if " after " in other:
        touch(*after[other.rpartition(" ")[2]])
    if other.endswith("anywhere"):
        touch()
    outputs = {"first": tf.identity(first), "second": tf.identity(last)}
    outputs |= {"y": tf.identity(found[0])} if looks else {}
    if not looks:
        with tf.control_dependencies(found):
            outputs["done"] = tf.identity(x)
    return {"s": ({"x": x}, outputs)}


@pytest.mark.parametrize("lowered", [True, False], ids=["lowered", "kernel"])
@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_a_race_is_found_where_tf1_gives_two_answers(construct: str, lowered: bool) -> None:
    kind = f"lowered {construct}" if lowered else "kernel"
    expected = {case: kind in kinds for case, kinds in RACES.items()}
    found = {}
    for inside, other in RACES:
        saved = saved_graph(lambda: _build(construct, lowered, inside, other), [])  # noqa: B023 (called at once)
        plan = make_plan(saved.meta_graph)
        assert not plan.refused, [f.message for f in plan.findings]
        (signature,) = plan.signatures
        read = "y" if other.startswith("read") else "second"
        found[inside, other] = read in dict(signature.unordered)
    assert found == expected
