"""Beside the examples in stack.txt and array*.txt: every op, frames, and operands that are reads."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.rules.arrays import ARRAY, GRAD, USER
from tests.rewrite.texts import run, shown_result

_GIVEN = ("size = Const() dtype=int32 value=int32:2", "flow = Const() dtype=float32 value=float32:0.0")


def _rewritten(*lines: str) -> list[str]:
    return shown_result(rewrite(run("\n".join([*_GIVEN, *lines])), load_ref_ops())).splitlines()


def test_an_array_of_today_stays():
    lines = ["a = TensorArrayV3(size) dtype=float32", "n = TensorArraySizeV3(a, flow)", "fetch n:0"]
    assert _rewritten(*lines) == [*_GIVEN, *lines]


def test_a_stack_without_a_bound_stands_in_the_frame_of_its_controls():
    found = _rewritten("s = Stack(^size) elem_type=float32", "u = StackPush(s, flow) T=float32", "target u")
    assert "s/max_size = Const(^size) dtype=int32 value=int32:-1" in found
    assert "s = StackV2(s/max_size, ^size) elem_type=float32" in found
    assert "u = StackPushV2(s, flow) T=float32" in found


@pytest.mark.parametrize("op", sorted(ARRAY.ops))
def test_an_older_array_becomes_the_third(op):
    assert "a = TensorArrayV3(size) dtype=float32" in _rewritten(f"a = {op}(size) dtype=float32", "target a")


@pytest.mark.parametrize("op", sorted(USER.ops))
def test_what_uses_one_uses_todays(op):
    maker = "a = Stack() elem_type=float32" if op.startswith("Stack") else "a = TensorArrayV2(size) dtype=float32"
    found = _rewritten(maker, f"u = {op}(a, flow, ^size)", "target u")
    assert f"u = {USER.ops[op].twin}(a, flow, ^size)" in found
    assert USER.ops[op].twin.rstrip("23").rstrip("V") == op.rstrip("2").rstrip("V")


@pytest.mark.parametrize("op", sorted(GRAD.ops))
def test_the_array_of_a_gradient(op):
    array, grad = "a = TensorArrayV2(size) dtype=float32", f"g = {op}(a, flow) source='s'"
    found = _rewritten(array, grad, "u = TensorArrayWriteV2(g, size, flow, flow) T=float32", "target u")
    assert "g = TensorArrayGradV3(a, flow) source='s'" in found
    assert "u = TensorArrayWriteV3(g, size, flow, flow) T=float32" in found


def test_all_rows_are_put_together_and_taken_apart():
    array = "a = TensorArray(size) dtype=float32"
    packed = _rewritten(array, "y = TensorArrayPack(a, flow) dtype=float32", "fetch y:0")
    assert "y = TensorArrayGatherV3(a, y/range, flow) dtype=float32" in packed
    assert "y/range = Range(y/start, y/size, y/delta) Tidx=int32" in packed
    assert "y/start = Const(^y/size) dtype=int32 value=int32:0" in packed
    unpacked = _rewritten(array, "y = TensorArrayUnpack(a, flow, flow) T=float32", "fetch y:0")
    assert "y = TensorArrayScatterV3(a, y/range, flow, flow) T=float32" in unpacked
    assert "y/shape = Shape(flow) T=float32 out_type=int32" in unpacked


def test_a_value_that_is_a_variable_is_read():
    found = _rewritten(
        "v = VariableV2() dtype=float32 shape=(2)",
        "a = TensorArray(size) dtype=float32",
        "y = TensorArrayUnpack(a, v, flow) T=float32",
        "fetch y:0",
    )
    assert "v/Read/ReadVariableOp = ReadVariableOp(v) dtype=float32" in found
    assert "y = TensorArrayScatterV3(a, y/range, v/Read/ReadVariableOp, flow) T=float32" in found
