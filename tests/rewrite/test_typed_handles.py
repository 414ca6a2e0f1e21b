from __future__ import annotations

import pytest

from migrate.rewrite.typed_handles import STRICT, needs_type, typed_handle
from tests.rewrite.texts import node, shown


@pytest.mark.parametrize(
    ("op", "handle", "needs"),
    [
        ("AssignAddVariableOp", "inner", False),
        ("ResourceScatterAdd", "inner", False),
        ("ResourceCountUpTo", "captured", True),
        ("ResourceCountUpTo", "inner", True),
        ("ResourceScatterNdAdd", "captured", False),
        ("ResourceScatterNdAdd", "inner:1", True),
        ("ResourceScatterNdUpdate", "inner", True),
        ("ResourceGatherNd", "captured", False),
        ("ResourceGatherNd", "inner", True),
    ],
)
def test_which_handles_need_a_type(op, handle, needs):
    assert needs_type(node(f"u = {op}({handle}, a)"), {"inner", "u"}) is needs


def test_each_strict_op_needs_one_somewhere():
    assert len(STRICT) == 7
    assert all(needs_type(node(f"u = {op}(inner)"), {"inner"}) for op in STRICT)


def test_a_handle_is_taken_out_of_a_list_that_begins_with_one_of_its_type():
    user = node("u = ResourceCountUpTo(captured) T=int64")
    assert shown(typed_handle(user, {"u", "u/like"})).splitlines() == [
        "u/like_1 = VarHandleOp() dtype=int64 shape=() shared_name='u/like_1'",
        "u/handles = Pack(u/like_1, captured:0) N=2 T=resource axis=0",
        "u/handles/begin = Const(^u/handles) dtype=int32 value=int32:[1]",
        "u/handles/end = Const(^u/handles) dtype=int32 value=int32:[2]",
        "u/handles/strides = Const(^u/handles) dtype=int32 value=int32:[1]",
        "u/handle = StridedSlice(u/handles, u/handles/begin, u/handles/end, u/handles/strides)"
        " Index=int32 T=resource shrink_axis_mask=1",
    ]


def test_in_a_branch_the_list_waits_for_the_handle_and_its_shape_is_open():
    like = next(typed_handle(node("u = ResourceScatterNdAdd(switch:1, a) T=float32"), {"switch"}))
    assert shown([like]) == "u/like = VarHandleOp(^switch) dtype=float32 shape=(...) shared_name='u/like'"


def test_an_op_says_the_dtype_of_the_variable_by_one_of_two_names():
    like = next(typed_handle(node("u = ResourceGatherNd(switch, a) Tindices=int32 dtype=float64"), {"switch"}))
    assert shown([like]) == "u/like = VarHandleOp(^switch) dtype=float64 shape=(...) shared_name='u/like'"
