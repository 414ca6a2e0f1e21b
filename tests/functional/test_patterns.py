from __future__ import annotations

import pytest

from migrate.functional.draft import Draft
from migrate.functional.library import Library
from migrate.functional.patterns import are_distinct, fills, is_every, waits
from tests.rewrite.texts import node

_LINES = (
    "x = Placeholder() dtype=float32 shape=(?)",
    "zero = Const() dtype=int32 value=int32:0",
    "one = Const() dtype=int32 value=int32:1",
    "zeros = Const() dtype=int32 value=int32:[0]",
    "ones = Const() dtype=int32 value=int32:[1]",
    "shape = Shape(x) T=float32",
    "again = Shape(x) T=float32",
    "n = StridedSlice(shape, zeros, ones, ones) shrink_axis_mask=1",
    "m = StridedSlice(again, zeros, ones, ones) shrink_axis_mask=1",
    "array = TensorArrayV3(m) dtype=float32",
    "other = TensorArrayV3(one) dtype=float32",
    "rows = Range(zero, n, one)",
    "later = Range(one, n, one)",
    "write = TensorArrayWriteV3(array, zero, x, array:1)",
    "size = TensorArraySizeV3(array, write)",
    "every = Range(zero, size, one)",
    "both = Const() dtype=int32 value=int32:[0, 1]",
    "same = Const() dtype=int32 value=int32:[1, 1]",
    "fed = Placeholder() dtype=int32 shape=(?)",
    "here = Identity(both) T=int32",
    "effect = NoOp()",
    "late = Const(^effect) dtype=int32 value=int32:0",
    "waiting = Range(late, n, one, ^x)",
    "held = TensorArrayV3(m, ^effect) dtype=float32",
)
_DRAFT = Draft(map(node, _LINES), Library(()), set())


@pytest.mark.parametrize(
    ("indices", "flow", "expected"),
    [
        ("rows:0", "array:1", True),
        ("later:0", "array:1", False),
        ("rows:0", "other:1", False),
        ("rows:0", "write:0", False),
    ],
)
def test_fills(indices: str, flow: str, expected: bool) -> None:
    assert fills(_DRAFT, indices, "x:0", flow) == expected
    assert not fills(_DRAFT, indices, "write:0", flow)


@pytest.mark.parametrize(
    ("indices", "flow", "size", "expected"),
    [
        ("every:0", "write:0", None, True),
        ("every:0", "array:1", None, False),
        ("rows:0", "write:0", None, False),
        # The tensor of the size, or another one that gives the same.
        ("rows:0", "write:0", "n:0", True),
        ("rows:0", "write:0", "m:0", True),
        ("rows:0", "write:0", "one:0", False),
        ("later:0", "write:0", "m:0", False),
        ("both:0", "write:0", "m:0", False),
    ],
)
def test_is_every(indices: str, flow: str, size: str | None, expected: bool) -> None:
    assert is_every(_DRAFT, indices, flow, size) == expected


def test_what_is_not_taken_has_waited() -> None:
    assert waits(_DRAFT, ["every:0", "array:1"]) == ()
    assert waits(_DRAFT, ["waiting:0"]) == ("x", "effect")
    assert waits(_DRAFT, ["held:1"]) == ("effect",)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [("both", True), ("here", True), ("zeros", True), ("same", False), ("every", True), ("fed", False), ("n", False)],
)
def test_are_distinct(indices: str, expected: bool) -> None:
    assert are_distinct(_DRAFT, f"{indices}:0") == expected
