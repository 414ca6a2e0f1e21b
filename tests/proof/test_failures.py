"""What a call that fails leaves behind: what waits for what, where one of the two may fail."""

from __future__ import annotations

import itertools
import random

import pytest

from migrate.proof.records import NotProved, Proved, ProvedUnordered
from tests.proof.graphs import X, add, called, const, handle, identity, merge, node, read, switch

_LESS = (X, const("one", 1.0), const("five", 5.0), node("Less", "less", "x", "one", T="float32"), handle("v"))


def _check(*waits, name="check"):
    made = node("Assert", name, "less", "x", *waits, summarize=3)
    made.attr["T"].list.type.append(1)
    return made


def _assign(name, *inputs):
    return node("AssignVariableOp", name, *inputs, dtype="float32")


def _graph(*nodes):
    """A call that writes `w` and checks `check`."""
    return [*_LESS, *nodes, identity("out", "x", "^w", "^check")]


_FREE = _graph(_check(), _assign("w", "v", "x"))
_CHECKED_FIRST = _graph(_check(), _assign("w", "v", "x", "^check"))
_WRITTEN_FIRST = _graph(_check("^w"), _assign("w", "v", "x"))


@pytest.mark.parametrize("kept", [_CHECKED_FIRST, _WRITTEN_FIRST], ids=["check", "write"])
def test_an_order_that_the_source_has_is_kept(kept):
    for candidate in (_FREE, _CHECKED_FIRST, _WRITTEN_FIRST):
        output, left = called(kept, candidate)
        assert isinstance(output, Proved)  # If nothing fails, the answer is the same.
        assert isinstance(left, Proved if candidate is kept else NotProved), left
        # What TF1 leaves open the candidate may settle.
        assert isinstance(called(_FREE, candidate)[1], Proved)


def test_the_nodes_are_named():
    _, left = called(_CHECKED_FIRST, _FREE)
    assert isinstance(left, NotProved)
    assert "AssignVariableOp 'w'" in left.source
    assert "Assert 'check'" in left.why


def test_a_value_that_only_a_failed_call_shows():
    for_a_while = [_assign("early", "v", "five"), _check("^early"), _assign("w", "v", "x", "^check")]
    for source, candidate in ((_CHECKED_FIRST, _graph(*for_a_while)), (_graph(*for_a_while), _CHECKED_FIRST)):
        assert isinstance(called(source, candidate)[1], NotProved)


def test_the_order_may_lead_through_other_nodes():
    through = _graph(_check(), identity("i", "x", "^check"), node("NoOp", "n", "^i"), _assign("w", "v", "x", "^n"))
    assert isinstance(called(_CHECKED_FIRST, through)[1], Proved)
    assert isinstance(called(through, _CHECKED_FIRST)[1], Proved)
    assert isinstance(called(through, _FREE)[1], NotProved)


def test_of_two_variables_one_is_written_first():
    # A scatter fails with a row that is not there; the other variable is then as it was.
    rows = node("Const", "rows", dtype="int32")
    rows.attr["value"].tensor.dtype = 3
    rows.attr["value"].tensor.tensor_shape.dim.add(size=1)
    rows.attr["value"].tensor.int_val.append(7)
    scatter = node("ResourceScatterAdd", "scatter", "v", "rows", "x", dtype="float32", Tindices="int32")
    base = [X, handle("v"), handle("u"), rows, scatter]
    out = identity("out", "x", "^scatter", "^w")
    first, free = ([*base, _assign("w", "u", "x", *waits), out] for waits in (("^scatter",), ()))
    assert isinstance(called(first, first)[1], Proved)
    assert isinstance(called(free, first)[1], Proved)
    assert isinstance(called(first, free)[1], NotProved)


@pytest.mark.parametrize("branch", ["s:1", "s"], ids=["with the check", "other"])
def test_what_is_never_there_together_is_not_waited_for(branch):
    """The Merge waits for the check if it is there; a write in a branch does not wait for what is in the other one."""
    nodes = [
        switch("s", "x", "less"),
        _check("^here"),
        identity("here", "s:1"),
        identity("yes", "here", "^check"),
        identity("no", "s"),
        merge("m", "no", "yes"),
        _assign("w", "v", "x", "^m"),
    ]
    late = [*nodes[:-1], _assign("w", "v", "x")]
    ways = [[*_LESS, *each, identity("out", "x", "^w", "^m")] for each in (nodes, late)]
    assert isinstance(called(ways[0], ways[0])[1], Proved)
    assert isinstance(called(*ways)[1], NotProved)
    in_branch = [*nodes[:-1], identity("b", branch), _assign("w", "v", "b")]
    after = [*nodes[:-1], identity("b", branch, *(["^check"] if branch == "s:1" else [])), _assign("w", "v", "b")]
    ways = [[*_LESS, *each, identity("out", "m")] for each in (in_branch, after)]
    ways = [[*each, node("NoOp", "unused", "^w")] for each in ways]
    assert isinstance(called(ways[0], ways[1])[0], Proved)


def _loop(*, body_waits=(), turn_waits=(), at_once=10):
    """A loop that checks what it counts in each iteration; `u` is written in it, `v` when it is over.

    The counter waits for what is said; another loop variable waits for the check.
    """
    enter = {"T": "float32", "frame_name": b"f", "parallel_iterations": at_once}
    check = node("Assert", "check", "again", "inside", summarize=3)
    check.attr["T"].list.type.append(1)
    resource = {**enter, "T": "resource"}
    return [
        X,
        const("one", 1.0),
        const("ten", 10.0),
        handle("u"),
        handle("v"),
        node("Enter", "x_in", "x", is_constant=False, **enter),
        node("Enter", "one_in", "one", is_constant=True, **enter),
        node("Enter", "ten_in", "ten", is_constant=True, **enter),
        node("Enter", "u_in", "u", is_constant=True, **resource),
        merge("m", "x_in", "next"),
        node("Less", "less", "m", "ten_in", T="float32"),
        node("LoopCond", "cond", "less"),
        switch("s", "m", "cond"),
        identity("inside", "s:1"),
        node("NotEqual", "again", "inside", "one_in", T="float32"),
        check,
        add("more", "inside", "one_in"),
        _assign("w_in", "u_in", "more", *body_waits),
        node("NextIteration", "next", "more", *turn_waits, T="float32"),
        node("Enter", "y_in", "x", is_constant=False, **enter),
        merge("m2", "y_in", "next2"),
        switch("s2", "m2", "cond"),
        identity("inside2", "s2:1"),
        node("NextIteration", "next2", "inside2", "^check", T="float32"),
        node("Exit", "leaves", "s", T="float32"),
        node("Exit", "leaves2", "s2", T="float32"),
        _assign("w", "v", "leaves"),
        node("Mul", "out", "leaves", "leaves2", "^w", T="float32"),
    ]


def test_an_order_in_an_iteration_is_kept():
    ordered, free = _loop(body_waits=["^check"], turn_waits=["^w_in"]), _loop(turn_waits=["^w_in", "^check"])
    assert isinstance(called(ordered, ordered)[1], Proved)
    assert isinstance(called(ordered, free)[1], NotProved)


def test_an_order_between_iterations_is_kept():
    ordered, free = _loop(turn_waits=["^w_in", "^check"]), _loop(turn_waits=["^w_in"])
    assert isinstance(called(ordered, ordered)[1], Proved)
    assert isinstance(called(free, ordered)[1], Proved)
    assert isinstance(called(ordered, free)[1], NotProved)


def test_one_iteration_after_the_other_orders_all():
    ordered, free = (_loop(turn_waits=["^w_in"], at_once=count) for count in (1, 10))
    assert isinstance(called(ordered, ordered)[1], Proved)
    assert isinstance(called(ordered, free)[1], NotProved)
    assert isinstance(called(free, ordered)[1], Proved)


def test_reads_do_not_count():
    """A variable that has a value is read without an error; in which order does not matter."""
    first = [X, handle("v"), read("r", "v"), _assign("w", "v", "x", "^r"), identity("out", "x", "^w")]
    assert isinstance(called(first, first)[1], Proved)


def test_what_fails_may_depend_on_a_read_that_nothing_orders():
    race = [node("AssignAddVariableOp", "adds", "u", "x", dtype="float32"), read("r", "u")]
    base = [X, handle("u"), handle("v"), *race, node("MatMul", "may_fail", "r", "r", T="float32")]
    out = identity("out", "x", "^w", "^adds", "^may_fail")
    ordered, free = ([*base, _assign("w", "v", "x", *waits), out] for waits in (["^may_fail"], []))
    assert isinstance(called(ordered, ordered)[1], ProvedUnordered)
    assert isinstance(called(ordered, free)[1], NotProved)


_NODES = 5
_ASSERTS = 2


def _random_orders(draw):
    """Edges between nodes of which the first ones check and the others write, of a source and of a candidate."""
    pairs = list(itertools.combinations(draw.sample(range(_NODES), _NODES), 2))
    mine = {pair for pair in pairs if draw.random() < 0.4}
    theirs = {pair for pair in pairs if (pair in mine and draw.random() < 0.85) or draw.random() < 0.1}
    return mine, theirs


def _with_edges(edges):
    nodes = [X, const("one", 1.0), node("Less", "less", "x", "one", T="float32")]
    for number in range(_NODES):
        waits = [f"^n{one}" for one, other in sorted(edges) if other == number]
        if number < _ASSERTS:
            nodes.append(node("Const", f"text{number}", dtype="int32"))
            tensor = nodes[-1].attr["value"].tensor
            tensor.dtype = 3
            tensor.tensor_shape.SetInParent()
            tensor.int_val.append(number)
            made = node("Assert", f"n{number}", "less", f"text{number}", *waits, summarize=3)
            made.attr["T"].list.type.append(3)
            nodes.append(made)
        else:
            nodes += [handle(f"v{number}"), _assign(f"n{number}", f"v{number}", "x", *waits)]
    return [*nodes, identity("out", "x", *(f"^n{number}" for number in range(_NODES)))]


def _left_behind(edges, failing):
    """What may have been written when a check fails: the executor may have run whatever does not wait for it."""
    found = set()
    for chosen in itertools.product((False, True), repeat=_NODES):
        done = {number for number in range(_NODES) if chosen[number]}
        is_run = all(one in done for one, other in edges if other in done or other == failing)
        if failing not in done and is_run:
            found.add(frozenset(number for number in done if number >= _ASSERTS))
    return found


def test_random_orders():
    """What is proved is so: of each check that fails, the candidate leaves behind nothing that the source does not."""
    draw = random.Random(7)
    proved = 0
    for _ in range(300):
        mine, theirs = _random_orders(draw)
        output, left = called(_with_edges(mine), _with_edges(theirs))
        assert isinstance(output, Proved)
        is_right = all(_left_behind(theirs, each) <= _left_behind(mine, each) for each in range(_ASSERTS))
        proved += isinstance(left, Proved)
        assert is_right or isinstance(left, NotProved), (mine, theirs)
    assert 20 < proved < 280
