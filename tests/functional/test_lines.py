from __future__ import annotations

import pytest

from migrate.functional.draft import Draft
from migrate.functional.library import Library
from migrate.functional.tensor_lists import convert
from tests.rewrite.texts import node

_BASE = (
    "n = Const() dtype=int32 value=int32:2",
    "i = Const() dtype=int32 value=int32:0",
    "j = Const() dtype=int32 value=int32:1",
    "x = Placeholder() dtype=float32 shape=()",
    "p = Placeholder() dtype=bool shape=()",
    "a = TensorArrayV3(n) dtype=float32 element_shape=()",
    "w = TensorArrayWriteV3(a, i, x, a:1) T=float32",
)
_LOOP = (
    "enter = Enter(i) T=int32 frame_name='f' is_constant=false",
    "array = Enter(a) T=resource frame_name='f' is_constant=true",
    "value = Enter(x) T=float32 frame_name='f' is_constant=true",
    "m = Merge(enter, next) N=2 T=int32",
    "most = Const(^m) dtype=int32 value=int32:2",
    "less = Less(m, most) T=int32",
    "more = LoopCond(less)",
    "s = Switch(m, more) T=int32",
    "one = Const(^m) dtype=int32 value=int32:1",
    "sum = Add(s:1, one) T=int32",
    "next = NextIteration(sum) T=int32",
)


def _kept(*lines: str) -> list[str]:
    """The arrays that stay."""
    draft = Draft(map(node, lines), Library(()), set())
    return [one.nodes[0] for one in convert(draft, ())]


@pytest.mark.parametrize(
    "lines",
    [
        ("v = TensorArrayWriteV3(a, j, x, a:1) T=float32",),
        ("v = TensorArrayWriteV3(a, j, x, a:1, ^w) T=float32", "r = TensorArrayReadV3(a, i, v) dtype=float32"),
        ("r = TensorArrayReadV3(a, i, a:1) dtype=float32",),
        ("r = TensorArrayReadV3(a, i, a:1, ^w) dtype=float32",),
        ("f = Identity(a:1, ^w) T=float32", "v = TensorArrayWriteV3(a, j, x, f) T=float32"),
        ("size = TensorArraySizeV3(a, a:1)",),
    ],
)
def test_two_accesses_that_take_one_flow(lines: tuple[str, ...]) -> None:
    assert _kept(*_BASE, *lines) == ["a"]


def test_a_write_that_takes_one_flow_in_each_iteration() -> None:
    flow = "flow = Enter(w) T=float32 frame_name='f' is_constant=true"
    write = "v = TensorArrayWriteV3(array, s:1, value, flow) T=float32"
    assert _kept(*_BASE, *_LOOP, flow, write) == ["a"]
    assert not _kept(*_BASE, *_LOOP, flow, "r = TensorArrayReadV3(array, s:1, flow) dtype=float32")


def test_a_loop_that_carries_the_flow() -> None:
    lines = (
        "start = Enter(w) T=float32 frame_name='f' is_constant=false",
        "flow = Merge(start, again) N=2 T=float32",
        "now = Switch(flow, more) T=float32",
        "v = TensorArrayWriteV3(array, s:1, {}, now:1) T=float32",
        "again = NextIteration(v) T=float32",
        "end = Exit(now) T=float32",
        "r = TensorArrayReadV3(a, j, end) dtype=float32",
    )
    assert not _kept(*_BASE, *_LOOP, *(line.format("value") for line in lines))
    read = "r1 = TensorArrayReadV3(array, s:1, now:1) dtype=float32"
    assert not _kept(*_BASE, *_LOOP, read, *(line.format("r1") for line in lines))
    assert _kept(*_BASE, *_LOOP, read, *(line.format("value") for line in lines)) == ["a"]


def test_branches_and_order() -> None:
    cond = (
        "h = Switch(a, p) T=resource",
        "f = Switch(w, p) T=float32",
        "xs = Switch(x, p) T=float32",
        "js = Switch(j, p) T=int32",
        "yes = TensorArrayWriteV3(h:1, js:1, xs:1, f:1) T=float32",
        "no = TensorArrayWriteV3(h, js, xs, f) T=float32",
        "m = Merge(no, yes) N=2 T=float32",
    )
    assert not _kept(*_BASE, *cond)
    assert _kept(*_BASE, *cond, "again = TensorArrayWriteV3(h, js, xs, f) T=float32") == ["a"]
    # A read that comes before the write of its flow, but for a branch that is not taken.
    read = "r = TensorArrayReadV3(a, i, w) dtype=float32"
    assert not _kept(*_BASE, read, "v = TensorArrayWriteV3(a, j, r, w) T=float32")
    choice = ("rs = Switch(r, p) T=float32", "either = Merge(rs, xs:1) N=2 T=float32", "xs = Switch(x, p) T=float32")
    assert _kept(*_BASE, read, *choice, "v = TensorArrayWriteV3(a, j, either, w) T=float32") == ["a"]
