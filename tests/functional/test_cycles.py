from __future__ import annotations

from migrate.functional.cycles import on_cycles
from migrate.graph.graph import index
from tests.rewrite.texts import node

_LINES = ("a = Neg(x)", "b = Abs(a)", "c = Neg(b)", "x = Const()", "d = Add(c, x)")


def test_units() -> None:
    graph = index(map(node, _LINES))
    assert on_cycles(graph, {}) == []
    assert on_cycles(graph, {"a": [1], "b": [1], "c": [2]}) == []
    assert on_cycles(graph, {"a": [1], "c": [1], "d": [2]}) == [1]  # `b` is between.
    assert on_cycles(graph, {"a": [1, 2], "c": [2]}) == [2]  # In the other unit `a` is alone.
