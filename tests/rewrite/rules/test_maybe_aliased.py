"""A tensor that is a variable's buffer or a value is carried as both; of the two one is alive."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import rewrite
from tests.rewrite.texts import run, shown_result

_GIVEN = (
    "x = Placeholder() dtype=float32",
    "p = Placeholder() dtype=bool",
    "v = VariableV2() dtype=float32 shape=()",
    "read = Identity(v) T=float32",
)
_MIXED = ("s = Switch(x, p) T=float32", "r = Switch(read, p) T=float32", "m = Merge(s, r:1) N=2 T=float32")


def _rewritten(*lines: str) -> list[str]:
    return shown_result(rewrite(run("\n".join([*_GIVEN, *lines])), load_ref_ops())).splitlines()


def _used(through: str, *more: str) -> list[str]:
    """What becomes of such a tensor that passes through a node `i`, and is used after the variable is written."""
    write, use = "w = AssignAdd(v, x, ^i) T=float32", "y = Neg(i, ^w) T=float32"
    return _rewritten(*_MIXED, through, *more, write, use, "fetch y:0")


def test_where_nothing_is_written_one_tensor_suffices():
    found = _rewritten(*_MIXED, "y = Neg(m) T=float32", "fetch y:0")
    assert "y = Neg(m) T=float32" in found and "m = Merge(s, r:1) N=2 T=float32" in found
    assert not [line for line in found if "as_handle" in line or "as_value" in line]


def test_a_merge_gives_both_and_a_use_takes_what_there_is():
    found = _rewritten(*_MIXED, "w = AssignAdd(v, x, ^m) T=float32", "y = Neg(m, ^w) T=float32", "fetch y:0")
    assert "m/as_handle = Identity(r:1) T=resource" in found
    assert "m/as_value = Identity(s) T=float32" in found
    assert "y/in0/ReadVariableOp = ReadVariableOp(m/as_handle, ^w) dtype=float32" in found
    assert "y/in0/either = Merge(y/in0/ReadVariableOp, m/as_value) N=2 T=float32" in found
    assert "y = Neg(y/in0/either, ^w) T=float32" in found


def test_the_node_itself_stays_for_those_that_wait_for_it():
    found = _rewritten(*_MIXED, "w = AssignAdd(v, x, ^m) T=float32", "y = Neg(m, ^w) T=float32", "fetch y:0")
    assert any(line.startswith("m = Merge(") for line in found)
    assert "w = AssignAddVariableOp(v, x, ^m) dtype=float32" in found


def test_an_identity_hands_both_on():
    found = _used("i = Identity(m, ^x) T=float32")
    assert "i/as_handle = Identity(m/as_handle, ^x) T=resource" in found
    assert "i/as_value = Identity(m/as_value, ^x) T=float32" in found


def test_what_looks_at_its_input_does_so_before_both_go_on():
    found = _used("i = CheckNumerics(m) T=float32 message='no'")
    assert "i/as_handle = Identity(m/as_handle, ^i) T=resource" in found
    assert "i/as_value = Identity(m/as_value, ^i) T=float32" in found


def test_a_reshaping_is_done_to_the_value_and_again_to_each_read():
    found = _used("i = Reshape(m, one) T=float32", "one = Const() dtype=int32 value=int32:[1]")
    assert "i/as_handle = Identity(m/as_handle, ^one) T=resource" in found
    assert "i/as_value = Reshape(m/as_value, one) T=float32" in found
    assert "y/in0/step_0 = Reshape(y/in0/ReadVariableOp, y/in0/step_0/operand_0) T=float32" in found
    assert "y/in0/either = Merge(y/in0/step_0, i/as_value) N=2 T=float32" in found


def test_a_switch_hands_both_on_under_its_predicate():
    switch = "q = Switch(m, p, ^x) T=float32"
    found = _used("i = Identity(q:1) T=float32", switch)
    assert "q/as_handle = Switch(m/as_handle, p, ^x) T=resource" in found
    assert "q/as_value = Switch(m/as_value, p, ^x) T=float32" in found
    assert "i/as_value = Identity(q/as_value:1) T=float32" in found


_LOOP = (
    "m = Merge(e, n) N=2 T=float32",
    "less = Less(m, m) T=float32",
    "c = LoopCond(less)",
    "s = Switch(m, c) T=float32",
    "w = AssignAdd(in, s:1) T=float32",
    "in = RefEnter(v) T=float32 frame_name='l' is_constant=true",
    "y = Exit(s) T=float32",
    "fetch y:0",
)


@pytest.mark.parametrize(
    ("start", "step", "dead"),
    [("read", "Neg(s:1, ^w)", "value"), ("x", "Identity(in, ^w)", "handle")],
    ids=["a read at first", "a read later"],
)
def test_a_loop_gets_an_enter_that_is_dead_for_the_other(start, step, dead):
    enter = f"e = Enter({start}) T=float32 frame_name='l'"
    found = _rewritten(*_LOOP, enter, f"step = {step} T=float32", "n = NextIteration(step) T=float32")
    made = {line.partition(" = ")[0]: line.partition(" = ")[2] for line in found}
    dtype = "float32" if dead == "value" else "resource"
    assert made["e/never"] == f"Enter(e/never/switch) T={dtype} frame_name='l'"
    assert made["e/never/switch"].endswith(f", e/never/true) T={dtype}")
    assert "value=bool:true" in made["e/never/true"]
    assert "e/never" in made[f"m/as_{dead}"]
    assert {"m/as_handle", "m/as_value"} <= made.keys()
