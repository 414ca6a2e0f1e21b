"""Calls of the source: which are looked at as one graph, and that nothing of one is taken for another one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.proof.loading import Loaded
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import NotProved, OutputName, Proved, Result
from migrate.proof.signatures import signature
from migrate.proof.source_calls import SourceCalls, given_keys
from migrate.proof.variables import Variables
from tests.proof.graphs import P, X, Y, add, const, identity, node, ref

Names = Mapping[str, str]
"""Name of an input or output -> its tensor."""


def graph_of(nodes: Sequence[NodeDef], signatures: Mapping[str, tuple[Names, Names]]) -> MetaGraphDef:
    """A model of one graph, with inputs and outputs of each signature."""
    made = MetaGraphDef()
    made.graph_def.node.extend(nodes)
    for key, (inputs, outputs) in signatures.items():
        for name, tensor in inputs.items():
            made.signature_def[key].inputs[name].name = tensor
        for name, tensor in outputs.items():
            made.signature_def[key].outputs[name].name = tensor
    return made


def calls_of(source: MetaGraphDef, candidate: MetaGraphDef | None = None) -> SourceCalls:
    """The calls of a source, for a proof of a candidate, which is the source itself where there is none."""
    pair = Pair(source, Files(None, ""), candidate or source, "/nowhere", Asked({}))
    return SourceCalls(Variables(pair, Loaded(pair)))


def _proved(source: MetaGraphDef, candidate: MetaGraphDef, key: str) -> tuple[Result, Result]:
    """What is proved of the output `r` of a signature, and of what a call leaves behind."""
    outputs, left = signature(calls_of(source, candidate), key, ways=("session",))
    return outputs[OutputName(key, "r")], left


GIVEN = {"x": "x:0"}
SUMS = [X, add("s", "x", "x"), add("t", "s", "x")]


def test_signatures_that_feed_the_same_are_one_graph():
    calls = calls_of(graph_of(SUMS, {"a": (GIVEN, {"r": "s:0"}), "b": ({"other": "x:0"}, {"r": "t:0"})}))
    one, other = calls.call("a", lowers=False), calls.call("b", lowers=False)
    assert one.program is other.program
    assert calls.call("a", lowers=False) is one
    assert {one.side.nodes[place].name for place in one.side.order} == {"x:0", "s"}
    assert {other.side.nodes[place].name for place in other.side.order} == {"x:0", "s", "t"}
    assert one.side.values.keys() < other.side.values.keys()


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([ref("v"), node("AssignAdd", "w", "v", "x", T="float32"), add("u", "w", "x")], "it writes"),
        ([node("RandomUniform", "d", "x", T="float32", dtype="float32"), add("u", "d", "x")], "it draws"),
        ([node("Enter", "e", "x", T="float32", frame_name=b"f"), node("Exit", "u", "e", T="float32")], "a loop"),
        ([add("u", "back", "x"), add("back", "u", "x")], "a circle"),
    ],
)
def test_what_may_disturb_another_signature_is_not_one_graph_with_it(nodes, why):
    calls = calls_of(graph_of([*SUMS, *nodes], {"a": (GIVEN, {"r": "s:0"}), "b": (GIVEN, {"r": "u:0"})}))
    assert calls.call("a", lowers=False).program is not calls.call("b", lowers=False).program, why


def test_signatures_that_feed_others_are_not_one_graph():
    calls = calls_of(graph_of([*SUMS, Y], {"a": (GIVEN, {"r": "s:0"}), "b": ({"x": "x:0", "s": "s:0"}, {"r": "t:0"})}))
    assert calls.call("a", lowers=False).program is not calls.call("b", lowers=False).program


def _check() -> NodeDef:
    made = node("Assert", "check", "p", "text")
    made.attr["T"].list.type.append(dtype_value("float32"))
    return made


def test_a_check_is_that_of_the_signature_that_waits_for_it():
    given = {"x": "x:0", "p": "p:0"}
    keys = {"a": (given, {"r": "s:0"}), "b": (given, {"r": "t:0"})}
    shared = [X, P, const("text", 1.0), add("t", "x", "x")]
    source = graph_of([*shared, _check(), add("s", "x", "x", "^check")], keys)
    without = graph_of([*shared, add("s", "x", "x")], keys)
    assert [isinstance(found, Proved) for found in _proved(source, source, "a")] == [True, True]
    assert [isinstance(found, Proved) for found in _proved(source, without, "a")] == [True, False]
    assert [isinstance(found, Proved) for found in _proved(source, without, "b")] == [True, True]


def test_what_another_signature_computes_may_fail_in_this_one():
    """What the candidate computes beside its outputs, the source computes in the same call."""
    decode = node("DecodeRaw", "d", "x", out_type="float32")
    keys = {"a": (GIVEN, {"r": "s:0"}), "b": (GIVEN, {"r": "d:0"})}
    source = graph_of([X, decode, add("s", "x", "x")], keys)
    more = graph_of([X, decode, add("s", "x", "x", "^d")], keys)
    _, left = _proved(source, more, "a")
    assert isinstance(left, NotProved)
    assert "'d'" in left.candidate


def test_of_two_inputs_on_one_tensor_the_last_is_what_is_fed():
    one = graph_of([X, identity("i", "x")], {"a": ({"first": "x:0", "last": "x:0"}, {"r": "i:0"})})
    assert given_keys(one.signature_def["a"]) == {("argument", "last", 0): ("argument", "=", "x:0")}
    two = {"first": "x:0", "last": "y:0"}
    for used, expected in (("y", Proved), ("x", NotProved)):
        candidate = graph_of([X, Y, identity("i", used)], {"a": (two, {"r": "i:0"})})
        assert isinstance(_proved(one, candidate, "a")[0], expected)


def test_an_input_of_the_candidate_alone_is_no_input_of_the_source():
    source = graph_of([X, identity("i", "x")], {"a": (GIVEN, {"r": "i:0"})})
    # The candidate's input has the name that the source's tensor has, and stands for nothing of it.
    candidate = graph_of([X, identity("i", "x")], {"a": ({"x:0": "x:0"}, {"r": "i:0"})})
    assert isinstance(_proved(source, candidate, "a")[0], NotProved)
