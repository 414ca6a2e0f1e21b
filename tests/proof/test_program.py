"""Calls of functions are put in their place, whatever they look like."""

from __future__ import annotations

import pytest

from migrate.graph.protos import AttrValue
from migrate.proof.numbering import run
from migrate.proof.program import UNKNOWN
from migrate.proof.records import NotProved, Proved
from migrate.proof.shared import Shared
from tests.proof.graphs import call, called, compared, const, function, model, node, program, ref

X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")
OUT = node("Identity", "out", "c", T="float32")
ADDED = [X, Y, node("AddV2", "out", "x", "y", T="float32")]


def body(op="AddV2"):
    return function("f", ["a", "b"], [node(op, "n", "a", "b", T="float32")], r="n:z:0")


def test_a_call_is_what_its_body_is():
    called = [X, Y, call("c", "f", "x", "y"), OUT]
    assert isinstance(compared(ADDED, called, functions=[body()]), Proved)
    assert isinstance(compared(ADDED, called, functions=[body("Sub")]), NotProved)
    assert isinstance(compared(ADDED, [X, Y, call("c", "f", "y", "x"), OUT], functions=[body()]), NotProved)


def test_the_op_of_a_functions_name_calls_it():
    assert isinstance(compared(ADDED, [X, Y, node("f", "c", "x", "y"), OUT], functions=[body()]), Proved)


def test_an_output_of_several_is_told_by_its_name():
    split = function(
        "f", ["a"], [const("d", 0.0), node("Split", "s", "d:output:0", "a", num_split=2, T="float32")], r="s:output:1"
    )
    plain = [X, const("d", 0.0), node("Split", "s", "d", "x", num_split=2, T="float32")]
    called = [X, call("c", "f", "x"), OUT]
    second = [*plain, node("Identity", "out", "s:1", T="float32")]
    first = [*plain, node("Identity", "out", "s:0", T="float32")]
    assert isinstance(compared(second, called, functions=[split]), Proved)
    assert isinstance(compared(first, called, functions=[split]), NotProved)


@pytest.mark.parametrize(
    "nodes",
    [
        [X, Y, call("c", "f", "x"), OUT],
        [X, Y, call("c", "f", "x", "y", "x"), OUT],
        [X, Y, call("c", "g", "x", "y"), OUT],
        [X, Y, call("c", "f", "x", "y"), node("Identity", "out", "c:7", T="float32")],
        [X, Y, call("c", "f", "x", "y"), node("Identity", "out", "c:-1", T="float32")],
        [X, Y, call("c", "f", "x", "y"), node("Identity", "out", "c:output:0", T="float32")],
    ],
    ids=["too few", "too many", "no such function", "no such output", "no number", "a body's spelling"],
)
def test_a_call_that_does_not_fit_is_not_proved(nodes):
    assert isinstance(compared(ADDED, nodes, functions=[body()]), NotProved)
    assert isinstance(compared(nodes, nodes, functions=[body()]), NotProved)


@pytest.mark.parametrize(
    "inner",
    [
        function("f", ["a", "b"], [call("n", "f", "a", "b")], r="n:output:0"),
        function("f", ["a", "b"], [node("Identity", "n", "m:output:0", T="float32")], r="n:output:0"),
        function("f", ["a", "b"], [], r="n:output:0"),
        function("f", ["a", "b"], [node("AddV2", "n", "a", "b:1", T="float32")], r="n:z:0"),
        function("f", ["a", "b"], [node("AddV2", "n", "a", "n:z:0", T="float32")], r="n:z:0"),
    ],
    ids=["calls itself", "takes what is not there", "returns what is not there", "no such argument", "a circle"],
)
def test_a_broken_body_is_not_proved(inner):
    called = [X, Y, call("c", "f", "x", "y"), OUT]
    assert isinstance(compared(called, called, functions=[inner]), NotProved)


def test_a_function_that_tensorflow_may_exchange_is_not_proved():
    inner = body()
    inner.attr["api_implements"].s = b"lstm"
    called = [X, Y, call("c", "f", "x", "y"), OUT]
    assert isinstance(compared(called, called, functions=[inner]), NotProved)


@pytest.mark.slow
def test_a_long_chain_of_calls_is_no_deep_recursion():
    chain = [X, *[call(f"c{k}", "f", f"c{k - 1}" if k else "x") for k in range(20_000)]]
    made = program(chain, function("f", ["a"], [node("Neg", "n", "a", T="float32")], r="n:y:0"))
    made.tensor("c19999")
    assert not made.problem
    assert sum(flat.op == "Neg" for flat in made.nodes) == 20_000


def test_bodies_in_bodies_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr("migrate.proof.program.MOST_NODES", 10_000)
    functions = [
        function(
            f"f{k}",
            ["a"],
            [call("n", f"f{k + 1}", "a"), call("m", f"f{k + 1}", "n:output:0")],
            r="m:output:0",
        )
        for k in range(30)
    ]
    made = program([X, call("c", "f0", "x")], *functions, function("f30", ["a"], [], r="a"))
    made.tensor("c")
    assert "more than 10,000 nodes" in made.problem


PRINTS = function("f", ["a"], [node("PrintV2", "p", "a")], r="a")
IN_A_CALL = function("g", ["a"], [node("f", "d", "a")], r="d:r:0")
IN_A_KERNEL = function("g", ["a"], [call("d", "f", "a")], r="d:output:0")


@pytest.mark.parametrize(
    ("called", "functions", "label", "is_kept"),
    [
        (node("f", "c", "x"), [PRINTS], "c/p", True),
        (call("c", "f", "x"), [PRINTS], "c/p", False),
        (node("g", "c", "x"), [PRINTS, IN_A_CALL], "c/d/p", True),
        (call("c", "g", "x"), [PRINTS, IN_A_CALL], "c/d/p", False),
        (node("g", "c", "x"), [PRINTS, IN_A_KERNEL], "c/d/p", False),
    ],
    ids=["kernel", "call", "kernel in kernel", "kernel in call", "call in kernel"],
)
def test_an_effect_that_nothing_leads_to_is_kept_in_a_kernel(called, functions, label, is_kept):
    made = program([X, called], *functions)
    made.tensor("c")
    assert made.loose() == [(label, None)]
    made.keep(is_session=False)
    assert made.loose() == [(label, None)]
    made.keep(is_session=True)
    assert made.loose() == ([] if is_kept else [(label, None)])
    assert [made.nodes[place].label for place, _ in made.kept] == ([label] if is_kept else [])


def test_what_a_function_waits_for_is_kept():
    inner = function("f", ["a"], [ref("v"), node("Assign", "p", "v", "a")], r="a")
    made = program([X, call("c", "f", "x")], inner)
    made.tensor("c")
    made.keep(is_session=True)
    # An op on a ref is no op of state for TensorFlow: a call that is run as a kernel leaves it out.
    assert made.loose() == [("c/p", ("ref", b"", "v"))]
    inner.control_ret["p"] = "p"
    waited = program([X, call("c", "f", "x")], inner)
    waited.tensor("c")
    waited.keep(is_session=True)
    assert waited.loose() == []


def test_inputs_of_a_call_are_computed():
    inner = function("f", ["a", "b"], [], r="a")
    printed = node("PrintV2", "p", "y")
    made = program([X, Y, printed, node("Identity", "z", "y", "^p"), call("c", "f", "x", "z")], inner)
    made.tensor("c")
    assert "PrintV2" not in {flat.op for flat in made.nodes}
    made.keep(is_session=False)
    assert "PrintV2" in {flat.op for flat in made.nodes}


def test_a_session_may_compute_all_outputs():
    inner = function("f", ["a"], [node("Neg", "n", "a", T="float32")], r="a", s="n:y:0")
    for is_session in (False, True):
        made = program([X, call("c", "f", "x")], inner)
        made.tensor("c")
        made.keep(is_session)
        doubtful = {flat.op for flat in made.nodes[made.certain :]}
        assert ("Neg" in doubtful) is is_session
        assert "Neg" not in {flat.op for flat in made.nodes[: made.certain]}


def test_a_call_of_which_an_input_is_dead_does_not_run_everywhere():
    """Where its body is put in its place, an op in it does not wait for all inputs of the call."""
    inner = function("f", ["a", "b"], [node("PrintV2", "p", "a")], r="b")
    predicate = node("Placeholder", "q", dtype="bool")
    for given, is_uneven in (("s:1", True), ("y", False)):
        nodes = [X, Y, predicate, node("Switch", "s", "y", "q", T="float32"), node("f", "c", "x", given)]
        made = model("source", Shared(), nodes, [inner])
        flat = made.program({"q:0": ("argument", "q", 0)})
        flat.tensor("c")
        flat.keep(is_session=True)
        one = made.side(flat, lambda cell: 0)
        run(one, is_first=True)
        assert one.uneven() == ("c/p" if is_uneven else "")


@pytest.mark.parametrize("written", ["", "^", ":0", "nothing", "x:", "x:1x", "x:99999999999", "x:0:0", "^x"])
def test_what_names_no_tensor_is_unknown(written):
    made = program([X])
    place, _ = made.tensor(written)
    assert made.nodes[place].op == UNKNOWN


@pytest.mark.parametrize(("op", "is_proved"), [("StatefulPartitionedCall", True), ("PartitionedCall", False)])
def test_a_stateless_call_that_draws_is_not_proved(op, is_proved):
    draws = node("RandomStandardNormal", "n", "a", dtype="float32", T="int32")
    calls = [X, call("c", "f", "x"), call("d", "f", "x"), node("Sub", "out", "c", "d", T="float32")]
    for each in calls[1:3]:
        each.op = op
    found = compared(calls, calls, functions=[function("f", ["a"], [draws], r="n:output:0")])
    assert isinstance(found, Proved) is is_proved


def test_a_call_says_the_dtypes_of_its_function():
    calls = [X, Y, call("c", "f", "x", "y"), OUT]
    calls[2].attr["Tin"].list.type.extend([1, 3])
    assert isinstance(compared(calls, calls, functions=[body()]), NotProved)
    calls[2].attr["Tin"].list.type[1] = 1
    assert isinstance(compared(calls, calls, functions=[body()]), Proved)


def _leaky(default):
    """A function of which a call may say the slope."""
    made = function("f", ["a"], [node("LeakyRelu", "n", "a", T="float32", alpha=AttrValue(placeholder="slope"))])
    made.signature.output_arg.add(name="r", type=1)
    made.ret["r"] = "n:activations:0"
    declared = made.signature.attr.add(name="slope", type="float")
    if default is not None:
        declared.default_value.f = default
    return made


def _calls(op, slope=None):
    made = call("c", "f", "x") if op == "StatefulPartitionedCall" else node("f", "c", "x")
    given = made.attr["f"].func.attr if op == "StatefulPartitionedCall" else made.attr
    if slope is not None:
        given["slope"].f = slope
    return [X, made, OUT]


@pytest.mark.parametrize(
    ("op", "slope", "one", "other", "is_proved"),
    [
        ("f", None, 0.25, 0.25, True),
        ("f", None, 0.25, 0.5, False),
        ("f", 0.5, 0.25, 0.75, True),
        ("f", None, None, None, False),
        ("StatefulPartitionedCall", 0.5, 0.25, 0.75, True),
        # function.cc, InstantiateFunction: "Failed to bind all placeholders".
        ("StatefulPartitionedCall", None, 0.25, 0.25, False),
        ("StatefulPartitionedCall", None, None, None, False),
    ],
)
def test_an_attribute_that_a_call_gives_or_leaves_out(op, slope, one, other, is_proved):
    output, left = called(_calls(op, slope), _calls(op, slope), [_leaky(one)], [_leaky(other)])
    assert isinstance(output, Proved) == isinstance(left, Proved) == is_proved
