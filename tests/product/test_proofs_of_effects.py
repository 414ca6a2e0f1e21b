"""What a call leaves behind: variables that one model alone has, and ops of which it is not known whether they run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.proof.difference import output_difference
from migrate.proof.effects import effects, loose_op
from migrate.proof.loading import Loaded
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import NotProved, Proved, Result
from migrate.proof.settling import settle
from migrate.proof.variables import Variables
from tests.proof.graphs import call, const, function, handle, node, ref

X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")
ADD = {"T": "float32"}


def graph(nodes: Sequence[NodeDef], functions: Sequence[FunctionDef] = ()) -> MetaGraphDef:
    """A model of one graph."""
    made = MetaGraphDef()
    made.graph_def.node.extend(nodes)
    made.graph_def.library.function.extend(functions)
    return made


def proved(
    source: Sequence[NodeDef],
    candidate: Sequence[NodeDef],
    functions: Sequence[FunctionDef] = (),
    targets: Sequence[str] = (),
) -> tuple[Result, Result]:
    """What the proof says of the output `out` in a Session, and of what the call leaves behind."""
    pair = Pair(graph(source, functions), Files(None, ""), graph(candidate, functions), "/nowhere", Asked({}))
    variables = Variables(pair, Loaded(pair))
    fed = {"x:0": ("argument", "x", 0), "y:0": ("argument", "y", 0)}
    ours, theirs = pair.source.program(fed), pair.candidate.program(fed)
    one, other = ours.tensor("out:0"), theirs.tensor("out:0")
    for target in targets:
        ours.target(target)
        theirs.target(target)
    ours.keep(is_session=True)
    theirs.keep(is_session=False)
    first = pair.source.side(ours, variables.source_initial)
    second = pair.candidate.side(theirs, variables.initial("session"))
    settle(first, second)
    loose = loose_op(variables, ours, first, "session")
    left = NotProved(loose, "", "runs or not") if loose else effects(variables, first, second, "session")
    return output_difference(first, second, one, other), left


def _body(**returned: str) -> FunctionDef:
    """A function with a variable of its own, which it writes and reads."""
    nodes = [
        ref("own"),
        node("Assign", "w", "own:ref:0", "a", validate_shape=True, **ADD),
        node("AssignAdd", "more", "own:ref:0", "a", "^w", **ADD),
        node("AddV2", "sum", "more:output_ref:0", "a", **ADD),
        node("Neg", "negative", "a", **ADD),
    ]
    return function("f", ["a"], nodes, **returned)


WIDE = {"dtype": "float32", "validate_shape": True}


def _inlined(name="other", value="x", ops=("Assign", "AssignAdd")):
    return [
        X,
        Y,
        handle(name),
        node(f"{ops[0]}VariableOp", "w", name, value, **WIDE),
        node(f"{ops[1]}VariableOp", "more", name, "x", "^w", dtype="float32"),
        node("ReadVariableOp", "r", name, "^more", dtype="float32"),
        node("AddV2", "sum", "r", "x", **ADD),
    ]


def _out(name):
    return node("Identity", "out", name, **ADD)


def test_a_variable_of_a_function_may_have_another_name():
    source = [X, Y, call("c", "f", "x"), _out("c")]
    output, left = proved(source, [*_inlined(), _out("sum")], [_body(r="sum:z:0")])
    assert isinstance(output, Proved)
    assert isinstance(left, Proved)


@pytest.mark.parametrize(
    "candidate",
    [_inlined(value="y"), _inlined(ops=("AssignAdd", "AssignAdd")), _inlined(ops=("Assign", "AssignSub"))],
    ids=["value", "no assignment", "subtraction"],
)
def test_what_a_call_reads_of_it_is_compared(candidate):
    source = [X, Y, call("c", "f", "x"), _out("c")]
    output, _ = proved(source, [*candidate, _out("sum")], [_body(r="sum:z:0")])
    assert isinstance(output, NotProved)


def test_what_an_earlier_call_has_left_is_not_proved():
    """A variable that a call reads before it writes it: nothing says that two models mean the same one."""
    nodes = [
        ref("own"),
        node("AssignAdd", "w", "own:ref:0", "a", **ADD),
        node("Identity", "r", "w:output_ref:0", **ADD),
    ]
    source = [X, Y, call("c", "f", "x"), _out("c")]
    candidate = [
        X,
        Y,
        handle("other"),
        node("AssignAddVariableOp", "w", "other", "x", dtype="float32"),
        node("ReadVariableOp", "r", "other", "^w", dtype="float32"),
        _out("r"),
    ]
    output, _ = proved(source, candidate, [function("f", ["a"], nodes, r="r:output:0")])
    assert isinstance(output, NotProved)


def test_a_variable_of_the_graph_itself_is_compared():
    source = [X, Y, ref("v"), node("Assign", "w", "v", "x", **ADD), _out("x")]
    candidate = [X, Y, handle("u"), node("AssignVariableOp", "w", "u", "x", **WIDE), _out("x")]
    _, left = proved(source, candidate, targets=["w"])
    assert isinstance(left, NotProved)
    _, left = proved(
        source, [*candidate[:2], handle("v"), node("AssignVariableOp", "w", "v", "x", **WIDE), _out("x")], targets=["w"]
    )
    assert isinstance(left, Proved)


def test_a_write_that_may_not_run_does_no_harm_to_what_nobody_reads():
    functions = [_body(r="negative:y:0", s="sum:z:0")]
    source = [X, Y, call("c", "f", "x"), _out("c")]
    candidate = [X, Y, node("Neg", "n", "x", **ADD), _out("n")]
    output, left = proved(source, candidate, functions)
    assert isinstance(output, Proved)
    assert isinstance(left, Proved)


def test_a_write_that_may_not_run_matters_to_what_is_read():
    # The body of another call has the same variable: what it reads depends on whether the first call's write runs.
    reads = function("g", ["a"], [ref("own"), node("AddV2", "sum", "own:ref:0", "a", **ADD)], r="sum:z:0")
    functions = [_body(r="negative:y:0", s="sum:z:0"), reads]
    source = [X, Y, call("c", "f", "x"), call("d", "g", "x"), node("AddV2", "out", "c", "d", **ADD)]
    output, left = proved(source, source, functions)
    assert isinstance(output, NotProved)
    assert isinstance(left, NotProved)


def test_a_write_that_may_not_run_matters_to_the_graphs_variable():
    functions = [_body(r="negative:y:0", s="sum:z:0")]
    source = [X, Y, ref("own"), call("c", "f", "x"), _out("c")]
    candidate = [X, Y, handle("own"), node("Neg", "n", "x", **ADD), _out("n")]
    _, left = proved(source, candidate, functions)
    assert isinstance(left, NotProved)
    assert "runs or not" in left.why


def test_a_check_gives_what_it_takes():
    def shown(op, value="x", printed="x"):
        return [X, Y, ref("v"), node(op, "c", value, printed, T="float32", U=_types(1)), _out("c")]

    output, left = proved(shown("Print"), shown("Print"))
    assert isinstance(output, Proved)
    assert isinstance(left, Proved)
    assert isinstance(proved(shown("Print"), shown("Print", value="y"))[0], NotProved)
    assert isinstance(proved(shown("Print"), shown("Print", printed="y"))[1], NotProved)
    # The value is the same without it; what the call prints is not.
    output, left = proved(shown("Print"), [X, Y, _out("x")])
    assert isinstance(output, Proved)
    assert isinstance(left, NotProved)
    checked = [X, Y, node("CheckNumerics", "c", "x", T="float32", message=b"bad"), _out("c")]
    assert isinstance(proved(checked, [X, Y, _out("x")])[1], NotProved)
    assert isinstance(proved([X, Y, _out("x")], checked)[1], NotProved)


def test_what_shows_a_variable_hands_its_buffer_on():
    """A Print of a ref gives the variable's buffer: what is written before it is used is seen."""
    source = [
        X,
        Y,
        ref("v"),
        node("Assign", "first", "v", "x", **ADD),
        node("Print", "p", "v", "x", "^first", T="float32", U=_types(1)),
        node("AssignAdd", "w", "v", "x", "^p", **ADD),
        node("Neg", "out", "p", "^w", **ADD),
    ]

    def candidate(when):
        return [
            X,
            Y,
            handle("v"),
            node("AssignVariableOp", "first", "v", "x", **WIDE),
            node("ReadVariableOp", "early", "v", "^first", dtype="float32"),
            node("Print", "p", "early", "x", T="float32", U=_types(1)),
            node("AssignAddVariableOp", "w", "v", "x", "^p", dtype="float32"),
            node("ReadVariableOp", "late", "v", "^w", dtype="float32"),
            node("Neg", "out", when, **ADD),
        ]

    assert isinstance(proved(source, candidate("late"))[0], Proved)
    assert isinstance(proved(source, candidate("p"))[0], NotProved)


def _types(*values: int):
    made = const("_", 0.0).attr["value"]
    made.list.type.extend(values)
    return made
