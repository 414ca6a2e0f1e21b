"""Writes of variables, and their order."""

from __future__ import annotations

import pytest

from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import (
    X,
    Y,
    assign_add,
    assign_add_resource,
    compared,
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


_SAME = {"Tindices": "float32"}


def _lookups(name, **attrs):
    by_handle = [handle("v"), X, node(f"Resource{name}", "out", "v", "x", dtype="float32", **_SAME, **attrs)]
    return by_handle, [handle("v"), X, read("r", "v"), node(name, "out", "r", "x", Tparams="float32", **_SAME)]


def test_a_lookup_in_a_variable_is_one_in_its_value():
    for name in ("Gather", "GatherNd"):
        by_handle, in_value = _lookups(name)
        assert isinstance(compared(by_handle, in_value, shapes={"v": (2, 3)}), Proved), name
        assert isinstance(compared(in_value, by_handle, shapes={"v": (2, 3)}), Proved), name


@pytest.mark.parametrize("shape", [None, (), (2, 0), (-1, 3)])
def test_rows_that_may_have_no_elements_are_checked_by_one_of_them(shape):
    by_handle, in_value = _lookups("Gather")
    shapes = {} if shape is None else {"v": shape}
    assert isinstance(compared(by_handle, in_value, shapes=shapes), NotProved)
    assert isinstance(compared(by_handle, by_handle, shapes=shapes), Proved)


def test_a_lookup_in_batches_or_of_another_dtype_is_another_one():
    batches, in_value = _lookups("Gather", batch_dims=1)
    assert isinstance(compared(batches, in_value, shapes={"v": (2, 3)}), NotProved)
    by_handle, _ = _lookups("Gather")
    other = [*in_value[:3], node("Gather", "out", "r", "x", Tparams="float64", **_SAME)]
    assert isinstance(compared(by_handle, other, shapes={"v": (2, 3)}), NotProved)


def test_a_lookup_in_what_a_call_has_written_is_not_one_in_the_value_before():
    by_handle, _ = _lookups("Gather")
    write = assign_add_resource("w", "v", "x")
    by_handle = [*by_handle[:2], write, node("ResourceGather", "out", "v", "x", "^w", dtype="float32", **_SAME)]
    before = [handle("v"), X, read("r", "v"), assign_add_resource("w", "v", "x", "^r")]
    in_value = [*before, node("Gather", "out", "r", "x", "^w", Tparams="float32", **_SAME)]
    assert isinstance(compared(by_handle, in_value, targets=["w"], shapes={"v": (2, 3)}), NotProved)
