"""Writes of variables, and their order."""

from __future__ import annotations

from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import (
    X,
    Y,
    assign_add,
    assign_add_resource,
    const,
    handle,
    left,
    node,
    read,
    ref,
)


def test_two_writes_that_nothing_orders_are_not_proved():
    race = [ref("v"), X, Y, assign_add("a", "v", "x"), assign_add("b", "v", "y")]
    same = [handle("v"), X, Y, assign_add_resource("a", "v", "x"), assign_add_resource("b", "v", "y", "^a")]
    found = left(race, same, ["a", "b"])
    assert isinstance(found, NotProved)
    assert "no edge orders" in found.why


def test_writes_are_in_their_order():
    source = [ref("v"), X, Y, assign_add("a", "v", "x"), node("Assign", "b", "v", "y", "^a", T="float32")]
    assign = {"dtype": "float32", "validate_shape": True}
    same = [
        handle("v"),
        X,
        Y,
        assign_add_resource("a", "v", "x"),
        node("AssignVariableOp", "b", "v", "y", "^a", **assign),
    ]
    other = [
        handle("v"),
        X,
        Y,
        node("AssignVariableOp", "b", "v", "y", **assign),
        assign_add_resource("a", "v", "x", "^b"),
    ]
    assert isinstance(left(source, same, ["a", "b"]), Proved)
    assert isinstance(left(source, other, ["a", "b"]), NotProved)


def test_an_update_that_reads_what_it_writes_is_not_proved():
    scatter = [ref("v"), node("ScatterAdd", "w", "v", "i", "v", T="float32"), const("i", 0.0)]
    twin = [handle("v"), read("r", "v"), node("ResourceScatterAdd", "w", "v", "i", "r"), const("i", 0.0)]
    found = left(scatter, twin, ["w"])
    assert isinstance(found, NotProved)
    assert "reads the buffer that it is writing" in found.why
