"""Ref ops in the functions of an If, Case or While: a v1 Session's answers stay, through the disk."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from migrate.plan.plan import make_plan  # noqa: E402
from testdata import ask_ref_bodies as bodies  # noqa: E402 (starts TensorFlow)
from tests.rewrite.differential import (  # noqa: E402 (starts TensorFlow)
    INIT,
    ask_converted,
    check,
    differences,
    refusals,
    saved_graph,
)

BODIES = {
    "adds": bodies.adds, "sets": bodies.sets, "sets and adds": bodies.sets_and_adds, "unseen": bodies.adds_unseen,
    "alias": bodies.alias_then_add,
}  # fmt: skip
FORMS = [(op, name) for op in ("Case", "If", "While") for name in BODIES if (op, name) != ("While", "sets")]
"""A While whose body gives what it takes has no end."""


def _build(taken: Any, other: Any, shared: str = "", op: str = "If", lowered: bool = False, twice: bool = False) -> Any:
    graph = v1.GraphDef()
    bodies.function(graph, "f", taken(shared))
    bodies.function(graph, "g", other(shared) if other is not bodies.plain else bodies.plain)
    bodies.function(graph, "positive", bodies.positive, result=bodies.BOOL)
    v = v1.Variable([0.0, 0.0], name=shared or "v", use_resource=False)
    bodies.node(graph.node, "x", "Placeholder", dtype=bodies.FLOAT, shape=[2])
    bodies.node(graph.node, "p", "Placeholder", dtype=bodies.BOOL, shape=[])
    bodies.node(graph.node, "i", "Cast", "p", SrcT=bodies.BOOL, DstT=bodies.INT32)
    bodies.call(graph, op, "c", "f", "g", lowered=lowered)
    if twice:
        bodies.call(graph, op, "d", "f", "g", argument="c", lowered=lowered)
    tf.import_graph_def(graph, name="")
    take = v1.get_default_graph().get_tensor_by_name
    y = take("d:0" if twice else "c:0")
    with tf.control_dependencies([tf.identity(y)]):  # Of what is lowered, the op itself may be done before a write.
        after = raw.Mul(x=v._ref(), y=[2.0, 2.0])
    given = {"x": take("x:0"), "p": take("p:0")}
    return {"s": (given, {"y": y, "after": after}), "get": ({}, {"v": raw.Mul(x=v._ref(), y=[1.0, 1.0])})}


CALLS = [
    (key, {"x": [1.0, 0.5], "p": p} if key == "s" else {})
    for p in (True, True, False, True, False)
    for key in ("s", "get")
]


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("shared", ["", "kept"])
@pytest.mark.parametrize(("op", "name"), FORMS)
def test_bodies_that_a_kernel_runs(op: str, name: str, shared: str, twice: bool, tmp_path: Any) -> None:
    _check(op, name, shared, False, twice, tmp_path)


def _check(op: str, name: str, shared: str, lowered: bool, twice: bool, tmp_path: Any) -> None:
    def build() -> Any:
        return _build(BODIES[name], bodies.adds, shared, op, lowered, twice)

    if (op, name, twice) == ("While", "adds", True):
        # The second loop starts with a variable's buffer, which its body writes.
        assert {f.code for f in refusals(build, str(tmp_path))} == {"aliased-buffer-undecided"}
        return
    check(build, CALLS, str(tmp_path))


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize(("op", "name"), FORMS)
def test_lowered_bodies_with_a_variable_of_the_graph(op: str, name: str, twice: bool, tmp_path: Any) -> None:
    _check(op, name, "kept", True, twice, tmp_path)


@pytest.mark.parametrize("lowered", [False, True], ids=["kernel", "lowered"])
@pytest.mark.parametrize("op", ["StatelessIf", "StatelessWhile"])
def test_what_says_that_it_has_no_state(op: str, lowered: bool, tmp_path: Any) -> None:
    check(lambda: _build(bodies.adds, bodies.sets, "kept", op, lowered), CALLS, str(tmp_path))


@pytest.mark.parametrize("lowered", [False, True], ids=["kernel", "lowered"])
@pytest.mark.parametrize("shared", ["", "kept"])
@pytest.mark.parametrize("op", ["Case", "If"])
def test_a_variable_that_only_branches_have(op: str, shared: str, lowered: bool, tmp_path: Any) -> None:
    """One node sets it, in the init op, and others use it: the variable has the name that it has in the bodies."""

    def build() -> Any:
        graph = v1.GraphDef()
        bodies.function(graph, "sets", bodies.sets(shared))
        bodies.function(graph, "adds", bodies.adds(shared))
        bodies.function(graph, "alias", bodies.alias_then_add(shared))
        bodies.node(graph.node, "x", "Placeholder", dtype=bodies.FLOAT, shape=[2])
        bodies.node(graph.node, "p", "Placeholder", dtype=bodies.BOOL, shape=[])
        bodies.node(graph.node, "i", "Cast", "p", SrcT=bodies.BOOL, DstT=bodies.INT32)
        bodies.call(graph, op, "c", "adds", "alias", lowered=lowered)
        for name, argument in (("p", True), ("i", 1), ("x", [3.0, 4.0])):
            bodies.node(graph.node, f"first/{name}", "Const", dtype=_DTYPES[name], value=argument)
        start = graph.node[-1].name
        bodies.call(graph, op, "first/set", "sets", "sets", argument=start, lowered=lowered)
        graph.node[-1].input[0] = "first/" + graph.node[-1].input[0]
        bodies.node(graph.node, "first/done", "Identity", "first/set", T=bodies.FLOAT)
        bodies.node(graph.node, "init", "NoOp", "^first/done")
        tf.import_graph_def(graph, name="")
        take = v1.get_default_graph().get_tensor_by_name
        init = v1.get_default_graph().get_operation_by_name("init")
        return {INIT: ({}, {INIT: init}), "s": ({"x": take("x:0"), "p": take("p:0")}, {"y": take("c:0")})}

    calls = [("s", {"x": [1.0, 0.5], "p": p}) for p in (True, False, True, False)]
    if lowered and not shared:  # A variable for each node: those of `c` get no value in TF1, too.
        saved = saved_graph(build, calls)
        assert set(saved.answers) == {tf.errors.FailedPreconditionError}
        assert "variable-without-value" in [f.code for f in make_plan(saved.meta_graph).findings]
        return
    check(build, calls, str(tmp_path))


_DTYPES = {"p": bodies.BOOL, "i": bodies.INT32, "x": bodies.FLOAT}


def _form(name: str, kind: str, lowered: bool) -> Any:
    """A form of the script, its signatures named by what they fetch, and its calls."""
    graph, asked = bodies.form(name, kind, lowered)
    tf.import_graph_def(graph, name="")
    take = v1.get_default_graph().get_tensor_by_name
    found = {}
    for fetch, feeds in asked:
        full = fetch if ":" in fetch else f"{fetch}:0"
        found[fetch] = ({key: take(f"{key}:0") for key in feeds}, {"y": take(full)})
    return found


ANSWERS: dict[tuple[str, str], tuple[str, str]] = {
    ("a write that no output needs", "Case"): ("2, 2, 0", "2, 2, 0"),
    ("a write that no output needs", "If"): ("2, 2, 0", "2, 2, 0"),
    ("a write that no output needs", "While"): ("4, 4, 0", "4, 4, 0"),
    ("a write that no output needs, shared_name", "Case"): ("2, 2, 0", "2, 2, 0"),
    ("a write that no output needs, shared_name", "If"): ("2, 2, 0", "2, 2, 0"),
    ("a write that no output needs, shared_name", "While"): ("4, 4, 0", "4, 4, 0"),
    ("an alias", "Case"): ("2, 3, 4", "FailedPrecondition, FailedPrecondition, 0"),
    ("an alias", "If"): ("2, 3, 4", "FailedPrecondition, FailedPrecondition, 0"),
    ("an alias", "While"): ("5, 5, 8", "FailedPrecondition, FailedPrecondition, 0"),
    ("an alias, shared_name", "Case"): ("2, 3, 4", "2, 3, 4"),
    ("an alias, shared_name", "If"): ("2, 3, 4", "2, 3, 4"),
    ("an alias, shared_name", "While"): ("5, 5, 8", "5, 5, 8"),
    ("main variable of its name", "Case"): (
        "1, 2, -1, 4, 3",
        "FailedPrecondition, FailedPrecondition, -1, 0, FailedPrecondition",
    ),
    ("main variable of its name", "If"): (
        "1, 2, -1, 4, 3",
        "FailedPrecondition, FailedPrecondition, -1, 0, FailedPrecondition",
    ),
    ("main variable of its name", "While"): (
        "4, 5, 6, 12, 7",
        "FailedPrecondition, FailedPrecondition, FailedPrecondition, 0, FailedPrecondition",
    ),
    ("main variable, shared_name", "Case"): ("1, 2, -1, 4, 3", "1, 2, -1, 4, 3"),
    ("main variable, shared_name", "If"): ("1, 2, -1, 4, 3", "1, 2, -1, 4, 3"),
    ("main variable, shared_name", "While"): ("4, 5, 6, 12, 7", "4, 5, 6, 12, 7"),
    ("no main variable", "Case"): ("FailedPrecondition, FailedPrecondition", "FailedPrecondition, FailedPrecondition"),
    ("no main variable", "If"): ("FailedPrecondition, FailedPrecondition", "FailedPrecondition, FailedPrecondition"),
    ("no main variable", "While"): ("FailedPrecondition, FailedPrecondition", "FailedPrecondition, FailedPrecondition"),
    ("one branch sets, one adds", "Case"): (
        "1, 2, 3, 1, 2",
        "1, FailedPrecondition, FailedPrecondition, 1, FailedPrecondition",
    ),
    ("one branch sets, one adds", "If"): (
        "1, 2, 3, 1, 2",
        "1, FailedPrecondition, FailedPrecondition, 1, FailedPrecondition",
    ),
    ("one branch sets, one adds, shared_name", "Case"): ("1, 2, 3, 1, 2", "1, 2, 3, 1, 2"),
    ("one branch sets, one adds, shared_name", "If"): ("1, 2, 3, 1, 2", "1, 2, 3, 1, 2"),
    ("scratch", "Case"): ("3, 3", "3, 3"),
    ("scratch", "If"): ("3, 3", "3, 3"),
    ("scratch", "While"): ("7, 7", "7, 7"),
    ("two call sites", "Case"): ("2, 2", "FailedPrecondition, FailedPrecondition"),
    ("two call sites", "If"): ("2, 2", "FailedPrecondition, FailedPrecondition"),
    ("two call sites, shared_name", "Case"): ("2, 2", "2, 2"),
    ("two call sites, shared_name", "If"): ("2, 2", "2, 2"),
}
"""What TensorFlow 1.15.5 answers to each form of testdata/ask_ref_bodies.py, not lowered and lowered: the first number
of each answer, or `FailedPrecondition`."""


@pytest.mark.parametrize("lowered", [False, True], ids=["kernel", "lowered"])
@pytest.mark.parametrize(("name", "kind"), ANSWERS)
def test_answers_of_tensorflow_1(name: str, kind: str, lowered: bool) -> None:
    expected = ANSWERS[name, kind][lowered].split(", ")
    _, calls = bodies.form(name, kind, lowered)
    saved = saved_graph(lambda: _form(name, kind, lowered), calls)
    golden = [_written(answer) for (fetch, _), answer in zip(calls, saved.answers, strict=True) if fetch != "init"]
    assert golden == expected
    plan = make_plan(saved.meta_graph)
    if "FailedPrecondition" in expected:  # A variable that nothing sets, and no file of TensorFlow 1 can hold.
        assert plan.refused
        assert "variable-without-value" in [f.code for f in plan.findings]
        return
    assert not plan.refused, [f.message for f in plan.findings]
    found = differences(saved.answers, ask_converted(saved, calls))
    assert not found, "\n".join(found)


def _written(answer: Any) -> str:
    if isinstance(answer, type):
        return answer.__name__.removesuffix("Error")
    (value,) = answer.values()
    return f"{value[0]:g}"
