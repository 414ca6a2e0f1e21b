"""A loop that writes each element of an array, all of which are then joined."""

from __future__ import annotations

import pytest

from tests.proof.test_lists import _edited, _loop, _proved

_HANDLE = "a_in = Enter(a) T=resource frame_name='while' is_constant=true parallel_iterations=10"
_ROW = "row = Const() dtype=int32 value=int32:[1]\nxs = Reshape(x, row) T=float32 Tshape=int32\n"
_WRITE = "vec = Enter(xs) T=float32 frame_name='while' is_constant=true parallel_iterations=10"
_ARRAY = (
    *_ROW.splitlines(),
    "a = TensorArrayV3(two) dtype=float32 element_shape=(1)",
    *_loop("a:1", "float32", "w = TensorArrayWriteV3(a_in, i, vec, f) T=float32", more=(_HANDLE, _WRITE)),
    "out = TensorArrayConcatV3(a, end) dtype=float32",
)
_LIST = (
    *_ROW.splitlines(),
    "none = Const() dtype=int64 value=int64:[]",
    "rows = Const() dtype=int32 value=int32:[-1]",
    "a = TensorListReserve(row, two) element_dtype=float32 shape_type=int32",
    *_loop("a", "variant", "w = TensorListSetItem(f, i, vec) element_dtype=float32", more=(_WRITE,)),
    "out = TensorListConcatV2(end, any, none) element_dtype=float32 shape_type=int32",
)


def test_what_a_loop_fills_is_joined_as_a_list_is():
    assert _proved(_ARRAY, _ARRAY)
    assert _proved(_ARRAY, _LIST)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Fewer iterations than elements, or more, or another first one.
        ("TensorArrayV3(two)", "TensorArrayV3(three)\nthree = Const() dtype=int32 value=int32:3"),
        ("TensorArrayV3(two)", "TensorArrayV3(k)\nk = Placeholder() dtype=int32"),
        ("Enter(zero)", "Enter(one)"),
        ("Less(m_i, limit)", "LessEqual(m_i, limit)"),
        ("Less(m_i, limit)", "Less(limit, m_i)"),
        # Two steps at once, or another number than that of the iteration.
        ("AddV2(i, step)", "AddV2(i, i)"),
        ("WriteV3(a_in, i, vec, f)", "WriteV3(a_in, i_1, vec, f)"),
        ("WriteV3(a_in, i, vec, f)", "WriteV3(a_in, step, vec, f)"),
        # What the loop began with.
        ("ConcatV3(a, end)", "ConcatV3(a, a:1)"),
    ],
)
def test_one_that_may_leave_an_element_out_is_not(old, new):
    lists = {"TensorArrayV3(two)": "TensorListReserve(row, two)", "WriteV3(a_in, i, vec, f)": "SetItem(f, i, vec)"}
    candidate = _edited(_LIST, lists[old], _as_list(old, new)) if old in lists else _LIST
    if old not in lists and "Concat" not in old:
        candidate = _edited(_LIST, old, new)
    assert not _proved(_edited(_ARRAY, old, new), candidate)


def _as_list(old: str, new: str) -> str:
    if "Write" in old:
        return f"SetItem(f, {new.split(', ')[1]}, vec)"
    return new.replace("TensorArrayV3(", "TensorListReserve(row, ")


def test_one_that_writes_in_a_branch_alone_is_not():
    write = "w = TensorArrayWriteV3(a_in, i, vec, f) T=float32"
    source = _edited(
        _ARRAY,
        write,
        "p_in = Enter(p) T=bool frame_name='while' is_constant=true parallel_iterations=10\n"
        "b_f = Switch(f, p_in) T=float32\n"
        "b_v = Switch(vec, p_in) T=float32\n"
        "b_i = Switch(i, p_in) T=int32\n"
        "b_w = TensorArrayWriteV3(a_in, b_i:1, b_v:1, b_f:1) T=float32\n"
        "b_n = Identity(b_f) T=float32\n"
        "w = Merge(b_n, b_w) N=2 T=float32",
    )
    candidate = _edited(
        _LIST,
        "w = TensorListSetItem(f, i, vec) element_dtype=float32",
        "p_in = Enter(p) T=bool frame_name='while' is_constant=true parallel_iterations=10\n"
        "b_f = Switch(f, p_in) T=variant\n"
        "b_v = Switch(vec, p_in) T=float32\n"
        "b_i = Switch(i, p_in) T=int32\n"
        "b_w = TensorListSetItem(b_f:1, b_i:1, b_v:1) element_dtype=float32\n"
        "b_n = Identity(b_f) T=variant\n"
        "w = Merge(b_n, b_w) N=2 T=variant",
    )
    assert not _proved(source, candidate)
