"""V1 conds and loops."""

from __future__ import annotations

import pytest

from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import (
    P,
    Q,
    X,
    Y,
    add,
    compared,
    const,
    identity,
    merge,
    node,
    switch,
)

# Branches.


def cond(true, false, predicate="p"):
    return [
        X,
        Y,
        P,
        switch("sx", "x", predicate),
        switch("sy", "y", predicate),
        node("Neg", "negative", "sx:1", T="float32"),
        node("Abs", "positive", "sy:0", T="float32"),
        merge("out", false, true),
    ]


def test_a_cond_is_itself_whatever_the_order_of_its_branches():
    source = cond("negative", "positive")
    assert isinstance(compared(source, cond("negative", "positive")), Proved)
    assert isinstance(compared(source, cond("positive", "negative")), Proved)


def test_the_other_branch_is_another_value():
    swapped = cond("negative", "positive")
    swapped[3:5] = [switch("sx", "y", "p"), switch("sy", "x", "p")]
    assert isinstance(compared(cond("negative", "positive"), swapped), NotProved)
    turned = [*cond("negative", "positive")[:5]]
    turned += [node("Neg", "negative", "sx:0", T="float32"), node("Abs", "positive", "sy:1", T="float32")]
    assert isinstance(
        compared(cond("negative", "positive"), [*turned, merge("out", "negative", "positive")]), NotProved
    )


def test_what_a_merge_gives_is_its_input_where_the_predicate_is_known():
    """A second cond with the same predicate takes what the first one gives."""

    def graph(of, predicate="p"):
        return [
            *cond("negative", "positive")[:-1],
            Q,
            merge("m", "positive", "negative"),
            switch("t", of, predicate),
            node("Sign", "then", "t:1", T="float32"),
            node("Sqrt", "else", "t:0", T="float32"),
            merge("out", "else", "then"),
        ]

    direct = [
        *cond("negative", "positive")[:-1],
        node("Sign", "then", "negative", T="float32"),
        node("Sqrt", "else", "positive", T="float32"),
        merge("out", "else", "then"),
    ]
    assert isinstance(compared(graph("m"), direct), Proved)
    assert isinstance(compared(graph("m", "q"), direct), NotProved)
    turned = [*direct[:-3], node("Sign", "then", "positive", T="float32"), *direct[-2:]]
    assert not isinstance(compared_or_apart(graph("m"), turned), Proved)


def _of_predicate(then, otherwise, predicate="p"):
    """A cond whose branches take the predicate of a cond as a value."""
    return [
        X,
        P,
        Q,
        switch("s", predicate, "p", T="bool"),
        switch("sx", "x", "p"),
        const("yes", True, "^sx"),
        const("no", False, "^sx"),
        node("Select", "then", then, "sx:1", "sx:1", T="float32"),
        node("Select", "else", otherwise, "sx:0", "sx:0", T="float32"),
        merge("out", "else", "then"),
    ]


def test_a_predicate_is_a_constant_in_each_of_its_branches():
    source = _of_predicate("s:1", "s:0")
    assert isinstance(compared(source, _of_predicate("yes", "no")), Proved)
    assert isinstance(compared(source, _of_predicate("s:1", "no")), Proved)
    assert isinstance(compared(source, _of_predicate("no", "no")), NotProved)
    assert isinstance(compared(source, _of_predicate("yes", "yes")), NotProved)
    assert isinstance(compared(_of_predicate("s:1", "s:0", "q"), _of_predicate("yes", "no")), NotProved)


def test_what_a_predicate_is_in_both_branches_is_the_predicate():
    direct = [X, P, Q, node("Select", "out", "p", "x", "x", T="float32")]

    def graph(first, second):
        ends = [node("Merge", "m", first, second, T="bool", N=2), node("Select", "out", "m", "x", "x", T="float32")]
        return [X, P, Q, switch("s", "p", "p", T="bool"), switch("t", "q", "p", T="bool"), *ends]

    assert isinstance(compared(graph("s:0", "s:1"), direct), Proved)
    assert isinstance(compared(graph("s:1", "s"), direct), Proved)
    assert isinstance(compared(graph("s", "t:1"), direct), NotProved)
    assert isinstance(compared(graph("t", "t:1"), direct), NotProved)


def test_what_is_true_whatever_a_tensor_is_has_its_shape():
    """`true or q` is true for each element of `q`; a predicate is a scalar."""
    begin = [P, Q, switch("s", "q", "p", T="bool"), const("yes", True), const("no", False)]
    ends = [node("LogicalAnd", "false", "s", "no"), node("LogicalOr", "true", "s:1", "yes")]
    source = [*begin, *ends, node("Merge", "out", "false", "true", T="bool", N=2)]
    assert isinstance(compared(source, source), Proved)
    assert not isinstance(compared_or_apart(source, [P, node("Identity", "out", "p", T="bool")]), Proved)


def compared_or_apart(source, candidate):
    """`compared`, or NotProved where the outputs are there in other calls."""
    try:
        return compared(source, candidate)
    except AssertionError:
        return NotProved("", "", "apart")


def test_what_stands_in_a_branch_by_a_control_edge_stands_there():
    def graph(one, other):
        pivots = [X, P, switch("s", "x", "p"), identity("no", "s"), identity("yes", "s:1")]
        return [*pivots, const("a", 1.0, one), const("b", 2.0, other), merge("out", "b", "a")]

    assert isinstance(compared(graph("^yes", "^no"), graph("^yes", "^no")), Proved)
    assert isinstance(compared(graph("^yes", "^no"), graph("^no", "^yes")), NotProved)


def test_inputs_that_may_be_there_at_once_are_not_proved():
    graph = [X, Y, merge("out", "x", "y")]
    found = compared(graph, graph)
    assert isinstance(found, NotProved)
    assert "at once" in found.why


def test_a_branch_that_cannot_run_may_be_left_out():
    predicate = const("p", True)
    source = [X, Y, predicate, *cond("negative", "positive", "c")[3:], const("c", True)]
    assert isinstance(compared(source, [X, node("Neg", "out", "x", T="float32")]), Proved)
    assert isinstance(compared(source, [Y, node("Abs", "out", "y", T="float32")]), NotProved)


# Loops.


def loop(step="add", limit=10.0, start="x", constant=True, returned="exit", **attrs):
    """`while i < limit: i += y`."""
    frame = {"T": "float32", "frame_name": b"loop", **attrs}
    return [
        X,
        Y,
        node("Enter", "enter", start, **frame),
        node("Enter", "y_in", "y", is_constant=constant, **frame),
        merge("m", "enter", "next"),
        const("limit", limit, "^m"),
        node("Less", "less", "m", "limit", T="float32"),
        node("LoopCond", "go", "less"),
        switch("s", "m", "go"),
        add("add", "s:1", "y_in"),
        node("Mul", "mul", "s:1", "y_in", T="float32"),
        node("NextIteration", "next", step, T="float32"),
        node("Exit", "exit", "s", T="float32"),
        identity("out", returned),
    ]


def test_a_loop_is_itself_under_other_names():
    renamed = []
    for each in loop():
        other = type(each).FromString(each.SerializeToString())
        other.name = each.name if each.name in ("x", "y", "out") else f"z_{each.name}"
        other.input[:] = [
            i if i.lstrip("^").split(":")[0] in ("x", "y") else i.replace("^", "^z_", 1) if i[0] == "^" else f"z_{i}"
            for i in each.input
        ]
        renamed.append(other)
    assert isinstance(compared(loop(), renamed), Proved)


@pytest.mark.parametrize(
    "candidate",
    [
        loop(step="mul"),
        loop(limit=11.0),
        loop(start="y"),
        loop(constant=False),
        loop(step="s:1"),
        loop(returned="m"),
        loop(returned="x"),
    ],
    ids=["step", "limit", "start", "first iteration alone", "endless", "from inside", "no loop"],
)
def test_another_loop_is_another_value(candidate):
    assert isinstance(compared(loop(), candidate), NotProved)


@pytest.mark.parametrize("iterations", [0, -1])
def test_a_loop_that_no_executor_takes_is_not_proved(iterations):
    assert isinstance(compared(loop(parallel_iterations=10), loop(parallel_iterations=32)), Proved)
    assert isinstance(compared(loop(), loop(parallel_iterations=iterations)), NotProved)


def _two_loops(frame_name):
    """One after the other; the second has the given frame."""
    second = []
    for each in loop(start="out"):
        if each.name in ("x", "y"):
            continue
        other = type(each).FromString(each.SerializeToString())
        other.name = f"b_{each.name}"
        other.input[:] = [
            i if i in ("out", "y") else i.replace("^", "^b_", 1) if i[0] == "^" else f"b_{i}" for i in each.input
        ]
        if "frame_name" in other.attr:
            other.attr["frame_name"].s = frame_name
        second.append(other)
    return [*loop(), *second]


def test_two_loops_of_one_frame_are_not_proved():
    assert isinstance(compared(_two_loops(b"second"), _two_loops(b"other"), "b_out:0"), Proved)
    assert isinstance(compared(_two_loops(b"second"), _two_loops(b"loop"), "b_out:0"), NotProved)


def test_loop_variables_that_start_alike_are_told_apart():
    def two(first, second):
        frame = {"T": "float32", "frame_name": b"loop"}
        return [
            X,
            *[node("Enter", f"enter_{k}", "x", **frame) for k in "ab"],
            *[merge(f"m_{k}", f"enter_{k}", f"next_{k}") for k in "ab"],
            const("limit", 10.0, "^m_a"),
            node("Less", "less", "m_a", "limit", T="float32"),
            node("LoopCond", "go", "less"),
            *[switch(f"s_{k}", f"m_{k}", "go") for k in "ab"],
            const("one", 1.0, "^s_a_on"),
            identity("s_a_on", "s_a:1"),
            add("more_a", "s_a:1", "one"),
            add("more_b", "s_b:1", "s_a:1"),
            *[node("NextIteration", f"next_{k}", f"more_{k}", T="float32") for k in "ab"],
            *[node("Exit", f"exit_{k}", f"s_{k}", T="float32") for k in "ab"],
            node("Sub", "out", first, second, T="float32"),
        ]

    assert isinstance(compared(two("exit_a", "exit_b"), two("exit_a", "exit_b")), Proved)
    assert isinstance(compared(two("exit_a", "exit_b"), two("exit_b", "exit_a")), NotProved)
    assert isinstance(compared(two("exit_a", "exit_b"), two("exit_a", "exit_a")), NotProved)
