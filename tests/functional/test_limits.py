from __future__ import annotations

import pytest

from migrate.functional.draft import Draft
from migrate.functional.library import Library
from migrate.functional.limits import limit
from migrate.functional.loop_functions import Loop
from migrate.functional.loops import recognise
from tests.rewrite.texts import node

_OUTSIDE = (
    "n = Placeholder() dtype=int32 shape=()",
    "c = Const() dtype=int32 value=int32:{first}",
    "x = Placeholder() dtype=float32 shape=()",
)
_LOOP = (
    "enter = Enter(c) T=int32 frame_name='f' is_constant=false",
    "enter_a = Enter(x) T=float32 frame_name='f' is_constant=false",
    "entered = Enter(n) T=int32 frame_name='f' is_constant=true",
    "i = Merge(enter, next) N=2 T=int32",
    "a = Merge(enter_a, next_a) N=2 T=float32",
    "more = LoopCond({condition})",
    "s = Switch(i, more) T=int32",
    "sa = Switch(a, more) T=float32",
    "step = Const(^i) dtype=int32 value=int32:{step}",
    "sum = Add(s:1, step) T=int32",
    "next = NextIteration(sum) T=int32",
    "twice = Add(sa:1, sa:1) T=float32",
    "next_a = NextIteration(twice) T=float32",
    "y = Exit(sa) T=float32",
)


def _limit(condition: str, *lines: str, first: int = 0, step: int = 1) -> int | str | None:
    texts = [line.format(first=first, step=step, condition=condition) for line in (*_OUTSIDE, *_LOOP)]
    draft = Draft(map(node, (*texts, *lines)), Library(()), set())
    members = [one.name for one in map(node, (*texts[len(_OUTSIDE) :], *lines))]
    loop = recognise(draft, members, ())
    assert isinstance(loop, Loop), loop
    return limit(draft, loop)


@pytest.mark.parametrize(
    ("comparison", "first", "step", "expected"),
    [
        ("Less(i, ten)", 0, 1, 10),
        ("Less(i, ten)", 0, 3, 4),
        ("Less(i, ten)", 1, 3, 3),
        ("Less(i, ten)", -2, 1, 12),
        ("Less(i, ten)", 10, 1, 0),
        ("Less(i, ten)", 11, 1, 0),
        ("LessEqual(i, ten)", 0, 1, 11),
        ("LessEqual(i, ten)", 1, 3, 4),
        ("Greater(ten, i)", 0, 1, 10),
        ("GreaterEqual(ten, i)", 0, 5, 3),
        # It never ends, or counts down, or it is not the counter that is below.
        ("Less(i, ten)", 0, 0, None),
        ("Less(i, ten)", 0, -1, None),
        ("Greater(i, ten)", 0, 1, None),
        ("Less(ten, i)", 11, 1, None),
        ("NotEqual(i, ten)", 0, 1, None),
    ],
)
def test_a_constant_limit(comparison: str, first: int, step: int, expected: int | None) -> None:
    lines = ("ten = Const(^i) dtype=int32 value=int32:10", f"less = {comparison} T=int32")
    assert _limit("less", *lines, first=first, step=step) == expected


def test_a_counter_that_would_begin_again_has_no_limit() -> None:
    most = "most = Const(^i) dtype=int32 value=int32:{}"
    assert _limit("less", most.format(2**31 - 1), "less = LessEqual(i, most) T=int32") is None
    assert _limit("less", most.format(2**31 - 1), "less = Less(i, most) T=int32", step=2) is None
    assert _limit("less", most.format(2**31 - 2), "less = Less(i, most) T=int32") == 2**31 - 2


def test_what_enters_is_a_limit_of_a_counter_from_zero() -> None:
    assert _limit("less", "less = Less(i, entered) T=int32") == "entered:0"
    assert _limit("less", "less = Less(i, entered) T=int32", first=1) is None
    assert _limit("less", "less = Less(i, entered) T=int32", step=2) is None
    assert _limit("less", "less = LessEqual(i, entered) T=int32") is None


def test_the_least_of_the_limits_that_must_all_hold() -> None:
    lines = (
        "ten = Const(^i) dtype=int32 value=int32:10",
        "nine = Const(^i) dtype=int32 value=int32:9",
        "less = Less(i, entered) T=int32",
        "fewer = Less(i, ten) T=int32",
        "fewest = Less(i, nine) T=int32",
        "small = Less(a, ceiling) T=float32",
        "ceiling = Const(^i) dtype=float32 value=float32:9.0",
        "one = LogicalAnd(less, fewer)",
        "other = LogicalAnd(fewest, small)",
        "both = LogicalAnd(one, other)",
        "here = Identity(both) T=bool",
    )
    assert _limit("here", *lines) == 9


def test_one_of_two_limits_is_none() -> None:
    lines = (
        "ten = Const(^i) dtype=int32 value=int32:10",
        "ceiling = Const(^i) dtype=float32 value=float32:9.0",
        "fewer = Less(i, ten) T=int32",
        "small = Less(a, ceiling) T=float32",
        "either = LogicalOr(fewer, small)",
    )
    assert _limit("either", *lines) is None
