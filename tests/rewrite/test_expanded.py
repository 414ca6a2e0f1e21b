from __future__ import annotations

import pytest

from migrate.graph.graph import Graph, index
from migrate.graph.protos import FunctionDef
from migrate.rewrite.expanded import Touched, lower, touched_by
from tests.rewrite.texts import function, node, shown

_IF = "x = Placeholder()\np = Placeholder()\nc = If/then/other%s(p, x, ^x)\ny = Neg(c:0, ^c) T=float32"
_THEN = function("then", "a", "n = Neg(a) T=float32", r="n:y:0")
_OTHER = function("other", "a", "effect = NoOp()", r="a")
_OTHER.control_ret["effect"] = "effect"


def _graph(text: str) -> Graph:
    return index(map(node, text.splitlines()))


def _library(*functions: FunctionDef) -> dict[str, FunctionDef]:
    return {each.signature.name: each for each in functions}


@pytest.mark.parametrize(
    ("text", "library"),
    [
        ("x = Placeholder()\ny = Neg(x)", _library(_THEN, _OTHER)),
        (_IF % "", _library(_THEN, _OTHER)),
        (_IF % "/lowered", _library(_THEN)),
        (_IF % "/lowered", _library(_THEN, function("other", "a b", r="a"))),
        (_IF % "/lowered", _library(_THEN, function("other", "a", r="gone:y:0"))),
        (_IF % "/lowered" + "\nc/1/a = NoOp()", _library(_THEN, _OTHER)),
    ],
    ids=["no call", "not lowered", "no function", "another number of arguments", "no output", "a name is taken"],
)
def test_what_is_not_lowered_stays(text, library):
    graph = _graph(text)
    assert lower(graph, library) == (graph, {})


def test_the_branches_of_an_if_stand_between_switches_and_merges():
    graph, moved = lower(_graph(_IF % "/lowered"), _library(_THEN, _OTHER))
    assert moved == {"c:0": "c/merge_0:0"}
    assert shown(graph.nodes.values()).splitlines() == [
        "x = Placeholder()",
        "p = Placeholder()",
        "c = NoOp(^c/done)",
        "y = Neg(c/merge_0, ^c) T=float32",
        "c/merge_0 = Merge(c/1/n:0, c/0/a) T=float32",
        "c/switch_0 = Switch(x, p) T=float32",
        "c/pivot = Switch(p, p, ^x) T=bool",
        "c/1/start = Identity(c/pivot:1)",
        "c/1/a = Identity(c/switch_0:1, ^c/1/start) T=float32",
        "c/1/n = Neg(c/1/a) T=float32",
        "c/0/start = Identity(c/pivot:0)",
        "c/0/a = Identity(c/switch_0:0, ^c/0/start) T=float32",
        "c/0/effect = NoOp(^c/0/start)",
        "c/done = Merge(c/1/start, c/0/start, ^c/0/effect)",
    ]


def test_an_if_in_a_branch_is_lowered_too():
    outer = function("outer", "a q", "c = If/then/other/lowered(q, a)", r="c:output:0")
    library = _library(outer, _THEN, _OTHER)
    text = "x = Placeholder()\np = Placeholder()\nc = If/outer/outer/lowered(p, x, p)\ny = Neg(c) T=float32"
    graph, _ = lower(_graph(text), library)
    assert {"c/1/c/merge_0", "c/0/c/merge_0"} <= graph.nodes.keys()
    assert not graph.has({"If"})


def test_a_while_becomes_a_loop():
    condition = function("cond", "a", "less = Less(a, a) T=float32", r="less:z:0")
    body = function("body", "a", "n = Neg(a) T=float32", r="n:y:0")
    line = "w = While(x) cond=@cond body=@body T=[float32] _lower_using_switch_merge=true"
    text = f"x = Placeholder()\n{line}\ny = Neg(w) T=float32"
    graph, moved = lower(_graph(text), _library(condition, body))
    assert moved == {"w:0": "w/exit_0:0"}
    found = {made.name: shown([made]).partition(" = ")[2] for made in graph.nodes.values()}
    assert found["y"] == "Neg(w/exit_0) T=float32"
    assert found["w/enter_0"] == "Enter(x) T=float32 frame_name='w'"
    assert found["w/merge_0"] == "Merge(w/enter_0:0, w/next_0:0) T=float32"
    assert found["w/loop_cond"] == "LoopCond(w/condition/less:0)"
    assert found["w/next_0"] == "NextIteration(w/body/n:0) T=float32"
    assert found["w/exit_0"] == "Exit(w/switch_0:0) T=float32"
    without = lower(_graph(text), _library(condition))
    assert without[1] == {} and without[0].has({"While"})


_WRITES, _PASSES = frozenset({"AssignVariableOp"}), frozenset({"Identity"})
_READS = function("reads", "h a", "i = Identity(h)", "r = ReadVariableOp(i:output:0)")
_SETS = function("sets", "a h", "w = AssignVariableOp(h, a)")
_AGAIN = function("again", "a h", "c = again(a, h)", "d = sets(a, h)")


def _touched(line: str) -> Touched | None:
    library = _library(_READS, _SETS, _AGAIN, _THEN)
    return touched_by(node(line), library, _WRITES, _PASSES, {})


@pytest.mark.parametrize(
    ("line", "reads", "writes"),
    [
        ("c = PartitionedCall/reads(v, x)", {0}, set()),
        ("c = sets(x, v)", set(), {0, 1}),
        ("c = again(x, v)", set(), {0, 1}),
        ("c = If/reads/reads(p, v, x)", {1}, set()),
        ("c = If/reads/sets(p, v, x)", {1}, {1, 2}),
    ],
)
def test_what_a_call_does_to_the_handles_that_it_takes(line, reads, writes):
    found = _touched(line)
    assert found == Touched(frozenset(reads), frozenset(writes))


def test_what_is_no_call_touches_nothing():
    assert _touched("y = Neg(x)") is None
    assert _touched("y = PartitionedCall/gone(x)") is None
