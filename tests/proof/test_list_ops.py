"""Arrays whose accesses are in one line are lists; of any other one that is not proved."""

from __future__ import annotations

import pytest

from migrate.proof.difference import output_difference
from migrate.proof.records import Proved
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from tests.proof.graphs import model, side
from tests.rewrite.texts import node

_BASE = """x = Placeholder() dtype=float32
y = Placeholder() dtype=float32
p = Placeholder() dtype=bool
n = Const() dtype=int32 value=int32:2
zero = Const() dtype=int32 value=int32:0
one = Const() dtype=int32 value=int32:1
"""
_ARRAY = "a = TensorArrayV3(n) dtype=float32 element_shape=() dynamic_size=false clear_after_read=true\n"
_LIST = """none = Const() dtype=int32 value=int32:[]
a = TensorListReserve(none, n) element_dtype=float32 shape_type=int32
"""


def _is_proved(source: str, candidate: str) -> bool:
    shared = Shared()
    (first, ours), (second, theirs) = (
        side(model(name, shared, [node(line) for line in (_BASE + text).splitlines()]), ["out"], lowers=True)
        for name, text in (("source", source), ("candidate", candidate))
    )
    settle(first, second)
    return isinstance(output_difference(first, second, ours[0], theirs[0]), Proved)


_TWO = """w = TensorArrayWriteV3(a, zero, x, a:1) T=float32
v = TensorArrayWriteV3(a, one, y, w) T=float32
"""
_TWO_SET = """w = TensorListSetItem(a, zero, x) element_dtype=float32
v = TensorListSetItem(w, one, y) element_dtype=float32
"""


@pytest.mark.parametrize(
    ("access", "twin"),
    [
        (
            "out = TensorArrayReadV3(a, one, v) dtype=float32",
            "out = TensorListGetItem(v, one, none) element_dtype=float32",
        ),
        (
            "out = TensorArrayGatherV3(a, r, v) dtype=float32 element_shape=()\nr = Pack(one, zero) N=2 T=int32 axis=0",
            "out = TensorListGather(v, r, none) element_dtype=float32\nr = Pack(one, zero) N=2 T=int32 axis=0",
        ),
        (
            "out = TensorArrayGatherV3(a, r, v) dtype=float32 element_shape=()\n"
            "s = TensorArraySizeV3(a, v)\nr = Range(zero, s, one) Tidx=int32",
            "out = TensorListStack(v, none) element_dtype=float32 num_elements=-1",
        ),
        (
            "out = TensorArrayGatherV3(a, r, v) dtype=float32 element_shape=()\nr = Range(zero, n, one) Tidx=int32",
            "out = TensorListStack(v, none) element_dtype=float32 num_elements=-1",
        ),
        (
            "out = TensorArrayConcatV3(a, v) dtype=float32 element_shape_except0=()",
            "few = Const() dtype=int32 value=int32:[-1]\nlead = Const() dtype=int64 value=int64:[]\n"
            "out = TensorListConcatV2(v, few, lead) element_dtype=float32 shape_type=int32",
        ),
    ],
)
def test_an_access_is_that_of_a_list(access: str, twin: str) -> None:
    array, made = _ARRAY, _LIST
    if "Concat" in access:
        # An element of a known shape that was never written is zeros to an array, and an error to a list.
        assert not _is_proved(array + _TWO + access, made + _TWO_SET + twin)
        array, made = array.replace("element_shape=() ", ""), made.replace("int32:[]", "int32:-1")
    assert _is_proved(array + _TWO + access, made + _TWO_SET + twin)
    assert not _is_proved(array + _TWO + access, made + _TWO_SET.replace("w, one, y", "w, one, x") + twin)


def test_the_size_is_that_of_a_list() -> None:
    size, length = "out = TensorArraySizeV3(a, v)", "out = TensorListLength(v)"
    assert _is_proved(_ARRAY + _TWO + size, _LIST + _TWO_SET + length)
    assert not _is_proved(_ARRAY + _TWO + size, _LIST.replace(", n)", ", one)") + _TWO_SET + length)
    array, made = (
        _ARRAY.replace("dynamic_size=false", "dynamic_size=true"),
        _TWO_SET.replace("element_dtype=float32", "element_dtype=float32 resize_if_index_out_of_bounds=true"),
    )
    assert _is_proved(array + _TWO + size, _LIST + made + length)
    assert not _is_proved(array + _TWO + size, _LIST + _TWO_SET + length)
    assert not _is_proved(array + _TWO + size, _LIST + made.replace("w, one", "a, one") + length)


def test_an_array_that_a_tensor_fills() -> None:
    count = """shape = Shape(x) T=float32 out_type=int32
from = Const() dtype=int32 value=int32:[0]
to = Const() dtype=int32 value=int32:[1]
size = StridedSlice(shape, from, to, to) Index=int32 T=int32 shrink_axis_mask=1
rows = Range(zero, size, one) Tidx=int32
"""
    read = "out = TensorArrayReadV3(a, one, w) dtype=float32"
    array = _ARRAY.replace("(n)", "(size)") + "w = TensorArrayScatterV3(a, rows, x, a:1) T=float32\n" + read
    item = "out = TensorListGetItem(w, one, none) element_dtype=float32"
    made = "none = Const() dtype=int32 value=int32:[]\n"
    made += "w = TensorListFromTensor({}, none) element_dtype=float32 shape_type=int32\n"
    assert _is_proved(count + array, made.format("x") + item)
    assert not _is_proved(count + array, made.format("y") + item)
    # Of another size, or with rows that are not all.
    assert not _is_proved(count + array.replace("(size)", "(n)"), made.format("x") + item)
    assert not _is_proved(count.replace("zero, size", "one, size") + array, made.format("x") + item)


_READ = "out = TensorArrayReadV3(a, zero, {}) dtype=float32"
_GET = "out = TensorListGetItem({}, zero, none) element_dtype=float32"


@pytest.mark.parametrize(
    ("accesses", "taken"),
    [
        # Two writes take one flow.
        (_TWO.replace("y, w)", "y, a:1, ^w)"), "v"),
        # A read that waits for a write, and takes the flow from before it.
        ("w = TensorArrayWriteV3(a, zero, x, a:1) T=float32\n" + _READ.format("a:1, ^w"), ""),
        # A read and a write of one flow in no order.
        (
            "w = TensorArrayWriteV3(a, zero, x, a:1) T=float32\n"
            + _READ.format("a:1").replace("out", "r")
            + "\ns = TensorArraySizeV3(a, w)\nout = Identity(r, ^s) T=float32",
            "",
        ),
        # A gradient's array.
        (_TWO + "g = TensorArrayGradV3(a, v) source='g'\nh = TensorArraySizeV3(g, g:1)", "v"),
    ],
)
def test_an_array_out_of_line_is_none(accesses: str, taken: str) -> None:
    out = _READ.format(taken) if taken else ""
    if "g =" in accesses:
        out = out.replace("v)", "v, ^h)")
    lists = _TWO_SET.replace("(w, one", "(a, one") if "y, a:1" in accesses else _TWO_SET
    assert not _is_proved(_ARRAY + accesses + "\n" + out, _LIST + lists + _GET.format(taken or "a"))


def test_a_read_before_the_write_that_takes_its_flow() -> None:
    source = _TWO.replace("one, y, w)", "one, seen, w)") + "seen = TensorArrayReadV3(a, zero, w) dtype=float32\n"
    candidate = _TWO_SET.replace("w, one, y", "w, one, seen")
    candidate += "seen = TensorListGetItem(w, zero, none) element_dtype=float32\n"
    end = (
        "out = TensorArrayReadV3(a, one, v) dtype=float32",
        "out = TensorListGetItem(v, one, none) element_dtype=float32",
    )
    array = _ARRAY.replace("clear_after_read=true", "clear_after_read=false")
    assert _is_proved(array + source + end[0], _LIST + candidate + end[1])


_BRANCHES = """h = Switch(a, p) T=resource
f = Switch({flow}, p) T={T}
xs = Switch(x, p) T=float32
ys = Switch(y, p) T=float32
"""


def test_writes_in_the_two_branches_of_a_cond() -> None:
    source = _ARRAY + _BRANCHES.format(flow="a:1", T="float32")
    source += """w = TensorArrayWriteV3(h:1, zero, xs:1, f:1) T=float32
v = TensorArrayWriteV3(h, zero, ys, f) T=float32
m = Merge(v, w) N=2 T=float32
"""
    candidate = _LIST + _BRANCHES.format(flow="a", T="variant").partition("\n")[2]
    candidate += """w = TensorListSetItem(f:1, zero, xs:1) element_dtype=float32
v = TensorListSetItem(f, zero, ys) element_dtype=float32
m = Merge(v, w) N=2 T=variant
"""
    assert _is_proved(source + _READ.format("m"), candidate + _GET.format("m"))
    assert not _is_proved(source + _READ.format("m"), candidate.replace("zero, ys", "zero, ys:1") + _GET.format("m"))


_LOOP = """ei = Enter(zero) T=int32 frame_name='f' is_constant=false
em = Enter(n) T=int32 frame_name='f' is_constant=true
ex = Enter(x) T=float32 frame_name='f' is_constant=true
i = Merge(ei, ni) N=2 T=int32
less = Less(i, em) T=int32
go = LoopCond(less)
si = Switch(i, go) T=int32
step = Const(^i) dtype=int32 value=int32:1
more = Add(si:1, step) T=int32
ni = NextIteration(more) T=int32
"""
_CARRIED = """ef = Enter({flow}) T={T} frame_name='f' is_constant=false
fl = Merge(ef, nf) N=2 T={T}
sf = Switch(fl, go) T={T}
nf = NextIteration(w) T={T}
xf = Exit(sf) T={T}
"""


def test_an_array_that_a_loop_writes() -> None:
    source = _ARRAY + _LOOP + _CARRIED.format(flow="a:1", T="float32")
    source += "ea = Enter(a) T=resource frame_name='f' is_constant=true\n"
    source += "w = TensorArrayWriteV3(ea, si:1, ex, sf:1) T=float32\n" + _READ.format("xf")
    candidate = _LIST + _LOOP + _CARRIED.format(flow="a", T="variant")
    candidate += "w = TensorListSetItem(sf:1, si:1, ex) element_dtype=float32\n" + _GET.format("xf")
    assert _is_proved(source, candidate)
    # Each iteration takes the flow from before the loop.
    again = source.replace("ex, sf:1)", "ex, ec)") + "\nec = Enter(a:1) T=float32 frame_name='f' is_constant=true"
    other = candidate.replace("(sf:1, si:1", "(ec, si:1") + "\nec = Enter(a) T=variant frame_name='f' is_constant=true"
    assert not _is_proved(again, other)


def test_an_array_that_the_call_gives_is_none() -> None:
    assert not _is_proved(_ARRAY + "out = Identity(a:1) T=float32", _LIST + "out = Identity(a) T=variant")
