"""How many elements a list has after a loop that writes it."""

from __future__ import annotations

import pytest

from tests.proof.test_lists import _edited, _loop, _proved

_ENTERS = (
    "a_in = Enter(a) T=resource frame_name='while' is_constant=true parallel_iterations=10",
    "vec = Enter(x) T=float32 frame_name='while' is_constant=true parallel_iterations=10",
)
_WRITE = "w = TensorArrayWriteV3(a_in, i, vec, f) T=float32"
_SET = "w = TensorListSetItem(f, i, vec) element_dtype=float32"
_ARRAY = (
    "a = TensorArrayV3(two) dtype=float32 element_shape=() dynamic_size=false",
    *_loop("a:1", "float32", _WRITE, more=_ENTERS),
    "all = Range(zero, two, one) Tidx=int32",
    "out = TensorArrayGatherV3(a, all, end) dtype=float32 element_shape=()",
)
_LIST = (
    "none = Const() dtype=int32 value=int32:[]",
    "a = TensorListReserve(none, two) element_dtype=float32 shape_type=int32",
    *_loop("a", "variant", _SET, more=_ENTERS[1:]),
    "out = TensorListStack(end, none) element_dtype=float32 num_elements=-1",
)
_GROWS = "element_dtype=float32 resize_if_index_out_of_bounds=true"


def test_it_is_the_size_with_which_it_was_made():
    assert _proved(_ARRAY, _LIST)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Range(zero, two", "Range(zero, one"),
        ("Range(zero, two", "Range(one, two"),
        ("TensorArrayV3(two)", "TensorArrayV3(one)"),
        # Under a greater index it has more elements.
        ("dynamic_size=false", "dynamic_size=true"),
    ],
)
def test_other_elements_are_not_all(old, new):
    assert not _proved(_edited(_ARRAY, old, new), _LIST)


def test_a_list_that_may_grow_has_another_size():
    assert not _proved(_ARRAY, _edited(_LIST, _SET, _SET.replace("element_dtype=float32", _GROWS)))


def test_the_size_of_one_that_grows_is_asked_of_it():
    asked = _edited(_edited(_ARRAY, "dynamic_size=false", "dynamic_size=true"), "Range(zero, two", "Range(zero, size")
    asked = _edited(asked, "all = ", "size = TensorArraySizeV3(a, end)\nall = ")
    assert _proved(asked, _edited(_LIST, _SET, _SET.replace("element_dtype=float32", _GROWS)))
    assert not _proved(asked, _LIST)
