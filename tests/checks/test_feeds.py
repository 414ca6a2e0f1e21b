"""Constants in the place of tensors, and the values that audit proposes."""

from __future__ import annotations

import pytest

from migrate.checks.feeds import apply_feeds, propose_feeds
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import GivenFeed, Severity


def _node(name: str, op: str, *inputs: str, **types: str) -> NodeDef:
    node = NodeDef(name=name, op=op, input=inputs)
    for attr, dtype in types.items():
        node.attr[attr].type = dtype_value(dtype)
    return node


def _graph(*nodes: NodeDef) -> MetaGraphDef:
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.extend(nodes)
    return meta_graph


def _placeholder(name: str, dtype: str, *shape: int) -> NodeDef:
    node = _node(name, "Placeholder", dtype=dtype)
    node.attr["shape"].shape.SetInParent()
    for size in shape:
        node.attr["shape"].shape.dim.add(size=size)
    return node


def _one(name: str) -> NodeDef:
    node = _node(name, "Const", dtype="float32")
    node.attr["value"].tensor.dtype = dtype_value("float32")
    node.attr["value"].tensor.float_val.append(1.0)
    return node


@pytest.mark.parametrize(
    ("dtype", "text", "field", "content"),
    [
        ("bool", "false", "bool_val", [False]),
        ("string", "plain text", "string_val", [b"plain text"]),
        ("string", '["a", "b"]', "string_val", [b"a", b"b"]),
        ("float32", "1", "tensor_content", b"\x00\x00\x80?"),
        ("float16", "1.0", "tensor_content", b"\x00<"),
        ("int64", "[[1], [-2]]", "tensor_content", b"\1" + bytes(7) + b"\xfe" + b"\xff" * 7),
        ("uint8", "255", "tensor_content", b"\xff"),
    ],
)
def test_a_placeholder_becomes_a_constant_of_its_dtype(dtype, text, field, content):
    meta_graph = _graph(_placeholder("p", dtype, *([-1] * text.count("[", 0, 2))), _node("y", "Identity", "p", T=dtype))
    fed = apply_feeds(meta_graph, (GivenFeed("p:0", text),))
    constant, reader = fed.meta_graph.graph_def.node
    found = getattr(constant.attr["value"].tensor, field)
    assert (constant.name, constant.op) == ("p", "Const")
    assert (found if isinstance(found, bytes) else list(found)) == content
    assert constant.attr["dtype"].type == dtype_value(dtype)
    assert list(reader.input) == ["p"]
    assert meta_graph.graph_def.node[0].op == "Placeholder", "the source is changed"
    assert not fed.findings


def test_another_tensor_is_replaced_for_its_consumers_alone():
    meta_graph = _graph(
        _node("x", "Placeholder", dtype="float32"),
        _node("s", "Switch", "x", "c", T="float32"),
        _node("y", "Neg", "s:1", "^s", T="float32"),
        _node("z", "Neg", "s", T="float32"),
    )
    _, switch, y, z, constant = apply_feeds(meta_graph, (GivenFeed("s:1", "2.5"),)).meta_graph.graph_def.node
    assert (switch.op, list(switch.input)) == ("Switch", ["x", "c"])
    assert list(y.input) == [constant.name, "^s"]
    assert list(z.input) == ["s"]


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        (GivenFeed("p:0", "maybe"), "no bool value"),
        (GivenFeed("p:0", "1"), "neither true nor false"),
        (GivenFeed("p:0", "[true]"), "shape [1]"),
        (GivenFeed("n:0", "300"), "no uint8 value"),
        (GivenFeed("n:0", "1.5"), "no whole number"),
        (GivenFeed("n:0", "true"), "no whole number"),
        (GivenFeed("n:0", "[[1], [1, 2]]"), "different shapes"),
        (GivenFeed("n:0", "[" * 100_000), "no uint8 value"),
        (GivenFeed("v:0", "1.0"), "a variable's buffer"),
        (GivenFeed("h:0", "1"), "which takes none"),
        (GivenFeed("y:0", "1"), "gives it out"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(feed, says):
    meta_graph = _graph(
        _placeholder("p", "bool", 2),
        _node("n", "PlaceholderV2", dtype="uint8"),
        _node("v", "VariableV2", dtype="float32"),
        _node("h", "VarHandleOp", dtype="float32"),
        _node("y", "Identity", "n", T="uint8"),
    )
    meta_graph.signature_def["s"].outputs["y"].name = "y:0"
    for node in meta_graph.graph_def.node:
        if node.name == "n":
            node.attr["shape"].shape.unknown_rank = True
    (finding,) = apply_feeds(meta_graph, (feed,)).findings
    assert (finding.code, finding.severity) == ("feed-value", Severity.REFUSAL)
    assert says in finding.message


def test_a_tensor_that_is_not_there_is_told_with_near_ones():
    meta_graph = _graph(_placeholder("layer/is_training", "bool"))
    for tensor in ("is_training:0", "layer/is_trainin:0"):
        fed = apply_feeds(meta_graph, (GivenFeed(tensor, "true"),))
        (finding,) = fed.findings
        assert fed.meta_graph is meta_graph
        assert (finding.code, finding.severity) == ("feed-tensor-missing", Severity.NOTE)
        assert "layer/is_training:0" in finding.hint


_KEEP = (_node("k", "Placeholder", dtype="float32"), _node("r", "RandomUniform", "n"), _one("one"))


@pytest.mark.parametrize(
    ("nodes", "proposed"),
    [
        # What chooses branches and nothing else is false.
        ((_placeholder("k", "bool"), _node("s", "Switch", "x", "k")), "false"),
        ((_placeholder("k", "bool"), _node("s", "Switch", "k", "k"), _node("t", "Identity", "s:1")), "false"),
        ((_placeholder("k", "bool"), _node("n", "LogicalNot", "k"), _node("s", "If", "n", "x")), "false"),
        ((_placeholder("k", "bool"), _node("s", "Select", "k", "x", "z")), None),
        ((_placeholder("k", "bool"), _node("s", "Switch", "x", "k"), _node("c", "Cast", "k")), None),
        ((_placeholder("k", "bool"),), None),
        # A graph that cannot run: its cycle is walked once.
        (
            (
                _placeholder("k", "bool"),
                _node("a", "LogicalAnd", "k", "i"),
                _node("i", "Identity", "a"),
                _node("s", "Switch", "x", "a"),
            ),
            "false",
        ),
        # nn_ops.py, dropout of TF 1.0 to 1.12: x / keep * floor(keep + random).
        ((*_KEEP, _node("a", "Add", "k", "r"), _node("d", "RealDiv", "x", "k")), "1.0"),
        # TF 1.13 on, by keep_prob: rate = 1 - keep; random >= rate; x / (1 - rate).
        (
            (
                *_KEEP,
                _node("rate", "Sub", "one", "k"),
                _node("g", "GreaterEqual", "r", "rate"),
                _node("keep", "Sub", "one", "rate"),
                _node("d", "RealDiv", "one", "keep"),
            ),
            "1.0",
        ),
        # By rate.
        (
            (
                *_KEEP,
                _node("g", "GreaterEqual", "r", "k"),
                _node("keep", "Sub", "one", "k"),
                _node("d", "RealDiv", "one", "keep"),
            ),
            "0.0",
        ),
        ((*_KEEP, _node("a", "Add", "k", "r"), _node("d", "Mul", "x", "k")), None),
        ((*_KEEP, _node("d", "Mul", "x", "k")), None),
        # A temperature, say.
        ((*_KEEP, _node("d", "RealDiv", "x", "k")), None),
        # Whatever says both says nothing.
        ((*_KEEP, _node("a", "Add", "k", "r"), _node("g", "GreaterEqual", "r", "k")), None),
        ((_placeholder("k", "float32", 3), _node("d", "RealDiv", "x", "k")), None),
    ],
)
def test_what_is_proposed(nodes, proposed):
    found = propose_feeds(_graph(*nodes), ["k"])
    assert [feed.value for feed in found] == ([] if proposed is None else [proposed])
