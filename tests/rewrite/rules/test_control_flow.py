"""Beside the examples in ref_control_flow.txt and control_flow.txt: loops, outputs, and what is refused."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.rules.control_flow import PLAIN, REF
from tests.rewrite.texts import run, shown_result

_VARIABLE = "v = VariableV2() dtype=float32 shape=()"
_IN_LOOP = "given = Enter(x) T=float32 frame_name='l' is_constant=true"
_ENTER = {"RefExit": (_IN_LOOP, ", ^given"), "RefEnter": (_IN_LOOP, "")}
"""What must be in the graph of an op: an Exit is in a loop, and what follows an Enter."""


def _rewritten(*lines: str) -> list[str]:
    given = ("x = Placeholder() dtype=float32", "p = Placeholder() dtype=bool")
    return shown_result(rewrite(run("\n".join([*given, *lines])), load_ref_ops())).splitlines()


def test_plain_control_flow_without_a_variable_stays():
    lines = ("s = Switch(x, p) T=float32", "t = Neg(s:1) T=float32", "m = Merge(s, t) T=float32")
    found = _rewritten(*lines, _VARIABLE, "w = Assign(v, x) T=float32", "fetch m:0", "target w")
    assert set(lines) <= set(found)


@pytest.mark.parametrize("op", ["RefEnter", "RefExit", "RefIdentity", "RefNextIteration", "DebugGradientRefIdentity"])
def test_an_op_that_passes_a_ref_on_passes_its_handle(op):
    enter, wait = _ENTER.get(op, ("", ""))
    frame = " frame_name='l'" if op == "RefEnter" else ""
    value = "given" if frame else "x"
    passed, write = f"r = {op}(v{wait}) T=float32{frame}", f"w = Assign(r, {value}) T=float32"
    lines = (_VARIABLE, *filter(None, [enter]), passed, write)
    found = _rewritten(*lines, "target w")
    assert f"r = {REF.ops[op].twin}(v{wait}) T=resource{frame}" in found
    assert f"w = AssignVariableOp(r, {value}) dtype=float32 validate_shape=true" in found


def test_both_outputs_of_a_switch_are_handles():
    lines = ("s = RefSwitch(v, p) T=float32", "a = Assign(s, x) T=float32", "b = AssignAdd(s:1, x) T=float32")
    found = _rewritten(_VARIABLE, *lines, "target a", "target b")
    assert "s = Switch(v, p) T=resource" in found
    assert {
        "a = AssignVariableOp(s, x) dtype=float32 validate_shape=true",
        "b = AssignAddVariableOp(s:1, x) dtype=float32",
    } <= set(found)


@pytest.mark.parametrize("op", sorted(REF.ops))
def test_a_value_in_a_refs_place_is_refused(op):
    enter, wait = _ENTER.get(op, ("", ""))
    lines = (*filter(None, [enter]), f"r = {op}(x, p{wait}) T=float32", "y = Neg(r) T=float32", "fetch y:0")
    assert _rewritten(*lines) == ["ref-is-fed: r"]


def test_a_loop_variable_that_is_a_ref_at_first_and_a_value_later_is_refused():
    loop = (
        "e = RefEnter(v) T=float32 frame_name='l'",
        "m = Merge(e, n) T=float32",
        "q = Enter(p) T=bool frame_name='l' is_constant=true",
        "c = LoopCond(q)",
        "s = Switch(m, c) T=float32",
        "n = NextIteration(grown) T=float32",
        "y = Exit(s) T=float32",
    )
    found = _rewritten(_VARIABLE, *loop, "grown = Neg(s:1) T=float32", "fetch y:0")
    assert found == ["ref-loop-variable: e, m"]


def test_a_buffer_that_is_written_is_passed_on_as_its_handle():
    lines = (
        "read = Identity(v) T=float32",
        "s = Switch(read, p, ^read) T=float32",
        "w = AssignAdd(v, x, ^s) T=float32",
        "y = Neg(s:1, ^w) T=float32",
    )
    found = _rewritten(_VARIABLE, *lines, "fetch y:0")
    assert "s = Switch(read, p, ^read) T=resource" in found
    assert "y/in0/ReadVariableOp = ReadVariableOp(s:1, ^w) dtype=float32" in found
    assert PLAIN.ops["Switch"].outputs == 2


def test_a_buffer_of_a_computed_shape_is_not_passed_on():
    lines = (
        "size = Placeholder() dtype=int32",
        "read = Reshape(v, size) T=float32",
        "s = Switch(read, p) T=float32",
        "w = AssignAdd(v, x, ^s) T=float32",
        "y = Neg(s:1, ^w) T=float32",
    )
    assert _rewritten(_VARIABLE, *lines, "fetch y:0") == ["reshape-in-control-flow: s, read"]
