"""What a candidate computes beside the results: writes and reads that may fail where the source does not."""

from __future__ import annotations

import pytest

from migrate.graph.protos import NodeDef
from migrate.proof.numbering import run
from migrate.proof.restoring import nothing
from migrate.proof.settling import more_computed, settle
from migrate.proof.shared import Shared
from tests.proof.graphs import X, Y, add, const, handle, merge, model, node, read, ref, side, switch

UNFED = node("Placeholder", "unfed", dtype="float32")


def _more(source: list[NodeDef], candidate: list[NodeDef], targets: tuple[str, ...] = ("done",)) -> str:
    shared = Shared()
    one, _ = side(model("source", shared, source), [], targets)
    other, _ = side(model("candidate", shared, candidate), [], targets)
    settle(one, other)
    return more_computed(one, other)


SOURCE = [X, ref("v"), node("Assign", "done", "v", "x", T="float32", validate_shape=False)]


def _assigned(**attrs: object) -> list[NodeDef]:
    return [X, handle("v"), node("AssignVariableOp", "done", "v", "x", dtype="float32", **attrs)]


def test_an_assign_that_compares_shapes_may_fail_where_one_that_does_not_passes():
    assert _more(SOURCE, _assigned(validate_shape=False)) == ""
    assert _more(SOURCE, _assigned()) == ""
    assert "AssignVariableOp" in _more(SOURCE, _assigned(validate_shape=True))


@pytest.mark.parametrize(
    "first",
    [
        node("AssignAddVariableOp", "first", "v", "x", dtype="float32"),
        node("AssignAddVariableOp", "first", "v", "unfed", dtype="float32"),
        node("ResourceCountUpTo", "first", "v", T="float32", limit=3),
    ],
    ids=lambda made: f"{made.op} {','.join(made.input)}",
)
def test_a_write_that_another_one_follows_may_fail(first):
    again = node("AssignVariableOp", "done", "v", "x", "^first", dtype="float32")
    assert first.op in _more(SOURCE, [X, UNFED, handle("v"), first, again])


def test_a_placeholder_that_nobody_feeds_fails():
    waits = node("AssignVariableOp", "done", "v", "x", "^unfed", dtype="float32")
    assert "Placeholder" in _more(SOURCE, [X, UNFED, handle("v"), waits])


def test_a_variable_of_its_own_is_no_difference():
    own = [handle("w"), const("c", 1.0), node("AssignVariableOp", "first", "w", "c", dtype="float32")]
    waits = node("AssignVariableOp", "done", "v", "x", "^first", dtype="float32")
    assert _more(SOURCE, [X, handle("v"), *own, waits]) == ""


@pytest.mark.parametrize("waits", ["^first", ""])
def test_a_variable_that_is_assigned_to_before_it_is_read_has_a_value(waits):
    """A loader puts the name of an asset into a variable, and reads it for what runs on loading."""
    own = [handle("w"), node("AssignVariableOp", "first", "w", "x", dtype="float32")]
    got = node("ReadVariableOp", "got", *filter(None, ("w", waits)), dtype="float32")
    done = node("NoOp", "done", "^got", "^first")
    shared = Shared()
    one, _ = side(model("source", shared, [X, node("NoOp", "done")]), [], ("done",))
    loaded = model("candidate", shared, [X, *own, got, done])
    program = loaded.program({"x:0": ("argument", "x", 0)})
    program.target("done")
    other = loaded.side(program, lambda cell: nothing(shared.terms, cell))
    settle(one, other)
    assert more_computed(one, other) == ("" if waits else "ReadVariableOp 'got'")


def _fault(*nodes: NodeDef) -> str:
    found, _ = side(model("candidate", Shared(), [X, *nodes]), ["out"])
    run(found, is_first=True)
    return found.fault()


def test_a_value_where_a_ref_is_needed_is_a_fault():
    assert _fault(ref("v"), node("Assign", "out", "v", "x", T="float32")) == ""
    identity = node("Identity", "i", "v", T="float32")
    assert "needs a ref" in _fault(ref("v"), identity, node("Assign", "out", "i", "x", T="float32"))
    assert "needs a ref" in _fault(ref("v"), identity, node("RefIdentity", "out", "i", T="float32"))


def test_a_merge_says_how_many_it_takes():
    p = node("Placeholder", "p", dtype="bool")
    switch = node("Switch", "s", "x", "p", T="float32")
    assert _fault(p, switch, node("Merge", "out", "s", "s:1", T="float32", N=2)) == ""
    assert "other inputs" in _fault(p, switch, node("Merge", "out", "s", "s:1", T="float32", N=3))


def test_a_dead_branch_is_looked_at():
    never = [const("p", False), node("Switch", "s", "x", "p", T="float32")]
    assert _fault(*never, node("Identity", "d", "s:1", T="float32"), node("Neg", "out", "s", "^d", T="float32")) == ""
    wrong = node("Identity", "d", "s:1", T="int32")
    assert "another dtype" in _fault(*never, wrong, node("Neg", "out", "s", "^d", T="float32"))


def besides(source, candidate):
    """What the candidate computes that the source does not."""
    shared = Shared()
    one, _ = side(model("source", shared, source), ["out"])
    other, _ = side(model("candidate", shared, candidate), ["out"])
    settle(one, other)
    return more_computed(one, other)


def test_the_candidate_may_do_what_never_fails():
    source = [X, node("Neg", "out", "x", T="float32")]
    assert besides(source, [X, const("c", 1.0), node("Neg", "out", "x", "^c", T="float32")]) == ""
    found = besides(source, [X, node("DecodeRaw", "d", "x"), node("Neg", "out", "x", "^d", T="float32")])
    assert found == "DecodeRaw 'd'"


def test_arithmetic_beside_a_scalar_never_fails():
    source = [X, Y, node("Neg", "out", "x", T="float32")]
    wait = node("Neg", "out", "x", "^a", T="float32")
    assert besides(source, [X, const("c", 1.0), add("a", "x", "c"), wait]) == ""
    assert besides(source, [X, Y, add("a", "x", "y"), wait]) == "AddV2 'a'"
    assert besides(source, [X, const("c", 1.0), node("Div", "a", "x", "c", T="float32"), wait]) == "Div 'a'"


def test_the_candidate_may_not_loop_on_its_own():
    source = [X, node("Neg", "out", "x", T="float32")]
    endless = [
        node("Enter", "e", "x", T="float32", frame_name=b"l"),
        merge("m", "e", "n"),
        node("NextIteration", "n", "m", T="float32"),
    ]
    assert "NextIteration" in besides(source, [X, *endless, node("Neg", "out", "x", "^m", T="float32")])


def test_a_failure_may_be_told_in_other_words():
    source = [ref("v"), add("out", "v", "x"), X]

    def guarded(branch):
        return [
            handle("v"),
            X,
            node("VarIsInitializedOp", "asked", "v"),
            node("VarHandleOp", "none", dtype="float32", shared_name=b"nothing"),
            switch("s", "none", "asked", T="resource"),
            read("fails", f"s:{branch}"),
            read("r", "v"),
            add("out", "r", "x"),
            node("NoOp", "end", "^fails"),
        ]

    def found(branch):
        shared = Shared()
        one, _ = side(model("source", shared, source), ["out"])
        other, _ = side(model("candidate", shared, guarded(branch)), ["out"], ["end"])
        for each in (one, other):
            each.initial = lambda cell: shared.terms.make("initial", ("empty variable", cell.key[2]))
        settle(one, other)
        return more_computed(one, other)

    assert found(0) == ""
    assert found(1) == "ReadVariableOp 'fails'"


def test_what_fails_in_a_branch_may_not_fail_beside_it():
    p = node("Placeholder", "p", dtype="bool")
    begin = [X, Y, p, node("Switch", "s", "x", "p", T="float32"), node("Switch", "t", "y", "p", T="float32")]

    def decoded(*names_and_inputs):
        return [node("DecodeRaw", name, given) for name, given in names_and_inputs]

    seldom = [*begin, *decoded(("d", "s:1")), merge("out", "s", "d")]
    always = [*begin, *decoded(("d", "x")), switch("sd", "d", "p"), merge("out", "s", "sd:1")]
    assert besides(seldom, seldom) == ""
    assert besides(seldom, always) == "DecodeRaw 'd'"
    assert besides(always, seldom) == ""
    both = [*begin, *decoded(("d", "s:1"), ("e", "s")), merge("out", "e", "d")]
    assert besides(both, [*begin, *decoded(("out", "x"))]) == ""
