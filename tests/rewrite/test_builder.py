from __future__ import annotations

import pytest

from migrate.rewrite.aliases import Aliases, analyse
from migrate.rewrite.builder import Builder
from migrate.rewrite.rules.table import TABLE
from migrate.rewrite.scope import Scope
from tests.rewrite.texts import node, run, shown

_GRAPH = """x = Placeholder() dtype=float32
v = VariableV2() dtype=float32 shape=()
y = Mul(v, x, ^x) T=float32
y/sub = NoOp()
fetch y:0
target y/sub"""


def _builder(**options: object) -> Builder:
    of = run(_GRAPH)
    aliases = analyse(of, TABLE)
    assert isinstance(aliases, Aliases)
    return Builder(Scope(aliases), of.graph.nodes["y"], **options)


def test_nodes_are_written_as_what_they_compute():
    b = _builder(T=1)
    zero = b.constant("zero", 0.0, "x")
    last = node(f"y = Neg({b.Maximum(b.Sub('x', zero), zero, name='max', T=3)})")
    assert shown(b.edit(last).nodes).splitlines() == [
        "y/zero = Const(^x) dtype=float32 value=float32:0.0",
        "y/sub_1 = Sub(x, y/zero) T=float32",  # The source has a `y/sub`.
        "y/max = Maximum(y/sub_1, y/zero) T=int32",
        "y = Neg(y/max)",
    ]


def test_a_value_comes_with_the_nodes_that_it_needs():
    b = _builder(prefix="other")
    assert (b.value(1), b.nodes) == ("x", [])
    assert b.value(0) == "v/Read/ReadVariableOp"
    assert b.Neg("x") == "other/neg"
    assert [made.op for made in b.nodes] == ["ReadVariableOp", "Neg"]


def test_what_is_no_op_is_no_attribute():
    with pytest.raises(AttributeError, match="unheard"):
        getattr(_builder(), "unheard")  # noqa: B009 (an access by itself is no statement)
