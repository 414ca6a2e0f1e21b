"""Beside the examples in temporaries.txt: what is refused, and what the sum of several steps is."""

from __future__ import annotations

import pytest

from migrate.graph.graph import Run
from migrate.records import Finding
from migrate.rewrite.rules.temporaries import as_dataflow
from tests.rewrite.texts import run, shown

_SUM = """t = TemporaryVariable() dtype=float32 shape=() var_name='t'
x = Placeholder() dtype=float32
first = Assign(t, x, ^x) T=float32 use_locking=true
added = AssignAdd(first, x) T=float32
less = AssignSub(added, x) T=float32
y = DestroyTemporaryVariable(less) T=float32 var_name='t'
z = Neg(y) T=float32
fetch z:0"""


def test_without_a_temporary_variable_the_run_is_itself():
    plain = run("v = VariableV2() dtype=float32\nx = Placeholder()\nw = Assign(v, x) T=float32\nfetch w:0")
    assert as_dataflow(plain) is plain


def test_sums_and_differences_in_a_straight_line():
    source = run(_SUM)
    before = shown(source.graph.nodes.values())
    result = as_dataflow(source)
    assert isinstance(result, Run) and (result.fetches, result.key) == (source.fetches, "run")
    assert shown(result.graph.nodes.values()).splitlines() == [
        "t = NoOp()",
        "x = Placeholder() dtype=float32",
        "first = DeepCopy(x:0, ^x, ^t) T=float32",
        "added = AddV2(first, x:0, ^t) T=float32",
        "less = Sub(added, x:0, ^t) T=float32",
        "y = Identity(less, ^t) T=float32",
        "z = Neg(y) T=float32",
    ]
    assert shown(source.graph.nodes.values()) == before


def test_the_last_write_may_be_the_end():
    lines = [line for line in _SUM.splitlines() if line[:2] not in ("y ", "z ", "fe")]
    result = as_dataflow(run("\n".join([*lines, "target less"])))
    assert isinstance(result, Run)
    assert shown([result.graph.nodes["less"]]) == "less = Sub(added, x:0, ^t) T=float32"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("fetch z:0", "fetch z:0\nfetch added:0", "is not only assigned"),
        ("Neg(y)", "Mul(y, added)", "is not only assigned"),
        ("AssignAdd(first, x)", "AssignAdd(first, first)", "is not only assigned"),
        ("first = Assign(t, x, ^x)", "first = AssignAdd(t, x)", "before it is assigned"),
        ("z = Neg(y)", "late = DestroyTemporaryVariable(less, ^y)\nz = Mul(y, late)", "after it is destroyed"),
        (
            "x, ^x) T=float32 use_locking=true",
            "s:1, ^x) T=float32\np = Placeholder() dtype=bool\ns = Switch(x, p)",
            "all in one place",
        ),
    ],
)
def test_any_other_use_is_refused(old, new, says):
    assert old in _SUM
    found = as_dataflow(run(_SUM.replace(old, new)))
    assert isinstance(found, Finding) and (found.code, found.nodes) == ("ref-op-unsupported", ("t",))
    assert says in found.message
