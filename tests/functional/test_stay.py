from __future__ import annotations

import pytest

from migrate.functional.draft import Draft
from migrate.functional.library import Library
from migrate.functional.stay import repair
from tests.rewrite.texts import node, shown

_LINES = (
    "v = VarHandleOp() dtype=float32 shape=()",
    "x = Placeholder() dtype=float32 shape=()",
    "outer = Enter(x) T=float32 frame_name='a' is_constant=false",
    "inner = Enter(outer) T=float32 frame_name='b' is_constant=false",
    "r = ReadVariableOp(v, ^inner) dtype=float32",
    "s = ReadVariableOp(v, ^outer) dtype=float32",
)


def test_handles_are_led_into_the_frames_that_stay() -> None:
    draft = Draft(map(node, _LINES), Library(()), set())
    repair(draft, {("a",): ["outer", "s"], ("a", "b"): ["inner", "r"]})
    assert shown(draft.nodes.values()).splitlines() == [
        *_LINES[:4],
        "r = ReadVariableOp(v/enter_1, ^inner) dtype=float32",
        "s = ReadVariableOp(v/enter, ^outer) dtype=float32",
        "v/enter = Enter(v) T=resource frame_name='a' is_constant=true",
        "v/enter_1 = Enter(v/enter) T=resource frame_name='b' is_constant=true",
    ]


def test_the_constants_of_a_loop_within_wait_for_a_node_there() -> None:
    lines = (
        "x = Placeholder() dtype=float32 shape=()",
        "outer = Enter(x) T=float32 frame_name='a' is_constant=false",
        "zero = Const() dtype=int32 value=int32:0",
        "most = Const() dtype=int32 value=int32:-1",
        "w = StatelessWhile(zero, most, outer) T=[int32,int32,float32] body=@b cond=@c",
    )
    draft = Draft(map(node, lines), Library(()), set())
    repair(draft, {("a",): ["outer", "w"]})
    assert [list(draft.nodes[name].input) for name in ("zero", "most")] == [["^outer"], ["^outer"]]
    assert list(draft.nodes["w"].input) == ["zero", "most", "outer"]


@pytest.mark.parametrize(
    "loop",
    ["While(zero, outer, v, ^here)", "While(zero, most, v, ^here)", "While(zero, most, ^here)", "While(zero, most)"],
)
def test_it_is_neither_a_limit_nor_a_handle_that_waits(loop: str) -> None:
    lines = (
        "v = VarHandleOp() dtype=float32 shape=()",
        "x = Placeholder() dtype=int32 shape=()",
        "outer = Enter(x) T=int32 frame_name='a' is_constant=true",
        "here = Identity(outer) T=int32",
        "zero = Const() dtype=int32 value=int32:0",
        "most = Const() dtype=int32 value=int32:3",
        f"w = {loop} body=@b cond=@c",
    )
    draft = Draft(map(node, lines), Library(()), set())
    repair(draft, {("a",): ["outer", "here", "w"]})
    waits = ["^here"] if "^here" in loop and "outer" not in loop else ["^outer"]
    assert list(draft.nodes["zero"].input) == waits
    assert list(draft.nodes["most"].input) == (waits if "most" in loop else [])
    assert list(draft.nodes["outer"].input) == ["x"]


def test_nothing_stays() -> None:
    draft = Draft(map(node, _LINES), Library(()), set())
    repair(draft, {})
    assert shown(draft.nodes.values()).splitlines() == list(_LINES)
