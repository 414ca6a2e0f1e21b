"""Loops that TensorFlow does not run are refused; those that Grappler makes good ones of are not."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.broken_loops import find_broken_loop
from migrate.rewrite.engine import rewrite
from tests.rewrite.texts import run

_LOOP = """x = Placeholder() dtype=int32 shape=()
enter = Enter(x) T=int32 frame_name='f'
m = Merge(enter, next) N=2 T=int32
five = Const(^m) dtype=int32 value=int32:5
less = Less(m, five) T=int32
more = LoopCond(less)
s = Switch(m, more) T=int32
next = NextIteration(s:1) T=int32
exit = Exit(s) T=int32
"""


def _with(*lines: str) -> str:
    return _LOOP + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("x = Placeholder() dtype=int32 shape=()\ny = Exit(x) T=int32\nfetch y:0", ("y",)),
        (_with("y = Exit(exit) T=int32", "fetch y:0"), ("y",)),
        (_with("w = VariableV2() dtype=int32 shape=()", "y = RefExit(w) T=int32", "fetch y:0"), ("y",)),
    ],
)
def test_an_exit_without_an_enter(text: str, nodes: tuple[str, ...]) -> None:
    found = find_broken_loop(run(text))
    assert found is not None and (found.code, found.nodes) == ("broken-loop", nodes)
    assert "leaves a loop (Exit), and no Enter begins one" in found.message
    assert rewrite(run(text), load_ref_ops()) == (found,)


_SECOND = (
    "also = LoopCond(less_too)",
    "t = Switch(m, also) T=int32",
    "y = Exit(t) T=int32",
    "fetch y:0",
    "fetch exit:0",
)


@pytest.mark.parametrize(
    "question",
    [
        ("less_too = Greater(m, five) T=int32",),
        ("less_too = Less(five, m) T=int32",),
        ("six = Const(^m) dtype=int32 value=int32:6", "less_too = Less(m, six) T=int32"),
        ("less_too = Less(m:1, five) T=int32",),
        ("less_too = Less(five, five) T=int32",),
    ],
)
def test_two_questions_of_one_loop(question: tuple[str, ...]) -> None:
    text = _with(*question, *_SECOND)
    found = find_broken_loop(run(text))
    assert found is not None and (found.code, found.nodes) == ("broken-loop", ("also", "more"))
    assert "the loop 'f' has 2 LoopConds, 'also' and 'more', so the graph cannot run" in found.message
    assert rewrite(run(text), load_ref_ops()) == (found,)


def test_two_questions_outside_of_loops() -> None:
    text = """p = Placeholder() dtype=bool shape=()
q = Placeholder() dtype=bool shape=()
a = LoopCond(p)
b = LoopCond(q)
y = LogicalAnd(a, b)
fetch y:0"""
    found = find_broken_loop(run(text))
    assert found is not None and (found.code, found.nodes) == ("broken-loop", ("a", "b"))
    assert found.message.startswith("run: outside of all loops there are 2 LoopConds")


@pytest.mark.parametrize(
    "lines",
    [
        # Grappler takes them for one.
        ("also = LoopCond(less)", *_SECOND[1:]),
        ("less_too = Less(m, five) T=int32", *_SECOND),
        ("too = Const(^m) dtype=int32 value=int32:5", "less_too = Less(m, too) T=int32", *_SECOND),
        # TensorFlow does not count it.
        (
            "less_too = Greater(m, five) T=int32",
            "LoopCounter = LoopCond(less_too)",
            "fetch LoopCounter:0",
            "fetch exit:0",
        ),
        # A loop within the loop.
        (
            "e = Enter(s:1) T=int32 frame_name='g'",
            "n = Merge(e, after) N=2 T=int32",
            "nine = Const(^n) dtype=int32 value=int32:9",
            "under = Less(n, nine) T=int32",
            "on = LoopCond(under)",
            "u = Switch(n, on) T=int32",
            "after = NextIteration(u:1) T=int32",
            "out = Exit(u) T=int32",
            "y = Exit(out) T=int32",
            "fetch y:0",
            "fetch exit:0",
        ),
        # Outside of loops it is an Identity.
        ("yes = LoopCond(q)", "q = Placeholder() dtype=bool shape=()", "fetch yes:0", "fetch exit:0"),
        ("fetch exit:0",),
    ],
)
def test_loops_that_run(lines: tuple[str, ...]) -> None:
    assert find_broken_loop(run(_with(*lines))) is None


_OTHER = "w = Placeholder() dtype=int32 shape=()"
_TWO_FRAMES = (
    "e = Enter(w) T=int32 frame_name='g' is_constant=true",
    "bad = Add(e, s:1) T=int32",
    "y = Exit(bad) T=int32",
)


@pytest.mark.parametrize(
    ("lines", "node"),
    [
        (("bad = Add(exit, w) T=int32", "y = Sub(bad, s:1) T=int32"), "y"),
        (("bad = Sub(s:1, w) T=int32", "e = Enter(bad) T=int32 frame_name='g'", "y = Exit(e) T=int32"), "bad"),
        (_TWO_FRAMES, "bad"),
    ],
)
def test_inputs_of_several_loops(lines: tuple[str, ...], node: str) -> None:
    found = find_broken_loop(run(_with(_OTHER, *lines, "fetch y:0")))
    assert found is not None and (found.code, found.nodes) == ("broken-loop", (node,))
    assert "alone is in the loop" in found.message


@pytest.mark.parametrize(
    "lines",
    [
        # Of a loop's end and what is outside.
        ("y = Add(exit, w) T=int32",),
        # What Grappler may take out: constants, shapes, and what nobody needs the value of.
        ("c = Const() dtype=int32 value=int32:0", "bad = Mul(s:1, c) T=int32", "y = Exit(bad) T=int32"),
        ("z = Size(s:1) T=int32 out_type=int32", "y = Add(z, w) T=int32"),
        ("bad = Add(s:1, w) T=int32", "y = Size(bad) T=int32 out_type=int32"),
        ("y = Identity(w, ^s) T=int32",),
    ],
)
def test_inputs_that_may_be_good(lines: tuple[str, ...]) -> None:
    assert find_broken_loop(run(_with(_OTHER, *lines, "fetch y:0"))) is None
