"""Cells that v1 loops write: what an iteration leaves for the next one, and what the edges must order."""

from __future__ import annotations

import pytest

from migrate.proof.difference import difference
from migrate.proof.order import topological
from migrate.proof.records import NotProved, Proved
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched
from tests.proof.graphs import compared, const, handle, left, model, node, program, ref, side

X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")


def identity(name, *inputs):
    return node("Identity", name, *inputs, T="float32")


def add(name, *inputs):
    return node("AddV2", name, *inputs, T="float32")


def read(name, *inputs):
    return node("ReadVariableOp", name, *inputs, dtype="float32")


def enter(name, *inputs, frame=b"loop", T="float32", constant=True):
    return node("Enter", name, *inputs, T=T, frame_name=frame, is_constant=constant)


def counter(waits, prefix="", frame=b"loop", start="x", limit=10.0, begins=()):
    """`i = x; while i < limit: i += y`, where the next iteration waits for something."""
    return [
        enter(f"{prefix}enter", start, *begins, frame=frame, constant=False),
        node("Merge", f"{prefix}m", f"{prefix}enter", f"{prefix}next", T="float32", N=2),
        const(f"{prefix}limit", limit, f"^{prefix}m"),
        node("Less", f"{prefix}less", f"{prefix}m", f"{prefix}limit", T="float32"),
        node("LoopCond", f"{prefix}go", f"{prefix}less"),
        node("Switch", f"{prefix}s", f"{prefix}m", f"{prefix}go", T="float32"),
        identity(f"{prefix}pivot", f"{prefix}s:1"),
        const(f"{prefix}one", 1.0, f"^{prefix}pivot"),
        add(f"{prefix}more", f"{prefix}s:1", f"{prefix}one", *waits),
        node("NextIteration", f"{prefix}next", f"{prefix}more", T="float32"),
        node("Exit", f"{prefix}exit", f"{prefix}s", T="float32"),
    ]


ADD = {"T": "float32", "use_locking": False}
SOURCE = [
    X,
    ref("v"),
    node("RefEnter", "v_in", "v", T="float32", frame_name=b"loop", is_constant=True),
    *counter(["^b"]),
    identity("r", "v_in", "^pivot"),
    node("Mul", "twice", "r", "s:1", T="float32"),
    node("AssignAdd", "a", "v_in", "twice", **ADD),
    node("AssignSub", "b", "v_in", "s:1", "^a", **ADD),
    node("Identity", "seen", "v", "^exit", T="float32"),
    add("out", "seen", "exit"),
]
"""Each iteration reads a variable and writes it twice; then it is read."""


def candidate(
    order=("^pivot", "^a", "^b"), last="^exit", after="^exit", ops=("Add", "Sub"), limit=10.0, start=(), first=()
):
    waits_of_read, waits_of_second, waits_of_next = order
    return [
        X,
        handle("v"),
        enter("v_in", "v", T="resource"),
        *counter([waits_of_next] if waits_of_next else [], limit=limit, begins=start),
        read("r", "v_in", waits_of_read),
        node("Mul", "twice", "r", "s:1", T="float32"),
        node(f"Assign{ops[0]}VariableOp", "a", "v_in", "twice", *first, dtype="float32"),
        node(
            f"Assign{ops[1]}VariableOp",
            "b",
            "v_in",
            "s:1",
            *([waits_of_second] if waits_of_second else []),
            dtype="float32",
        ),
        read("seen", "v", after),
        add("out", "seen", "exit"),
    ]


def test_a_loop_that_writes_is_itself():
    assert isinstance(compared(SOURCE, candidate(), targets=["exit"]), Proved)
    assert isinstance(left(SOURCE, candidate(), ["exit"]), Proved)


@pytest.mark.parametrize(
    "mutant",
    {
        "no edge between the writes": candidate(("^pivot", "", "^b")),
        "the next iteration waits for the first write": candidate(("^pivot", "^a", "^a")),
        "the next iteration waits for nothing": candidate(("^pivot", "^a", "")),
        "read after the first write": candidate(("^pivot", "^a", "^b"), ops=("Sub", "Add")),
        "another limit": candidate(limit=11.0),
    }.items(),
    ids=lambda item: item[0],
)
def test_another_order_is_not_proved(mutant):
    assert isinstance(compared(SOURCE, mutant[1], targets=["exit", "b"]), NotProved)
    assert isinstance(left(SOURCE, mutant[1], ["exit", "b"]), NotProved)


def test_writes_that_change_places_are_not_proved():
    swapped = [each for each in candidate() if each.name not in ("a", "b", "more")]
    swapped += [
        node("AssignSubVariableOp", "b", "v_in", "s:1", "^r", dtype="float32"),
        node("AssignAddVariableOp", "a", "v_in", "twice", "^b", dtype="float32"),
        add("more", "s:1", "one", "^a"),
    ]
    assert isinstance(left(SOURCE, swapped, ["exit"]), NotProved)
    assert isinstance(compared(SOURCE, swapped, targets=["exit"]), NotProved)


def test_a_read_outside_must_come_after_the_loop():
    early = candidate(after="^x")
    found = compared(SOURCE, early, targets=["exit"])
    assert isinstance(found, NotProved)
    assert "no edge orders" in found.why
    before = candidate(after="^x", start=("^seen",))
    assert isinstance(compared(SOURCE, before, targets=["exit"]), NotProved)
    assert isinstance(left(SOURCE, before, ["exit"]), Proved)


def test_a_read_that_only_the_first_iteration_waits_for_is_not_ordered():
    # The value is taken before the loop in the one, in each iteration in the other.
    stale = [each for each in candidate(start=("^r",)) if each.name != "r"]
    stale += [read("r0", "v"), enter("r", "r0")]
    stale = [each for each in stale if each.name != "enter"] + [enter("enter", "x", "^r0", constant=False)]
    assert isinstance(compared(SOURCE, stale, targets=["exit"]), NotProved)
    assert isinstance(left(SOURCE, stale, ["exit"]), NotProved)


def test_a_write_outside_must_come_before_or_after_the_loop():
    source = [*SOURCE, node("Assign", "w", "v", "x", "^out", T="float32")]
    wide = {"dtype": "float32", "validate_shape": True}

    def with_write(*waits, start=()):
        return [*candidate(start=start), node("AssignVariableOp", "w", "v", "x", *waits, **wide)]

    assert isinstance(left(source, with_write("^out"), ["exit", "w"]), Proved)
    assert isinstance(left(source, with_write("^seen"), ["exit", "w"]), Proved)
    assert isinstance(left(source, with_write(), ["exit", "w"]), NotProved)
    assert isinstance(left(source, with_write(start=("^w",)), ["exit", "w"]), NotProved)


def test_what_enters_is_compared():
    wide = {"T": "float32", "validate_shape": True}
    source = [n for n in SOURCE if n.name not in ("enter", "v_in")]
    source += [
        node("Assign", "w", "v", "x", **wide),
        enter("enter", "x", "^w", constant=False),
        node("RefEnter", "v_in", "v", T="float32", frame_name=b"loop", is_constant=True),
    ]

    def written(value, start):
        assign = {"dtype": "float32", "validate_shape": True}
        return [*candidate(start=start), Y, node("AssignVariableOp", "w", "v", value, **assign)]

    assert isinstance(left(source, written("x", ("^w",)), ["exit"]), Proved)
    assert isinstance(left(source, written("y", ("^w",)), ["exit"]), NotProved)
    assert isinstance(left(source, written("x", ()), ["exit", "w"]), NotProved)


def test_a_loop_variable_that_does_not_wait_for_a_write_before_the_loop():
    # In the second iteration `t` comes from `y_in`, which no write is before: only the first iteration waits for it.
    def graph(begins):
        return [
            X,
            Y,
            ref("v"),
            node("Assign", "w", "v", "y", T="float32", validate_shape=True),
            *counter([], begins=begins),
            enter("y_in", "y"),
            enter("t_in", "x", "^w", constant=False),
            node("Merge", "t", "t_in", "t_next", T="float32", N=2),
            node("Switch", "ts", "t", "go", T="float32"),
            identity("again", "y_in", "^pivot"),
            node("NextIteration", "t_next", "again", T="float32"),
            node("RefEnter", "v_in", "v", T="float32", frame_name=b"loop", is_constant=True),
            add("sum", "v_in", "ts:1"),
            node("NextIteration", "u_next", "sum", T="float32"),
            enter("u_in", "x", constant=False),
            node("Merge", "u", "u_in", "u_next", T="float32", N=2),
            node("Switch", "us", "u", "go", T="float32"),
            node("Exit", "out", "us", T="float32"),
        ]

    assert isinstance(compared(graph(["^w"]), graph(["^w"])), Proved)
    assert isinstance(compared(graph([]), graph([])), NotProved)


def test_a_loop_variable_that_comes_back_as_another_one_is_no_constant():
    def two(first, out):
        return [
            X,
            enter("a_in", "x", constant=False),
            enter("b_in", "x", constant=False),
            node("Merge", "a", "a_in", "a_next", T="float32", N=2),
            node("Merge", "b", "b_in", "b_next", T="float32", N=2),
            const("limit", 10.0, "^b"),
            node("Less", "less", "b", "limit", T="float32"),
            node("LoopCond", "go", "less"),
            node("Switch", "sa", "a", "go", T="float32"),
            node("Switch", "sb", "b", "go", T="float32"),
            const("one", 1.0, "^pivot"),
            identity("pivot", "sb:1"),
            add("more", "sb:1", "one"),
            node("NextIteration", "a_next", first, T="float32"),
            node("NextIteration", "b_next", "more", T="float32"),
            node("Exit", "out", out, T="float32"),
        ]

    assert isinstance(compared(two("sb:1", "sa"), two("sb:1", "sa")), Proved)
    assert isinstance(compared(two("sa:1", "sa"), two("sa:1", "sa")), Proved)
    # The value lags one iteration behind here, and is the first one there.
    assert isinstance(compared(two("sb:1", "sa"), two("sa:1", "sa")), NotProved)


def test_a_draw_in_each_iteration_is_not_one_before_the_loop():
    def graph(inside):
        draw = {"dtype": "float32", "T": "int32"}
        made = [
            const("shape", 1.0, "^pivot" if inside else "^x"),
            node("RandomUniform", "draw", "shape", **draw),
            *([] if inside else [enter("drawn", "draw")]),
        ]
        taken = "draw" if inside else "drawn"
        return [
            X,
            *counter([]),
            *made,
            enter("t_in", "x", constant=False),
            node("Merge", "t", "t_in", "t_next", T="float32", N=2),
            node("Switch", "ts", "t", "go", T="float32"),
            add("sum", "ts:1", taken),
            node("NextIteration", "t_next", "sum", T="float32"),
            node("Exit", "out", "ts", T="float32"),
        ]

    assert isinstance(compared(graph(True), graph(True)), Proved)
    assert isinstance(compared(graph(False), graph(False)), Proved)
    assert isinstance(compared(graph(True), graph(False)), NotProved)


# Loops in loops, conds in loops, and one loop after another.


def nested(kind, inner_waits="^a", outer_waits="^in_exit", ends="^exit"):
    """Each iteration of a loop adds its number, in an inner loop, to a variable."""
    is_ref = kind == "ref"
    into = {"T": "float32" if is_ref else "resource", "is_constant": True}
    made = ref("v") if is_ref else handle("v")
    op = "RefEnter" if is_ref else "Enter"
    write = (
        node("AssignAdd", "a", "v_2", "in_s:1", **ADD)
        if is_ref
        else node("AssignAddVariableOp", "a", "v_2", "in_s:1", dtype="float32")
    )
    return [
        X,
        made,
        node(op, "v_1", "v", frame_name=b"outer", **into),
        node(op, "v_2", "v_1", frame_name=b"inner", **into),
        *counter([outer_waits] if outer_waits else [], frame=b"outer"),
        *counter([inner_waits] if inner_waits else [], "in_", b"inner", "s:1", 20.0),
        write,
        identity("out", "v", ends) if is_ref else read("out", "v", ends),
    ]


def test_a_loop_in_a_loop_that_writes_is_itself():
    assert isinstance(compared(nested("ref"), nested("resource")), Proved)
    assert isinstance(left(nested("ref"), nested("resource"), ["exit"]), Proved)


@pytest.mark.parametrize(
    "mutant",
    [nested("resource", ""), nested("resource", outer_waits=""), nested("resource", ends="^x")],
    ids=["inner", "outer", "after"],
)
def test_each_loop_must_be_waited_for(mutant):
    assert isinstance(compared(nested("ref"), mutant, targets=["exit", "in_exit"]), NotProved)


def chosen(kind, branch=1, waits="^done", frames=("loop",), value="s:1"):
    """A loop that writes in one branch of a cond."""
    is_ref = kind == "ref"
    made, into = (ref("v"), "RefEnter") if is_ref else (handle("v"), "Enter")
    T = "float32" if is_ref else "resource"
    write = (
        node("AssignAdd", "a", "v_in", f"c:{branch}", **ADD)
        if is_ref
        else node("AssignAddVariableOp", "a", "v_in", f"c:{branch}", dtype="float32")
    )
    return [
        X,
        made,
        node(into, "v_in", "v", T=T, frame_name=b"loop", is_constant=True),
        *counter([waits] if waits else []),
        node("Greater", "big", "s:1", "one", T="float32"),
        node("Switch", "c", value, "big", T="float32"),
        identity("written", f"c:{branch}", "^a"),
        identity("other", f"c:{1 - branch}"),
        node("Merge", "done", "written", "other", T="float32", N=2),
        write,
        identity("out", "v", "^exit") if is_ref else read("out", "v", "^exit"),
    ]


def test_a_branch_in_a_loop_that_writes_is_itself():
    assert isinstance(compared(chosen("ref"), chosen("resource")), Proved)
    assert isinstance(compared(chosen("ref"), chosen("resource", branch=0)), NotProved)
    assert isinstance(compared(chosen("ref"), chosen("resource", waits="")), NotProved)


def test_two_loops_are_two():
    """Branches of two loops that are alike exclude each other in one loop alone."""

    def graph(kind, ordered):
        is_ref = kind == "ref"
        made, into, T = (ref("v"), "RefEnter", "float32") if is_ref else (handle("v"), "Enter", "resource")
        begins = ["^exit"] if ordered else []
        found = [
            X,
            made,
            node(into, "v_1", "v", T=T, frame_name=b"loop", is_constant=True),
            node(into, "v_2", "v", T=T, frame_name=b"second", is_constant=True),
            *counter(["^a"]),
            *counter(["^b"], "b_", b"second", begins=begins),
        ]
        for name, cell, value in (("a", "v_1", "s:1"), ("b", "v_2", "b_s:1")):
            op = "AssignAdd" if is_ref else "AssignAddVariableOp"
            attrs = ADD if is_ref else {"dtype": "float32"}
            found.append(node(op, name, cell, value, **attrs))
        return found

    targets = ["exit", "b_exit"]
    assert isinstance(left(graph("ref", True), graph("resource", True), targets), Proved)
    found = left(graph("ref", True), graph("resource", False), targets)
    assert isinstance(found, NotProved)
    assert "no edge orders" in found.why


def test_an_exit_comes_after_what_its_loop_repeats():
    flat = program(SOURCE)
    flat.tensor("out:0")
    order, left_over = topological(flat.nodes)
    ops = [flat.nodes[place].op for place in order]
    assert not left_over
    assert ops.index("Exit") > ops.index("NextIteration")


def test_the_state_of_another_variable_is_another_one():
    """Two variables that begin alike for the numbering are told apart by what they begin with."""
    shared = Shared()
    other = [type(n).FromString(n.SerializeToString()) for n in candidate()]
    other.append(handle("u"))
    next(n for n in other if n.name == "v_in").input[:] = ["u"]
    one, first = side(model("source", shared, SOURCE), ["out"], ["exit"])
    two, second = side(model("candidate", shared, other), ["out"], ["exit"])
    settle(one, two)
    found = difference(shared.terms, fetched(one, first[0]), fetched(two, second[0]), one.origins, two.origins)
    assert isinstance(found, NotProved)


def test_iterations_that_run_one_by_one_need_no_edges():
    """The same loop with `parallel_iterations=1`, where the executor orders what the edges do not."""

    def one_by_one(graph, count=1):
        found = [type(n).FromString(n.SerializeToString()) for n in graph]
        for each in found:
            if each.op in ("Enter", "RefEnter"):
                each.attr["parallel_iterations"].i = count
        return found

    loose = candidate(("^pivot", "^a", ""))
    source = [n for n in SOURCE if n.name != "more"] + [add("more", "s:1", "one")]
    targets = ["exit", "b"]
    assert isinstance(left(one_by_one(source), one_by_one(loose), targets), Proved)
    assert isinstance(compared(one_by_one(source), one_by_one(loose), targets=targets), Proved)
    assert isinstance(left(one_by_one(source), one_by_one(loose, 2), targets), NotProved)
    assert isinstance(left(one_by_one(source), loose, targets), NotProved)
    # An iteration's own accesses are ordered by edges alone.
    unordered = candidate(("^pivot", "", ""))
    assert isinstance(left(one_by_one(source), one_by_one(unordered), ["exit", "a", "b"]), NotProved)


def test_a_loop_that_never_repeats_is_what_enters():
    source = [
        X,
        *counter([], start="zero", limit=0.0),
        const("zero", 0.0),
        enter("t_in", "x", constant=False),
        node("Merge", "t", "t_in", "t_next", T="float32", N=2),
        node("Switch", "ts", "t", "go", T="float32"),
        add("sum", "ts:1", "one"),
        node("NextIteration", "t_next", "sum", T="float32"),
        node("Exit", "out", "ts", T="float32"),
    ]
    assert isinstance(compared(source, [X, identity("out", "x")]), Proved)
    once = [n for n in source if n.name != "limit"] + [const("limit", 1.0, "^m")]
    assert isinstance(compared(once, [X, identity("out", "x")]), NotProved)


@pytest.mark.parametrize(("which", "is_same"), [(1, True), (0, False)])
def test_a_handle_out_of_a_list_is_that_handle(which, is_same):
    def bound(name, value):
        made = const(name, True)
        tensor = made.attr["value"].tensor
        tensor.Clear()
        tensor.dtype = made.attr["dtype"].type = 3
        tensor.int_val.append(value)
        tensor.tensor_shape.dim.add().size = 1
        return made

    source = [X, ref("v"), add("out", "v", "x")]
    listed = [
        X,
        handle("v"),
        handle("u"),
        node("Pack", "all", "u", "v", T="resource", N=2, axis=0),
        *(bound(name, value) for name, value in (("begin", which), ("end", which + 1), ("step", 1))),
        node("StridedSlice", "h", "all", "begin", "end", "step", T="resource", Index="int32", shrink_axis_mask=1),
        read("r", "h"),
        add("out", "r", "x"),
    ]
    assert isinstance(compared(source, listed), Proved if is_same else NotProved)
    listed[-3].attr["shrink_axis_mask"].i = 0
    assert isinstance(compared(source, listed), NotProved)
