from __future__ import annotations

from migrate.functional.frames import frames
from migrate.graph.graph import index
from tests.rewrite.texts import node

_LOOP = (
    "x = Const()",
    "enter = Enter(x) frame_name='f'",
    "m = Merge(enter, next)",
    "more = LoopCond(m)",
    "s = Switch(m, more)",
    "next = NextIteration(s:1)",
    "exit = Exit(s)",
)


def test_paths() -> None:
    found = frames(index(map(node, _LOOP)), frozenset())
    assert {name for name, path in found.path.items() if path == ("f",)} == {"enter", "m", "more", "s", "next"}
    assert found.path["exit"] == () and not found.mixed


def test_mixed() -> None:
    lines = (*_LOOP, "bad = Add(s:1, x)", "h = VarHandleOp()", "good = Assign(h, s:1)", "out = Exit(x)")
    found = frames(index(map(node, lines)), frozenset({"h"}))
    assert found.mixed == {(): ["out", "bad"], ("f",): ["bad"]} or found.mixed == {(): ["bad", "out"], ("f",): ["bad"]}
