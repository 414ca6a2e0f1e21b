"""What a variable holds when a node sees it."""

from __future__ import annotations

from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import (
    X,
    add,
    assign_add,
    assign_add_resource,
    compared,
    handle,
    identity,
    node,
    read,
    ref,
)

SOURCE_READ = [ref("v"), identity("read", "v"), add("out", "read", "x"), X]


def test_a_ref_is_read_as_a_resource_is():
    assert isinstance(compared(SOURCE_READ, [handle("v"), read("r", "v"), add("out", "r", "x"), X]), Proved)


def test_a_ref_may_be_taken_without_a_read():
    candidate = [handle("v"), read("r", "v"), add("out", "r", "x"), X]
    assert isinstance(compared([ref("v"), add("out", "v", "x"), X], candidate), Proved)


def test_another_variable_is_another_value():
    candidate = [handle("w"), read("r", "w"), add("out", "r", "x"), X]
    assert isinstance(compared(SOURCE_READ, candidate), NotProved)


ALIAS = [
    ref("v"),
    X,
    identity("r", "v"),
    assign_add("w", "v", "x", "^r"),
    node("Neg", "out", "r", "^w", T="float32"),
]
"""The read hands the buffer on, which is written before it is used: TF1 shows the new value."""


def test_a_buffer_shows_what_is_written_to_it():
    late = [
        handle("v"),
        X,
        assign_add_resource("w", "v", "x"),
        read("r", "v", "^w"),
        node("Neg", "out", "r", T="float32"),
    ]
    assert isinstance(compared(ALIAS, late), Proved)


def test_a_value_that_is_read_early_is_another_one():
    early = [
        handle("v"),
        X,
        read("r", "v"),
        assign_add_resource("w", "v", "x", "^r"),
        node("Neg", "out", "r", "^w", T="float32"),
    ]
    found = compared(ALIAS, early)
    assert isinstance(found, NotProved)
    assert "write in the source, initial in the candidate" in found.why


def test_a_fetched_ref_shows_what_the_call_leaves():
    source = [ref("v"), X, identity("out", "v"), assign_add("w", "v", "x", "^out")]
    late = [handle("v"), X, assign_add_resource("w", "v", "x"), read("out", "v", "^w")]
    early = [handle("v"), X, read("out", "v"), assign_add_resource("w", "v", "x", "^out")]
    assert isinstance(compared(source, late, targets=["w"]), Proved)
    assert isinstance(compared(source, early, targets=["w"]), NotProved)


def test_what_tf1_orders_must_be_ordered():
    source = [ref("v"), X, assign_add("w", "v", "x"), add("out", "w", "x")]
    ordered = [handle("v"), X, assign_add_resource("w", "v", "x"), read("r", "v", "^w"), add("out", "r", "x")]
    assert isinstance(compared(source, ordered), Proved)
    loose = [handle("v"), X, assign_add_resource("w", "v", "x"), read("r", "v"), add("out", "r", "x")]
    found = compared(source, loose, targets=["w"])
    assert isinstance(found, NotProved)
    assert "no edge orders" in found.why


def test_what_tf1_does_not_order_is_not_proved():
    race = [ref("v"), X, identity("r", "v"), add("out", "r", "x"), assign_add("w", "v", "x")]
    found = compared(race, race, targets=["w"])
    assert isinstance(found, NotProved)
    assert "no edge orders" in found.why


def test_an_op_that_may_share_a_buffer_may_not_be_outlived_by_it():
    def source(*waits):
        return [
            ref("v"),
            X,
            node("AddN", "a", "v", T="float32", N=1),
            assign_add("w", "v", "x", "^a"),
            node("Neg", "out", "a", *waits, T="float32"),
        ]

    candidate = [
        handle("v"),
        X,
        read("r", "v"),
        node("AddN", "a", "r", T="float32", N=1),
        assign_add_resource("w", "v", "x", "^a"),
        node("Neg", "out", "a", T="float32"),
    ]
    found = compared(source("^w"), candidate)
    assert isinstance(found, NotProved)
    assert "shares a variable's buffer is not known" in found.why
