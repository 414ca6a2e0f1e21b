from __future__ import annotations

import pytest

from migrate.graph.graph import Run
from migrate.records import Finding
from migrate.rewrite.initialized import decide
from tests.rewrite.texts import run, shown

_ASK = """p = Placeholder() dtype=bool
v = VariableV2() dtype=float32 shape=()
zero = Const() dtype=float32 value=float32:0.0
%s
asks = IsVariableInitialized(%s) dtype=float32
fetch asks:0"""


def _answer(lines: str, asked: str = "v", *with_value: str) -> str:
    result = decide(run(_ASK % (lines, asked)), with_value)
    assert isinstance(result, Run)
    return shown([result.graph.nodes["asks"]])


def test_without_such_a_question_the_run_is_itself():
    plain = run("v = VariableV2() dtype=float32\ny = Neg(v) T=float32\nfetch y:0")
    assert decide(plain, ()) is plain
    asks = run(_ASK % ("", "v"))
    assert decide(asks, ("v",)) is asks  # The checkpoint fills it: the question is answered while the graph runs.
    other = run(_ASK % ("other = Neg(v) T=float32", "other"))
    assert decide(other, ()) is other


@pytest.mark.parametrize(
    ("lines", "asked", "answer", "waits"),
    [
        ("w = NoOp()", "v", "false", "^v"),
        ("w = Assign(v, zero) T=float32", "v", "false", "^v"),  # In no order: as it is in the source.
        ("w = Assign(v, zero) T=float32", "v, ^w", "true", "^v, ^w"),
        ("w = Assign(v, zero) T=float32", "w", "true", "^w"),
        ("w = AssignAdd(v, zero) T=float32", "v, ^w", "false", "^v, ^w"),
        ("u = VariableV2() dtype=float32\nw = Assign(u, zero) T=float32", "v, ^w", "false", "^v, ^w"),
        ("i = RefIdentity(v) T=float32", "i", "false", "^i"),
    ],
)
def test_the_answer_is_whether_an_assignment_comes_before(lines, asked, answer, waits):
    assert _answer(lines, asked) == f"asks = Const({waits}) dtype=bool value=bool:{answer}"


def test_a_resource_variable_is_asked_alike():
    text = (_ASK % ("w = AssignVariableOp(v, zero)", "v, ^w")).replace("IsVariableInitialized", "VarIsInitializedOp")
    result = decide(run(text.replace("VariableV2()", "VarHandleOp() shared_name='s'")), ("v",))
    assert isinstance(result, Run)
    assert shown([result.graph.nodes["asks"]]) == "asks = Const(^v, ^w) dtype=bool value=bool:true"


def test_an_assignment_in_a_branch_is_undecided():
    lines = "s = Switch(zero, p)\nw = Assign(v, s:1) T=float32\nm = Merge(s, w) T=float32"
    found = decide(run(_ASK % (lines, "v, ^m")), ())
    assert isinstance(found, Finding)
    assert (found.code, found.nodes) == ("initialized-undecided", ("asks", "w"))
    assert _answer(lines + "\nw2 = Assign(v, zero) T=float32", "v, ^m, ^w2").endswith("bool:true")
