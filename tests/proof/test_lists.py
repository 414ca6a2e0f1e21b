"""TensorArrays that are values: where the flow says what is in them, and where it does not."""

from __future__ import annotations

import pytest

from migrate.proof.difference import difference
from migrate.proof.model import Model
from migrate.proof.records import Proved
from migrate.proof.settling import more_computed, settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched
from tests.proof import graphs
from tests.rewrite.texts import node

_SCALARS = ("zero = Const() dtype=int32 value=int32:0", "one = Const() dtype=int32 value=int32:1")
_BEGIN = (
    "x = Placeholder() dtype=float32",
    "y = Placeholder() dtype=float32",
    "p = Placeholder() dtype=bool",
    *_SCALARS,
    "two = Const() dtype=int32 value=int32:2",
    "any = Const() dtype=int32 value=int32:-1",
)
_STRAIGHT = (
    "a = TensorArrayV3(two) dtype=float32",
    "w = TensorArrayWriteV3(a, zero, x, a:1) T=float32",
    "v = TensorArrayWriteV3(a, one, y, w) T=float32",
    "out = TensorArrayReadV3(a, one, v) dtype=float32",
)
_STRAIGHT_LIST = (
    "a = TensorListReserve(any, two) element_dtype=float32 shape_type=int32",
    "w = TensorListSetItem(a, zero, x) element_dtype=float32",
    "v = TensorListSetItem(w, one, y) element_dtype=float32",
    "out = TensorListGetItem(v, one, any) element_dtype=float32",
)


def _loop(carried: str, dtype: str, *body: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A loop from 0 to 2 with a number `i` and something that is carried: `f` when it begins, `next` when it ends."""
    return (
        "enter_i = Enter(zero) T=int32 frame_name='while' parallel_iterations=10",
        f"enter_f = Enter({carried}) T={dtype} frame_name='while' parallel_iterations=10",
        "limit = Enter(two) T=int32 frame_name='while' is_constant=true parallel_iterations=10",
        "step = Enter(one) T=int32 frame_name='while' is_constant=true parallel_iterations=10",
        "x_in = Enter(x) T=float32 frame_name='while' is_constant=true parallel_iterations=10",
        *more,
        "m_i = Merge(enter_i, next_i) N=2 T=int32",
        f"m_f = Merge(enter_f, next_f) N=2 T={dtype}",
        "less = Less(m_i, limit) T=int32",
        "go = LoopCond(less)",
        "s_i = Switch(m_i, go) T=int32",
        f"s_f = Switch(m_f, go) T={dtype}",
        "i = Identity(s_i:1) T=int32",
        f"f = Identity(s_f:1) T={dtype}",
        *body,
        "i_1 = AddV2(i, step) T=int32",
        "next_i = NextIteration(i_1) T=int32",
        f"next_f = NextIteration(w) T={dtype}",
        f"end = Exit(s_f) T={dtype}",
    )


_HANDLE = ("a_in = Enter(a) T=resource frame_name='while' is_constant=true parallel_iterations=10",)
_WRITTEN = "w = TensorArrayWriteV3(a_in, i, x_in, f) T=float32"
_SET = "w = TensorListSetItem(f, i, x_in) element_dtype=float32"
_AFTER = (
    "size = TensorArraySizeV3(a, end)",
    "all = Range(zero, size, one) Tidx=int32",
    "out = TensorArrayGatherV3(a, all, end) dtype=float32",
)
_STACK = ("out = TensorListStack(end, any) element_dtype=float32 num_elements=-1",)
_MAPPED = (_STRAIGHT[0], *_loop("a:1", "float32", _WRITTEN, more=_HANDLE), *_AFTER)
_MAPPED_LIST = (_STRAIGHT_LIST[0], *_loop("a", "variant", _SET), *_STACK)
_ROWS = (
    "shape = Shape(x) T=float32 out_type=int32",
    "n = StridedSlice(shape, zero, one, one) T=int32 Index=int32 shrink_axis_mask=1",
    "every = Range(zero, n, one) Tidx=int32",
    "a = TensorArrayV3(n) dtype=float32",
    "w = TensorArrayScatterV3(a, every, x, a:1) T=float32",
    "out = TensorArrayReadV3(a, one, w) dtype=float32",
)
_ROWS_LIST = (
    "w = TensorListFromTensor(x, any) element_dtype=float32 shape_type=int32",
    "out = TensorListGetItem(w, one, any) element_dtype=float32",
)
_ROWS_SET = (
    *_ROWS[:3],
    "a = TensorListReserve(any, n) element_dtype=float32 shape_type=int32",
    "w = TensorListScatterIntoExistingList(a, x, every) element_dtype=float32",
    _ROWS_LIST[1],
)


def _model(name: str, shared: Shared, lines: tuple[str, ...]) -> Model:
    return graphs.model(name, shared, [node(line) for line in (*_BEGIN, *lines)])


def _proved(source: tuple[str, ...], candidate: tuple[str, ...]) -> bool:
    """Whether all is proved where arrays are looked at as values."""
    shared = Shared()
    one, first = graphs.side(_model("source", shared, source), ["out"], lowers=True)
    other, second = graphs.side(_model("candidate", shared, candidate), ["out"], lowers=True)
    settle(one, other)
    found = difference(shared.terms, fetched(one, first[0]), fetched(other, second[0]), one.origins, other.origins)
    alike = one.live(first[0]) == other.live(second[0]) and not one.fault() and not other.fault()
    return isinstance(found, Proved) and alike and not more_computed(one, other)


def _edited(lines: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    text = "\n".join(lines)
    assert old in text, old
    return tuple(text.replace(old, new).splitlines())


@pytest.mark.parametrize(
    ("source", "candidate"),
    [(_STRAIGHT, _STRAIGHT_LIST), (_MAPPED, _MAPPED_LIST), (_ROWS, _ROWS_LIST), (_ROWS, _ROWS_SET)],
    ids=["straight", "mapped", "rows", "rows set"],
)
def test_an_array_is_a_list(source, candidate):
    assert _proved(source, candidate)
    assert _proved(source, source)
    assert _proved(candidate, candidate)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TensorListSetItem(w, one, y)", "TensorListSetItem(w, one, x)"),
        ("TensorListSetItem(w, one, y)", "TensorListSetItem(a, one, y)"),
        ("TensorListSetItem(w, one, y)", "TensorListSetItem(w, zero, y)"),
        ("TensorListGetItem(v, one", "TensorListGetItem(w, one"),
        ("TensorListGetItem(v, one", "TensorListGetItem(v, zero"),
        ("TensorListReserve(any, two)", "TensorListReserve(any, one)"),
        ("TensorListReserve(any, two)", "TensorListReserve(two, two)"),
        ("TensorListGetItem(v, one, any)", "TensorListGetItem(v, one, two)"),
        ("(w, one, y) element_dtype=float32", "(w, one, y) element_dtype=float64"),
        ("(v, one, any) element_dtype=float32", "(v, one, any) element_dtype=float64"),
        ("(w, one, y) element", "(w, one, y) resize_if_index_out_of_bounds=true element"),
        ("(w, one, y) element", "(w, one, y) another=true element"),
    ],
)
def test_another_list_is_not_proved(old, new):
    assert not _proved(_STRAIGHT, _edited(_STRAIGHT_LIST, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TensorListSetItem(f, i, x_in)", "TensorListSetItem(f, step, x_in)"),
        ("TensorListStack(end", "TensorListStack(a"),
        ("num_elements=-1", "num_elements=2"),
        ("NextIteration(w)", "NextIteration(f)"),
        ("Enter(zero)", "Enter(one)"),
        (_STACK[0], "out = TensorListGather(end, pair, any) element_dtype=float32\npair = Const() value=int32:[0, 0]"),
    ],
)
def test_another_loop_over_a_list_is_not_proved(old, new):
    assert not _proved(_MAPPED, _edited(_MAPPED_LIST, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FromTensor(x, any)", "FromTensor(y, any)"),
        ("FromTensor(x, any)", "FromTensor(x, two)"),
        ("(x, any) element_dtype=float32", "(x, any) element_dtype=int32"),
    ],
)
def test_other_rows_are_not_proved(old, new):
    assert not _proved(_ROWS, _edited(_ROWS_LIST, old, new))
    assert not _proved(_edited(_ROWS, "Range(zero, n, one)", "Range(one, n, one)"), _ROWS_LIST)
    assert not _proved(_edited(_ROWS, "a = TensorArrayV3(n)", "a = TensorArrayV3(two)"), _ROWS_LIST)


@pytest.mark.parametrize(
    ("edits", "in_list"),
    [
        # Two writes begin at one flow: the array has both, each list has one.
        (("(a, one, y, w)", "(a, one, y, a:1)"), ("(w, one, y)", "(a, one, y)")),
        # A read that does not wait for a write of which it does not know.
        (("(a, one, v)", "(a, one, w)"), ("(v, one, any)", "(w, one, any)")),
        # An element is written twice, which is an error in TF1.
        (("(a, one, y, w)", "(a, zero, y, w)"), ("(w, one, y)", "(w, zero, y)")),
        (("(a, one, y, w)", "(a, k, y, w)"), ("(w, one, y)", "(w, k, y)")),
    ],
)
def test_an_array_whose_flow_says_too_little_is_no_list(edits, in_list):
    more = ("k = Placeholder() dtype=int32",)
    kept = ("sees = Identity(out, ^v, ^w) T=float32",)
    source = (*more, *_edited(_STRAIGHT, *edits), *kept)
    candidate = (*more, *_edited(_STRAIGHT_LIST, *in_list), *kept)
    both = [_edited(lines, "out = ", "was = ") for lines in (source, candidate)]
    assert not _proved(*(_edited(_edited(lines, "(out", "(was"), "sees = ", "out = ") for lines in both))


def test_a_read_that_a_write_waits_for_does_not_see_it():
    early = "early = TensorArrayReadV3(a, zero, w) dtype=float32"
    waits = "v = TensorArrayWriteV3(a, one, early, w) T=float32"
    made = f"{_STRAIGHT[0]} clear_after_read=false"
    source = (made, _STRAIGHT[1], early, waits, _STRAIGHT[3])
    item = "early = TensorListGetItem(w, zero, any) element_dtype=float32"
    candidate = (*_STRAIGHT_LIST[:2], item, _STRAIGHT_LIST[2].replace("y)", "early)"), _STRAIGHT_LIST[3])
    assert _proved(source, candidate)
    assert not _proved((*source[:3], waits.replace("early", "y"), source[4], "e = Identity(early)"), candidate)


@pytest.mark.parametrize("clear", ["", " clear_after_read=true"])
@pytest.mark.parametrize("again", ["Read", "Gather"])
def test_an_array_that_two_ops_read_is_no_list_unless_it_keeps_what_is_read(clear, again):
    """The second read of an element fails where the first has cleared it."""
    read = {
        "Read": (
            "again = TensorArrayReadV3(a, one, v) dtype=float32",
            "again = TensorListGetItem(v, one, any) element_dtype=float32",
        ),
        "Gather": (
            "all = Range(zero, two, one) Tidx=int32\nagain = TensorArrayGatherV3(a, all, v) dtype=float32",
            "again = TensorListStack(v, any) element_dtype=float32 num_elements=-1",
        ),
    }[again]
    both = "\nout = Pack(first, again) N=2 T=float32"
    candidate = (*_edited(_STRAIGHT_LIST, "out = ", "first = "), *(read[1] + both).splitlines())
    after = (*_edited(_STRAIGHT[1:], "out = ", "first = "), *(read[0] + both).splitlines())
    assert not _proved((_STRAIGHT[0] + clear, *after), candidate)
    assert _proved((f"{_STRAIGHT[0]} clear_after_read=false", *after), candidate)


@pytest.mark.parametrize(
    ("old", "new", "item"),
    [
        # The same element in each iteration.
        ("(a_in, i, x_in, f)", "(a_in, step, x_in, f)", ("(f, i, x_in)", "(f, step, x_in)")),
        # What enters is written to in each iteration.
        ("a_in, i, x_in, f)", "a_in, i, x_in, same)", ("(f, i, x_in)", "(same, i, x_in)")),
    ],
)
def test_a_loop_that_writes_an_element_again_is_no_list(old, new, item):
    same = "same = Enter(a:1) T=float32 frame_name='while' is_constant=true parallel_iterations=10"
    source = (*_edited(_MAPPED, old, new), *([same] if "same" in new else []))
    same = same.replace("a:1", "a").replace("float32", "variant")
    candidate = (*_edited(_MAPPED_LIST, *item), *([same] if "same" in new else []))
    assert not _proved(source, candidate)


def test_a_loop_that_reads_what_it_writes_is_no_list():
    """What one iteration reads another one writes; and an element that is written before the loop may be, too."""
    first = ("first = TensorArrayWriteV3(a, zero, x, a:1) T=float32",)
    body = ("got = TensorArrayReadV3(a_in, i, f) dtype=float32", "to = AddV2(i, step) T=int32")
    write = "w = TensorArrayWriteV3(a_in, to, got, f) T=float32"
    source = (_STRAIGHT[0], *first, *_loop("first", "float32", *body, write, more=_HANDLE), *_AFTER)
    item = ("got = TensorListGetItem(f, i, any) element_dtype=float32", body[1])
    put = "w = TensorListSetItem(f, to, got) element_dtype=float32"
    set_first = "first = TensorListSetItem(a, zero, x) element_dtype=float32"
    assert not _proved(source, (_STRAIGHT_LIST[0], set_first, *_loop("first", "variant", *item, put), *_STACK))


def test_the_flow_of_an_array_is_no_output():
    flow = _edited(_STRAIGHT, "out = ", "was = ")
    assert not _proved((*flow, "out = Identity(v) T=float32"), (*flow, "out = Identity(v) T=float32"))
    item = _edited(_STRAIGHT_LIST, "out = ", "was = ")
    assert not _proved((*flow, "out = Identity(v) T=float32"), (*item, "out = Identity(v) T=variant"))


def test_an_array_with_a_gradient_is_no_list():
    grad = ("g = TensorArrayGradV3(a, v) source='gradients'",)
    asked = (*grad, "all = Identity(was, ^g) T=float32")
    source = (*_edited(_STRAIGHT, "out = ", "was = "), *_edited(asked, "all = ", "out = "))
    assert not _proved(source, (*_edited(_STRAIGHT_LIST, "out = ", "was = "), "out = Identity(was) T=float32"))


def test_what_is_put_into_an_array_may_be_no_variable_that_the_call_writes():
    """The array has the variable's buffer, which is written in place."""
    variable = ("var = VariableV2() dtype=float32",)
    late = ("add = AssignAdd(var, y, ^w) T=float32", "z = Identity(x, ^add) T=float32")
    array = _edited(_edited(_STRAIGHT, "(a, zero, x", "(a, zero, var"), "ReadV3(a, one, v)", "ReadV3(a, zero, v, ^add)")
    handle = ("var = VarHandleOp() dtype=float32 shared_name='var'", "r = ReadVariableOp(var) dtype=float32")
    add = ("add = AssignAddVariableOp(var, y, ^w) dtype=float32",)
    item = _edited(_edited(_STRAIGHT_LIST, "(a, zero, x", "(a, zero, r"), "(v, one, any)", "(v, zero, any, ^add)")
    assert not _proved((*variable, *array, *late), (*handle, *add, *item))
    assert not _proved((*variable, *array, *late), (*handle, *add, *_edited(array, "zero, var", "zero, r")))


def test_an_array_that_one_of_two_branches_writes_is_a_list():
    source = (
        *_STRAIGHT[:2],
        "s = Switch(w, p) T=float32",
        "sy = Switch(y, p) T=float32",
        "then = TensorArrayWriteV3(a, one, sy:1, s:1) T=float32",
        "m = Merge(s, then) N=2 T=float32",
        "out = TensorArrayReadV3(a, zero, m) dtype=float32",
    )
    candidate = (
        *_STRAIGHT_LIST[:2],
        "s = Switch(w, p) T=variant",
        source[3],
        "then = TensorListSetItem(s:1, one, sy:1) element_dtype=float32",
        "m = Merge(s, then) N=2 T=variant",
        "out = TensorListGetItem(m, zero, any) element_dtype=float32",
    )
    assert _proved(source, candidate)
    assert not _proved(source, _edited(candidate, "(m, zero, any)", "(m, one, any)"))
    assert not _proved(source, _edited(candidate, "(s:1, one, sy:1)", "(s:1, one, x)"))
