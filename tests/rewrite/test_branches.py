"""Ref ops in the branches of an If: a v1 Session's answers stay, through the disk."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from testdata import ask_ref_bodies as bodies  # noqa: E402 (starts TensorFlow)
from tests.rewrite.differential import check, refusals  # noqa: E402 (starts TensorFlow)

THEN = {
    "adds": bodies.adds, "sets": bodies.sets, "sets and adds": bodies.sets_and_adds, "unseen": bodies.adds_unseen,
    "alias": bodies.alias_then_add,
}  # fmt: skip


def _build(then: Any, other: Any, shared: str = "", op: str = "If", lowered: bool = False, twice: bool = False) -> Any:
    graph = v1.GraphDef()
    bodies.function(graph, "f", then(shared))
    bodies.function(graph, "g", other(shared) if other is not bodies.plain else bodies.plain)
    v = v1.Variable([0.0, 0.0], name=shared or "v", use_resource=False)
    bodies.node(graph.node, "x", "Placeholder", dtype=bodies.FLOAT, shape=[2])
    bodies.node(graph.node, "p", "Placeholder", dtype=bodies.BOOL, shape=[])
    bodies.call(graph, op, "c", "f", "g", lowered=lowered)
    if twice:
        bodies.call(graph, op, "d", "f", "g", argument="c", lowered=lowered)
    tf.import_graph_def(graph, name="")
    take = v1.get_default_graph().get_tensor_by_name
    y = take("d:0" if twice else "c:0")
    with tf.control_dependencies([y]):
        after = raw.Mul(x=v._ref(), y=[2.0, 2.0])
    given = {"x": take("x:0"), "p": take("p:0")}
    return {"s": (given, {"y": y, "after": after}), "get": ({}, {"v": raw.Mul(x=v._ref(), y=[1.0, 1.0])})}


CALLS = [
    (key, {"x": [1.0, 0.5], "p": p} if key == "s" else {})
    for p in (True, True, False, True, False)
    for key in ("s", "get")
]


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("shared", ["", "kept"])
@pytest.mark.parametrize("name", THEN)
def test_a_branch_that_a_kernel_runs(name: str, shared: str, twice: bool, tmp_path: Any) -> None:
    check(lambda: _build(THEN[name], bodies.adds, shared, twice=twice), CALLS, str(tmp_path))


def test_an_if_that_is_lowered_is_refused(tmp_path: Any) -> None:
    found = refusals(lambda: _build(bodies.adds, bodies.plain, "kept", lowered=True), str(tmp_path))
    assert [f.code for f in found] == ["ref-in-function"]
