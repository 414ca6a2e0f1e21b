from __future__ import annotations

import pytest

from migrate.graph.graph import index
from migrate.graph.protos import FunctionDef
from migrate.rewrite.uninitialized import guards
from tests.rewrite.texts import function, node, shown

_READ = "v = VarHandleOp() shared_name='v'\nx = Placeholder()\n"


def _guarded(lines: str, *functions: FunctionDef) -> dict[str, str]:
    graph = index(map(node, (_READ + lines).splitlines()))
    library = {each.signature.name: each for each in functions}
    return {name: shown(nodes) for name, nodes in guards(graph, ("v",), library).items()}


@pytest.mark.parametrize(
    "line",
    [
        "y = Neg(x)",
        "y = Identity(v) T=resource",
        "y = VarIsInitializedOp(v)",
        "y = VariableShape(v)",
        "y = AssignVariableOp(v, x)",
    ],
)
def test_what_does_not_look_is_not_guarded(line):
    assert _guarded(line) == {}


def test_without_such_variables_nothing_is_guarded():
    graph = index(map(node, (_READ + "y = ReadVariableOp(v)").splitlines()))
    assert guards(graph, ()) == {} and guards(graph, ("another",)) == {}
    assert list(guards(graph, ("another", "v"))) == ["y"]


def test_a_read_waits_for_what_fails_without_a_value():
    assert _guarded("y = ReadVariableOp(v, ^x)")["y"].splitlines() == [
        "y/initialized = VarIsInitializedOp(v, ^x)",
        "y/initialized/missing = VarHandleOp(^y/initialized) dtype=bool shape=()"
        " shared_name='Attempting to use uninitialized value v'",
        "y/initialized/if = Switch(y/initialized/missing, y/initialized) T=resource",
        "y/initialized/fails = ReadVariableOp(y/initialized/if) dtype=bool",
        "y/initialized/answer = Switch(y/initialized, y/initialized) T=bool",
        "y/initialized/done = Merge(y/initialized/fails, y/initialized/answer:1) N=2 T=bool",
    ]


def test_an_update_waits_for_its_operands_first_and_is_found_behind_the_handle():
    found = _guarded("h = Identity(v) T=resource\nw = AssignAddVariableOp(h, x:1, ^h)")
    assert list(found) == ["w"]
    assert found["w"].splitlines()[0] == "w/initialized = VarIsInitializedOp(h, ^x, ^h)"


def test_a_call_is_guarded_where_its_function_surely_reads():
    reads = function("f", "h", "r = ReadVariableOp(h) dtype=float32", y="r:value:0")
    sets = function("f", "h", "one = Const()", "w = AssignVariableOp(h, one:output:0)")
    assert list(_guarded("y = PartitionedCall/f(v)", reads)) == ["y"]
    assert _guarded("y = PartitionedCall/f(v)", sets) == {}
