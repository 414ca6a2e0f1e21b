from __future__ import annotations

from migrate.functional.draft import RESOURCE, Draft, argument
from migrate.functional.handles import lift, take_directly
from migrate.functional.library import Library
from tests.rewrite.texts import node, shown


def test_a_handle_waits_for_nothing_and_its_users_do() -> None:
    lines = (
        "w = NoOp()",
        "v = VarHandleOp(^w) dtype=float32 shape=()",
        "r = ReadVariableOp(v) dtype=float32",
        "n = NoOp(^v)",
        "u = VarHandleOp() dtype=float32 shape=()",
    )
    draft = Draft(map(node, lines), Library(()), set())
    lift(draft)
    assert shown(draft.nodes.values()).splitlines() == [
        "w = NoOp()",
        "v = VarHandleOp() dtype=float32 shape=()",
        "r = ReadVariableOp(v/here) dtype=float32",
        "n = NoOp(^v/here)",
        "u = VarHandleOp() dtype=float32 shape=()",
        "v/here = Identity(v, ^w) T=resource",
    ]


def test_without_waits_nothing_changes() -> None:
    lines = ("v = VarHandleOp() dtype=float32 shape=()", "r = ReadVariableOp(v) dtype=float32")
    draft = Draft(map(node, lines), Library(()), set())
    lift(draft)
    assert shown(draft.nodes.values()).splitlines() == list(lines)


def test_a_node_of_a_function_takes_the_argument() -> None:
    handle = node("v = VarHandleOp() dtype=float32 shape=()")
    lines = ("i = Identity(h) T=resource", "r = ReadVariableOp(i) dtype=float32", "y = Neg(r) T=float32")
    draft = Draft([argument("h", RESOURCE, handle), *map(node, lines)], Library(()), set())
    take_directly(draft)
    assert list(draft.nodes["r"].input) == ["h", "^i"]
    assert list(draft.nodes["i"].input) == ["h"] and list(draft.nodes["y"].input) == ["r"]


def test_a_node_outside_of_functions_takes_the_handle() -> None:
    lines = ("v = VarHandleOp() dtype=float32 shape=()", "i = Identity(v) T=resource", "j = Identity(i) T=resource")
    draft = Draft(map(node, (*lines, "r = ReadVariableOp(j) dtype=float32")), Library(()), set())
    take_directly(draft)
    assert list(draft.nodes["r"].input) == ["v", "^j"]


def test_what_is_in_a_branch_or_a_loop_stays_there() -> None:
    """Else it would run whichever branch is taken, and in no loop."""
    lines = (
        "p = Placeholder() dtype=bool shape=()",
        "v = VarHandleOp() dtype=float32 shape=()",
        "i = Identity(v) T=resource",
        "s = Switch(i, p) T=resource",
        "t = Identity(s:1) T=resource",
        "x = Placeholder() dtype=float32 shape=()",
        "w = AssignVariableOp(t, x) dtype=float32",
        "e = Enter(i) T=resource frame_name='f' is_constant=true",
        "r = ReadVariableOp(e) dtype=float32",
    )
    draft = Draft(map(node, lines), Library(()), set())
    take_directly(draft)
    assert shown(draft.nodes.values()).splitlines() == list(lines)
