"""What hands its input on, what differs, and nodes that say another dtype than they have."""

from __future__ import annotations

import pytest

from migrate.proof.numbering import run
from migrate.proof.records import NotProved, Proved
from migrate.proof.shared import Shared
from migrate.proof.side import Side
from tests.proof.graphs import (
    P,
    X,
    Y,
    add,
    assign_add,
    compared,
    const,
    identity,
    merge,
    model,
    node,
    ref,
    side,
)


@pytest.mark.parametrize(
    "candidate",
    [
        [X, Y, add("out", "x", "y")],
        [X, Y, identity("a", "x"), add("out", "a", "y")],
        [X, Y, node("StopGradient", "a", "x", T="float32"), add("out", "a:0", "y")],
        [X, Y, add("sum", "x", "y"), identity("out", "sum", "^x")],
    ],
)
def test_what_hands_its_input_on_says_nothing(candidate):
    assert isinstance(compared([X, Y, add("out", "x", "y")], candidate), Proved)


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ([X, Y, add("out", "y", "x")], "input"),
        ([X, Y, node("Sub", "out", "x", "y", T="float32")], "AddV2 in the source, Sub in the candidate"),
        ([X, Y, add("out", "x", "x")], "input"),
        ([X, Y, add("sum", "x", "y"), node("Relu", "out", "sum", T="float32")], "AddV2 in the source, Relu"),
        ([X, add("out", "x", "nothing")], "there is no tensor 'nothing'"),
        ([X, Y, node("NoSuchOp", "out", "x", "y")], "not in the table of ops"),
    ],
)
def test_what_differs_is_named(candidate, why):
    found = compared([X, Y, add("out", "x", "y")], candidate)
    assert isinstance(found, NotProved)
    assert why in found.why


@pytest.mark.parametrize(
    "wrong",
    [
        node("Identity", "a", "x", T="int32"),
        node("StopGradient", "a", "n", T="int32"),
        node("Switch", "a", "n", "p", T="int32"),
    ],
)
def test_a_dtype_that_is_not_true_is_not_proved(wrong):
    graph = [X, P, node("Neg", "n", "x", T="float32"), wrong, node("Abs", "out", "a", T="float32")]
    assert isinstance(compared(graph, graph), NotProved) or wrong.input[0] == "x"


def test_a_constant_whose_dtype_is_not_true_is_not_proved():
    wrong = const("c", 1.0)
    wrong.attr["dtype"].type = 3
    graph = [X, wrong, add("out", "x", "c")]
    assert isinstance(compared(graph, graph), NotProved)


@pytest.mark.parametrize(
    ("nodes", "passes"),
    [
        ([X, ref("v"), assign_add("w", "v", "x"), add("out", "w", "x")], 1),
        ([X, P, ref("v"), node("RefSwitch", "s", "v", "p", T="float32"), assign_add("out", "s:1", "x")], 1),
        # The write never runs, which the first pass finds out.
        ([X, const("no", False), ref("v"), node("RefSwitch", "s", "v", "no", T="float32"),
          assign_add("w", "s:1", "x"), merge("out", "w", "x")], 2),
    ],
    ids=["write", "in a cond", "never"],
)  # fmt: skip
def test_what_is_written_is_guessed_before_the_first_pass(nodes, passes, monkeypatch):
    count = []
    clear = Side.clear
    monkeypatch.setattr(Side, "clear", lambda self: (count.append(self.name), clear(self))[1])
    found, _ = side(model("source", Shared(), nodes), ["out"])
    run(found, is_first=True)
    assert len(count) == passes
    assert found.written == found.found_written
