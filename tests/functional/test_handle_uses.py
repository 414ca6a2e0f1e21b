from __future__ import annotations

from migrate.functional.handle_uses import HandleUses
from migrate.graph.protos import FunctionDef
from tests.rewrite.texts import function, node


def _uses(*functions: FunctionDef) -> HandleUses:
    return HandleUses({each.signature.name: each for each in functions})


def test_identities_and_loops_hand_a_handle_on() -> None:
    made = function(
        "f",
        "x h",
        "i = Identity(h) T=resource",
        "w = While(x, i:output:0) T=[float32, resource] body=@b cond=@c",
        "r = ReadVariableOp(w:output:1) dtype=float32",
        y="r:value:0",
        v="i:output",
        z="x",
    )
    found = _uses(made).uses("f", 1)
    assert found.tensors == {"h", "i:output:0", "w:output:1"}
    assert [(user.name, number) for user, number in found.users] == [("w", 1), ("r", 0)]
    assert found.results == {1}


def test_a_node_that_calls_has_its_functions_do_something() -> None:
    reads = function("reads", "h", "r = ReadVariableOp(h) dtype=float32", y="r:value:0")
    writes = function("writes", "h x", "w = AssignVariableOp(h, x) dtype=float32")
    gives = function("gives", "h", y="h")
    uses = _uses(reads, writes, gives)
    assert uses.is_read(node("c = PartitionedCall/reads(h)"), 0)
    assert uses.is_read(node("c = If(p, h) then_branch=@reads else_branch=@reads"), 1)
    assert uses.is_read(node("c = reads(h)"), 0)
    assert not uses.is_read(node("c = PartitionedCall/writes(h, x)"), 0)
    assert not uses.is_read(node("c = If(p, h) then_branch=@reads else_branch=@writes"), 1)
    assert not uses.is_read(node("c = If(p, h) then_branch=@reads else_branch=@reads"), 0)
    assert not uses.is_read(node("c = PartitionedCall/gives(h)"), 0)
    assert not uses.is_read(node("c = PartitionedCall/unknown(h)"), 0)
    assert not uses.is_read(node("c = PartitionedCall/reads(x, h)"), 1)


def test_the_body_of_a_loop_gives_a_handle_on_in_its_place_alone() -> None:
    same = function("same", "x h", y="x", v="h")
    other = function("other", "x h", v="h", y="x")
    asks = function("asks", "x h", y="x")
    uses = _uses(same, other, asks)
    assert uses.is_read(node("w = While(x, h) body=@same cond=@asks"), 1)
    assert not uses.is_read(node("w = While(x, h) body=@other cond=@asks"), 1)
    assert not uses.is_read(node("w = While(x, h) body=@asks cond=@same"), 1)


def test_a_function_that_calls_itself_may_do_anything() -> None:
    uses = _uses(function("f", "h", "c = PartitionedCall/f(h)"))
    assert not uses.is_read(node("c = PartitionedCall/f(h)"), 0)
