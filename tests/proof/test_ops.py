"""Ops that are told by their name, attributes and inputs; random ones."""

from __future__ import annotations

import pytest

from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import (
    P,
    X,
    Y,
    add,
    assign_add,
    assign_add_resource,
    compared,
    const,
    handle,
    identity,
    merge,
    node,
    read,
    ref,
    switch,
)
from tests.rewrite import texts


def test_an_attribute_that_is_left_out_has_its_default():
    plain = [X, node("LeakyRelu", "out", "x", T="float32")]
    assert isinstance(compared(plain, [X, node("LeakyRelu", "out", "x", T="float32", alpha=0.2)]), Proved)
    found = compared(plain, [X, node("LeakyRelu", "out", "x", T="float32", alpha=0.25)])
    assert isinstance(found, NotProved)
    assert "alpha" in found.why


def test_a_mark_says_nothing_and_an_unknown_one_is_compared():
    plain = [X, node("Relu", "out", "x", T="float32")]
    assert isinstance(compared(plain, [X, node("Relu", "out", "x", T="float32", _output_shapes=3)]), Proved)
    assert isinstance(compared(plain, [X, node("Relu", "out", "x", T="float32", _odd=3)]), NotProved)


def test_an_op_that_nobody_knows_is_not_proved_though_both_have_it():
    custom = [X, node("MyOp", "out", "x")]
    assert isinstance(compared(custom, custom), NotProved)


@pytest.mark.parametrize("op", ["Placeholder", "Empty", "ReadFile", "InplaceAdd"])
def test_what_nothing_determines_is_not_proved(op):
    graph = [X, node(op, "a", "x"), add("out", "a", "x")]
    assert isinstance(compared(graph, graph), NotProved)


def draws(*names, seed=0):
    made = [node("RandomStandardNormal", name, "shape", dtype="float32", T="int32", seed=seed) for name in names]
    return [const("shape", 1.0), *made]


def test_two_draws_are_two_values():
    source = [*draws("a", "b"), node("Sub", "out", "a", "b", T="float32")]
    assert isinstance(compared(source, source), Proved)
    assert isinstance(compared(source, [*draws("a"), node("Sub", "out", "a", "a", T="float32")]), NotProved)


def test_one_draw_is_not_two():
    source = [*draws("a"), node("Sub", "out", "a", "a", T="float32")]
    assert isinstance(compared(source, [*draws("a", "b"), node("Sub", "out", "a", "b", T="float32")]), NotProved)


def test_the_seed_is_compared():
    source = [*draws("a", seed=3), identity("out", "a")]
    assert isinstance(compared(source, [*draws("a", seed=3), identity("out", "a")]), Proved)
    assert isinstance(compared(source, [*draws("a", seed=4), identity("out", "a")]), NotProved)


@pytest.mark.parametrize("seed", [0, 5])
def test_what_is_drawn_where_a_branch_is_taken_is_drawn_in_those_calls(seed):
    """A sequence with a seed goes on in each call that draws: the next call's number is another one."""

    def graph(taken, given):
        shape = [const("shape", 1.0), switch("s", "shape", "p"), identity("none", "s"), const("zero", 0.0, "^none")]
        drawn = node("RandomStandardNormal", "d", taken, dtype="float32", T="float32", seed=seed)
        return [P, *shape, drawn, switch("sd", "d", "p"), merge("out", "zero", given)]

    seldom = graph("s:1", "d")
    assert isinstance(compared(seldom, seldom), Proved)
    assert isinstance(compared(seldom, graph("shape", "sd:1")), NotProved if seed else Proved)


@pytest.mark.parametrize("is_stack", [False, True])
def test_an_array_keeps_the_buffer_of_a_variable(is_stack):
    """What the call writes to the variable is then in the array, too; ReadVariableOp gives a value of its own."""

    def graph(variable, value, add):
        if is_stack:
            put = [
                node("StackV2", "a", "two", elem_type="float32"),
                node("StackPushV2", "w", "a", value, T="float32"),
                node("StackPopV2", "out", "a", "^w", "^add", elem_type="float32"),
            ]
        else:
            put = [
                node("TensorArrayV3", "a", "two", dtype="float32"),
                node("TensorArrayWriteV3", "w", "a", "zero", value, "a:1", T="float32"),
                node("TensorArrayReadV3", "out", "a", "zero", "w", "^add", dtype="float32"),
            ]
        return [
            X,
            texts.node("zero = Const() dtype=int32 value=int32:0"),
            texts.node("two = Const() dtype=int32 value=int32:2"),
            *variable,
            *put,
            add,
        ]

    source = graph([ref("v")], "v", assign_add("add", "v", "x", "^w"))
    read_first = [handle("v"), read("r", "v")]
    candidate = graph(read_first, "r", assign_add_resource("add", "v", "x", "^w"))
    assert isinstance(compared(source, candidate), NotProved)
    unwritten = graph([ref("v")], "v", node("NoOp", "add"))
    assert isinstance(compared(unwritten, graph(read_first, "r", node("NoOp", "add"))), Proved)


def test_a_push_in_a_branch_is_none_in_the_other_one():
    def graph(*push, last="s:1"):
        begin = [
            texts.node("two = Const() dtype=int32 value=int32:2"),
            node("StackV2", "a", "two", elem_type="float32"),
        ]
        first = [node("StackPushV2", "w", "a", "y", T="float32"), switch("s", "x", "p", "^w")]
        end = [merge("m", "s", last), node("StackPopV2", "out", "a", "^m", elem_type="float32")]
        return [X, Y, P, *begin, *first, *push, *end]

    there = node("StackPushV2", "u", "a", "s:1", T="float32")
    source = graph(there, last="u")
    assert isinstance(compared(source, source), Proved)
    assert isinstance(compared(source, graph()), NotProved)
    always = node("StackPushV2", "u", "a", "x", "^w", T="float32")
    assert isinstance(compared(source, graph(always, switch("t", "u", "p"), last="t:1")), NotProved)


def test_what_no_edge_orders_with_a_push_is_not_known():
    begin = [texts.node("two = Const() dtype=int32 value=int32:2"), node("StackV2", "a", "two", elem_type="float32")]
    pushes = [node("StackPushV2", "w", "a", "x", T="float32"), node("StackPushV2", "u", "a", "y", T="float32")]
    graph = [X, Y, *begin, *pushes, node("StackPopV2", "out", "a", "^w", "^u", elem_type="float32")]
    assert isinstance(compared(graph, graph), NotProved)
    pushes[1].input.append("^w")
    graph = [X, Y, *begin, *pushes, node("StackPopV2", "out", "a", "^u", elem_type="float32")]
    assert isinstance(compared(graph, graph), Proved)
