"""Nodes of a candidate against the source's nodes of their names. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.same_nodes import node_differences

FLOAT, RESOURCE = 1, 20


def _nodes(holder, nodes):
    for name, op, inputs, attributes in nodes:
        node = holder.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            field = {bool: "b", int: "i", float: "f", bytes: "s"}.get(type(value))
            if field is None:
                node.attr[key].type = value[0]
            else:
                setattr(node.attr[key], field, value)


def _source(*nodes, inputs=("x:0",)):
    graph = MetaGraphDef()
    _nodes(graph.graph_def.node, nodes)
    for name in inputs:
        graph.signature_def["s"].inputs[name].name = name
    return graph


def _candidate(*nodes, arguments=("argument_0",)):
    """A candidate whose only function has these nodes, and is an object's."""
    graph = MetaGraphDef()
    function = graph.graph_def.library.function.add()
    function.signature.name = "f"
    for name in arguments:
        function.signature.input_arg.add(name=name)
    _nodes(function.node_def, nodes)
    graph.object_graph_def.concrete_functions["f"].SetInParent()
    return graph


def _told(source, candidate):
    return [(m.output, m.reason) for m in node_differences([source], candidate, "contract")]


_JPEG = ("d", "DecodeJpeg", ["x"], {"acceptable_fraction": 0.5, "channels": 3})


@pytest.mark.parametrize(
    ("source", "candidate"),
    [
        ([_JPEG], [("d", "DecodeJpeg", ["argument_0"], {"acceptable_fraction": 0.5, "channels": 3})]),
        # A default may be given or not, a mark may be there or not.
        ([("d", "DecodeJpeg", ["x"], {})], [("d", "DecodeJpeg", ["argument_0"], {"ratio": 1, "_mark": True})]),
        # What has a name of its own is not looked at.
        ([_JPEG], [("e", "DecodePng", ["argument_0"], {})]),
        # A ref's twin, what TensorFlow 2 lacks, what is decided or fed, a read.
        ([("v", "VariableV2", [], {}), ("a", "AssignAdd", ["v", "x"], {})], [("a", "AssignAddVariableOp", [], {})]),
        ([("b", "BatchMatrixBandPart", ["x"], {})], [("b", "MatrixBandPart", ["argument_0"], {})]),
        ([("s", "Switch", ["x", "p"], {})], [("s", "Identity", ["argument_0"], {})]),
        ([("p", "Placeholder", [], {})], [("p", "Const", [], {})]),
        ([("v", "VariableV2", [], {}), ("r", "Identity", ["v"], {})], [("r", "ReadVariableOp", ["argument_0"], {})]),
        # A handle takes the place of a ref.
        ([("i", "Identity", ["v"], {"T": (FLOAT,)})], [("i", "Identity", ["argument_0"], {"T": (RESOURCE,)})]),
        # What a conversion puts between two nodes.
        ([("n", "Neg", ["w"], {}), ("w", "Identity", ["v"], {})], [("n", "Neg", ["w/now"], {})]),
        # Names of the exporter's own, in a function that lacks the source's node.
        ([("Identity", "Neg", ["x"], {})], [("Identity", "Identity", ["argument_0"], {})]),
        ([("Identity_1", "Identity", ["y"], {}), ("y", "Neg", ["x"], {})], [("Identity_1", "Identity", ["z"], {})]),
        # One of several nodes of a name.
        (
            [("add", "Add", ["x", "x"], {"T": (FLOAT,)}), ("add", "Add", ["x", "x"], {"T": (3,)})],
            [("add", "Add", ["argument_0", "argument_0"], {"T": (3,)})],
        ),
    ],
)
def test_what_a_conversion_makes_is_no_difference(source, candidate):
    assert _told(_source(*source), _candidate(*candidate)) == []


@pytest.mark.parametrize(
    ("source", "candidate", "reason"),
    [
        (
            [_JPEG],
            [("d", "DecodeJpeg", ["argument_0"], {"acceptable_fraction": 0.4, "channels": 3})],
            "expected acceptable_fraction of DecodeJpeg to be",
        ),
        ([_JPEG], [("d", "DecodeJpeg", ["argument_0"], {"channels": 3})], "expected acceptable_fraction"),
        ([("f", "Floor", ["x"], {})], [("f", "Ceil", ["argument_0"], {})], "expected Floor, found Ceil"),
        ([("f", "StringStrip", ["x"], {})], [("f", "Identity", ["argument_0"], {})], "expected StringStrip"),
        ([("s", "Switch", ["x", "p"], {})], [("s", "Neg", ["argument_0"], {})], "expected Switch, found Neg"),
        (
            [("a", "Neg", ["x"], {}), ("b", "Abs", ["x"], {}), ("c", "Exp", ["a"], {})],
            [("a", "Neg", ["argument_0"], {}), ("b", "Abs", ["argument_0"], {}), ("c", "Exp", ["b:y:0"], {})],
            "expected Exp to take 'a', found 'b'",
        ),
        (
            [("a", "Neg", ["x"], {}), ("c", "Exp", ["a"], {})],
            [("c", "Exp", ["argument_0"], {})],
            "expected Exp to take 'a', found an argument",
        ),
        (
            [("c", "Pack", ["x", "x"], {})],
            [("c", "Pack", ["argument_0"], {})],
            "expected Pack to take 2 inputs, found 1",
        ),
        ([("c", "Cast", ["x"], {"DstT": (3,)})], [("c", "Cast", ["argument_0"], {"DstT": (9,)})], "expected DstT"),
    ],
)
def test_another_node_of_a_name_is_told(source, candidate, reason):
    ((_, told),) = _told(_source(*source), _candidate(*candidate))
    assert told.startswith(reason) and told.endswith("(the function 'f')")


def test_a_name_may_have_a_prefix():
    source = _source(("d", "Neg", ["x"], {}))
    assert _told(source, _candidate(("source/d", "Neg", ["argument_0"], {}))) == []
    assert _told(source, _candidate(("source/d", "Abs", ["argument_0"], {}))) != []


def test_a_node_that_nothing_runs_is_not_looked_at():
    candidate = _candidate(("f", "Ceil", ["argument_0"], {}))
    del candidate.object_graph_def.concrete_functions["f"]
    assert _told(_source(("f", "Floor", ["x"], {})), candidate) == []


def test_a_function_of_the_source_is_compared():
    source = _source()
    function = source.graph_def.library.function.add()
    function.signature.name = "body"
    _nodes(function.node_def, [("f", "Floor", ["x"], {})])
    assert _told(source, _candidate(("f", "Floor", ["x"], {}))) == []
    assert _told(source, _candidate(("f", "Ceil", ["x"], {}))) != []


def test_what_a_tf2_model_calls_its_nodes_says_nothing():
    source = _source(("f", "Floor", ["x"], {}))
    source.object_graph_def.nodes.add()
    assert _told(source, _candidate(("f", "Ceil", ["argument_0"], {}))) == []
