"""Beside the examples of these rules: every op, several refs, and values that are reads."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_op_table, load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.rules.composed import RENAMED
from tests.rewrite.texts import run, shown_result

_GIVEN = ("x = Const() dtype=float32 value=float32:[1.0]", "i = Const() dtype=int32 value=int32:1")
_VARIABLES = ("v = VariableV2() dtype=float32 shape=(1)", "w = VariableV2() dtype=float32 shape=(1)")


def _rewritten(*lines: str) -> list[str]:
    return shown_result(rewrite(run("\n".join([*_GIVEN, *lines])), load_ref_ops())).splitlines()


@pytest.mark.parametrize("line", ["y = AddN(x, x) N=2 T=float32", "y = TopKV2(x, i)", "y = Cholesky(x) T=float32"])
def test_what_functions_take_stays(line):
    assert line in _rewritten(line, "fetch y:0", "target i")


def test_one_of_several_refs_is_alive():
    found = _rewritten(*_VARIABLES, "r = RefSelect(i, v, w) T=float32 N=2", "u = Assign(r, x) T=float32", "target u")
    for number, name in enumerate("vw"):
        assert f"r/label_{number} = Const(^i) dtype=int32 value=int32:{number}" in found
        assert f"r/is_{number} = Equal(i, r/label_{number}) T=int32" in found
        assert f"r/switch_{number} = Switch({name}, r/is_{number}) T=resource" in found
    assert "r = Merge(r/switch_0:1, r/switch_1:1) N=2 T=resource" in found
    assert "u = AssignVariableOp(r, x) dtype=float32 validate_shape=true" in found


@pytest.mark.parametrize("line", ["r = RefSelect(i, v, x) T=float32", "r = SdcaShrinkL1(v, x) l1=0.5 l2=0.25"])
def test_a_value_among_the_refs_is_refused(line):
    assert _rewritten(*_VARIABLES, line, "target r") == ["ref-is-fed: r"]


def test_each_weight_is_shrunk():
    found = _rewritten(*_VARIABLES, "r = SdcaShrinkL1(v, w, ^x) l1=0.5 l2=0.25 num_features=2", "target r")
    assert "r = NoOp(^r/weight_0/assign, ^r/weight_1/assign)" in found
    assert "r/weight_1/read = ReadVariableOp(w, ^x) dtype=float32" in found
    assert "r/weight_1/shrinkage = Const(^r/weight_1/read) dtype=float32 value=float32:2.0" in found
    assert "r/weight_0/assign = AssignVariableOp(v, r/weight_0/mul) dtype=float32" in found


def test_a_queue_that_is_a_resource_already_is_taken_as_one():
    found = _rewritten("q = FIFOQueueV2() shared_name='q'", "f = FakeQueue(q)", "n = QueueSize(f)", "fetch n:0")
    assert "f = Identity(q) T=resource" in found and "n = QueueSizeV2(f)" in found


def test_a_sum_begins_with_zeros_and_loses_its_shape():
    found = _rewritten("y = AccumulateNV2(x, x) N=2 T=float32 shape=(1)", "fetch y:0")
    assert "y/sum = AddN(x, x) N=2 T=float32" in found
    assert "y = AddV2(y/sum, y/zero) T=float32" in found
    assert any(line.startswith("y/zero = Const(^y/sum) dtype=float32") for line in found)


def test_a_sum_of_integers_has_one_zero():
    found = _rewritten("i = Const() dtype=int32 value=int32:1", "y = AccumulateNV2(i, i) N=2 T=int32", "fetch y:0")
    assert "y = AddN(i, i) N=2 T=int32" in found


@pytest.mark.parametrize(("at_once", "op"), [(1, "AddV2"), (10, "AddN")])
def test_a_sum_in_a_loop_begins_with_zeros_where_one_iteration_runs_at_a_time(at_once, op):
    # accumulate_n_optimizer.cc: a temporary variable serves one iteration.
    enter = f"frame_name='w' parallel_iterations={at_once}"
    found = _rewritten(
        f"e = Enter(x) T=float32 is_constant=false {enter}",
        "m = Merge(e, n) T=float32 N=2",
        f"l = Enter(x) T=float32 is_constant=true {enter}",
        "c = Less(m, l) T=float32",
        "go = LoopCond(c)",
        "s = Switch(m, go) T=float32",
        "y = AccumulateNV2(s:1, s:1) N=2 T=float32 shape=(1)",
        "n = NextIteration(y) T=float32",
        "o = Exit(s) T=float32",
        "fetch o:0",
    )
    assert any(line.startswith(f"y = {op}(") for line in found)


def test_the_number_of_values_is_an_input():
    found = _rewritten(_VARIABLES[0], "y = TopK(v) T=float32 k=3 sorted=true", "fetch y:0")
    assert "y = TopKV2(v/Read/ReadVariableOp, y/k) T=float32 sorted=true" in found
    assert "y/k = Const(^v/Read/ReadVariableOp) dtype=int32 value=int32:3" in found


@pytest.mark.parametrize("op", sorted(RENAMED.ops))
def test_a_successor_takes_the_same(op):
    assert f"y = {op.removeprefix('Batch')}(x, x) T=float32" in _rewritten(f"y = {op}(x, x) T=float32", "fetch y:0")
    assert load_op_table()[op].deprecated_since and not load_op_table()[op.removeprefix("Batch")].deprecated_since
