from __future__ import annotations

import pytest

from migrate.functional.draft import RESOURCE, Draft, argument
from migrate.functional.gradients import look_up_in_values, read_in_outer_loops, with_gradients
from migrate.functional.library import Library
from tests.rewrite.texts import node, shown

_HANDLE = "v = VarHandleOp() dtype=float32 shape=()"
_ENTER = "e = Enter(v) T=resource frame_name='f' is_constant=true"


@pytest.mark.parametrize(
    ("lines", "unwritten"),
    [
        ((_HANDLE, _ENTER, "r = ReadVariableOp(e) dtype=float32"), {"v"}),
        ((_HANDLE, "s = Switch(v, p) T=resource", "r = ReadVariableOp(s:1) dtype=float32"), {"v"}),
        ((_HANDLE, _ENTER, "s = Switch(e, p) T=resource", "r = ReadVariableOp(s:1) dtype=float32"), set()),
        ((_HANDLE, _ENTER, "s = Switch(e, p) T=resource", "r = ResourceGather(s:1, p) dtype=float32"), {"v"}),
    ],
    ids=["in the outermost loop", "in no loop", "written somewhere", "another op"],
)
def test_handles_that_stay(lines: tuple[str, ...], unwritten: set[str]) -> None:
    lines = ("p = Placeholder() dtype=bool shape=()", *lines)
    draft = Draft(map(node, lines), Library(()), set())
    draft.unwritten = unwritten
    read_in_outer_loops(draft)
    assert shown(draft.nodes.values()).splitlines() == list(lines)


def test_two_reads_share_the_value_and_a_handle_that_another_op_takes_stays() -> None:
    lines = (
        "p = Placeholder() dtype=bool shape=()",
        _HANDLE,
        _ENTER,
        "s = Switch(e, p) T=resource",
        "r = ReadVariableOp(s:1) dtype=float32",
        "q = ReadVariableOp(s, ^r) dtype=float32",
        "w = VariableShape(s) T=resource",
    )
    draft = Draft(map(node, lines), Library(()), set())
    draft.unwritten = {"v"}
    read_in_outer_loops(draft)
    assert shown(draft.nodes.values()).splitlines() == [
        *lines[:4],
        "r = Identity(s/value:1) T=float32",
        "q = Identity(s/value, ^r) T=float32",
        lines[6],
        "e/value = ReadVariableOp(e) dtype=float32",
        "s/value = Switch(e/value, p) T=float32",
    ]


def test_a_lookup_by_a_handle_that_came_in_reads_the_value_where_it_is() -> None:
    lines = (
        "i = Placeholder() dtype=int32 shape=()",
        _HANDLE,
        _ENTER,
        "w = AssignAddVariableOp(e, i) dtype=float32",
        "g = ResourceGatherNd(e, i, ^w) Tindices=int32 dtype=float32",
        "o = ResourceGatherNd(v, i) Tindices=int32 dtype=float32",
    )
    draft = Draft(map(node, lines), Library(()), set())
    look_up_in_values(draft)
    assert shown(draft.nodes.values()).splitlines() == [
        *lines[:4],
        "g = GatherNd(g/value, i, ^w) Tindices=int32 Tparams=float32",
        lines[5],
        "g/value = ReadVariableOp(e, ^w) dtype=float32",
    ]


def test_no_result_or_variable_with_a_gradient_changes_nothing() -> None:
    whole = node("v = VarHandleOp() dtype=int32 shape=()")
    lines = ("x = Placeholder() dtype=float32 shape=()", "n = Placeholder() dtype=int32 shape=()")
    handles = [argument("h", RESOURCE, node(_HANDLE)), argument("i", RESOURCE, whole)]
    draft = Draft([*handles, *map(node, lines)], Library(()), set())
    before = shown(draft.nodes.values())
    assert with_gradients(draft, ["n:0"], ["h"]) == ["n:0"]
    assert with_gradients(draft, ["x:0"], ["i"]) == ["x:0"]
    assert shown(draft.nodes.values()) == before
    assert with_gradients(draft, ["n:0", "x:0"], ["h", "i"]) == ["n:0", "x/result:0"]
