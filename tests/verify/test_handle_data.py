from __future__ import annotations

from collections.abc import Sequence

from migrate.graph.protos import FunctionDef, GraphDef
from migrate.verify.handle_data import add_handle_data
from tests.rewrite.texts import function, node

_V = "v = VarHandleOp() dtype=float32 shape=(2)"
_LOOP = "w = While(x, {}) T=[float32, resource] body=@body cond=@cond"


def _said(lines: Sequence[str], *functions: FunctionDef) -> dict[str, list[tuple[int, list[int]] | None]]:
    """By a function's name, the dtype and the shape of each argument and each result that is a handle."""
    graph = GraphDef(node=map(node, lines))
    graph.library.function.extend(functions)
    add_handle_data(graph)
    found = {}
    for each in graph.library.function:
        arguments = (*each.signature.input_arg, *each.signature.output_arg)
        data = [argument.handle_data[0] if argument.handle_data else None for argument in arguments]
        found[each.signature.name] = [d and (d.dtype, [dim.size for dim in d.shape.dim]) for d in data]
    return found


_COND = function("cond", "x h", y="x")
_BODY = function("body", "x h", "i = Identity(h) T=resource", "c = PartitionedCall/reads(i)", y="x", v="i:output:0")
_READS = function("reads", "h", "r = ReadVariableOp(h) dtype=float32", y="r:value:0")


def test_a_handle_is_followed_through_loops_branches_and_calls() -> None:
    lines = [_V, "i = Identity(v) T=resource", _LOOP.format("i"), "c = If(p, w:1) then_branch=@reads else_branch=@own"]
    own = function("own", "h", "s = If(p, h) then_branch=@last else_branch=@last")
    last = function("last", "h", "r = ReadVariableOp(h) dtype=float32")
    found = _said(lines, _BODY, _COND, _READS, own, last)
    v = (1, [2])
    assert found == {
        "body": [None, v, None, v],
        "cond": [None, v, None],
        "reads": [v, None],
        "own": [v],
        "last": [v],
    }


def test_of_two_forms_of_variables_nothing_is_said() -> None:
    other = "u = VarHandleOp() dtype=float32 shape=(3)"
    calls = ["a = PartitionedCall/reads(v)", "b = PartitionedCall/reads(u)"]
    assert _said([_V, other, *calls], _READS) == {"reads": [None, None]}
    assert _said([_V, other.replace("(3)", "(2)"), *calls], _READS) == {"reads": [(1, [2]), None]}


def test_what_is_there_stays() -> None:
    known = FunctionDef.FromString(_READS.SerializeToString())
    known.signature.input_arg[0].handle_data.add(dtype=2)
    assert _said([_V, "a = PartitionedCall/reads(v)"], known) == {"reads": [(2, []), None]}


def test_a_function_that_calls_itself_or_is_not_there() -> None:
    again = function("again", "h", "a = again(h)", "b = PartitionedCall/gone(h)")
    assert _said([_V, "a = again(v)"], again) == {"again": [(1, [2])]}
