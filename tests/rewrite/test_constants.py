"""Constant weights become variables: which do, which do not, and what the graph is like then."""

from __future__ import annotations

import pytest

from migrate.graph import contract
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.made_variables import LEAST_BYTES
from migrate.plan.plan import make_plan
from migrate.plan.records import PlanOptions
from migrate.plan.restore import FromConstant
from migrate.records import Severity
from migrate.rewrite.constants import unfreeze
from tests.conversions import MODELS

_FLOAT, _INT32 = map(dtype_value, ("float32", "int32"))


def _constant(name: str, *shape: int, dtype: int = _FLOAT, waits: tuple[str, ...] = ()) -> NodeDef:
    node = NodeDef(name=name, op="Const", input=[f"^{wait}" for wait in waits])
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = dtype
    node.attr["value"].tensor.tensor_shape.SetInParent()
    for size in shape:
        node.attr["value"].tensor.tensor_shape.dim.add(size=size)
    return node


def _node(name: str, op: str, *inputs: str) -> NodeDef:
    return NodeDef(name=name, op=op, input=inputs)


def _graph(*nodes: NodeDef) -> MetaGraphDef:
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.extend([_node("x", "Placeholder"), *nodes])
    return meta_graph


@pytest.mark.parametrize(
    "nodes",
    [
        (_constant("c", 2, 2), _node("y", "Mul", "x", "c")),  # It might be anything.
        (_constant("c"), _node("y", "Gather", "c", "x")),  # A scalar is no layer's weight.
        (_constant("c", 2, 0), _node("y", "MatMul", "x", "c")),  # Nothing is in it.
        (_constant("c", 2, 2, dtype=_INT32), _node("y", "MatMul", "x", "c")),  # Nothing trains integers.
        (_constant("c", 3), _node("y", "Add", "x", "c")),  # No bias: nothing was multiplied.
        (_constant("c", 2, 2), _constant("i", 1), _node("y", "GatherV2", "x", "i", "c")),  # An axis.
        (_constant("c", 2, 2, waits=("x",)), _node("y", "MatMul", "x", "c")),  # In a branch, say.
        (_constant("c", 2, 2), _node("e", "Enter", "c"), _node("y", "MatMul", "x", "e")),
        (_constant("c", 2, 2), _node("s", "Switch", "c", "x"), _node("y", "MatMul", "x", "s:1")),
        # A statistic here, a weight there.
        (_constant("c", 2), _node("b", "FusedBatchNorm", "x", "c", "x", "c", "x"), _node("y", "Neg", "b")),
    ],
)
def test_what_stays_a_constant(nodes) -> None:
    meta_graph = _graph(*nodes)
    found = unfreeze(meta_graph)
    assert not found.values
    assert list(found.meta_graph.graph_def.node) == list(meta_graph.graph_def.node)


@pytest.mark.parametrize(
    ("nodes", "weights", "statistics"),
    [
        ((_constant("c", 2, 2), _node("r", "Identity", "c"), _node("y", "MatMul", "x", "r")), {"c"}, set()),
        ((_constant("c", 2, 2), _node("y", "GatherV2", "c", "x", "x")), {"c"}, set()),
        (
            (
                _constant("k", 1, 1, 2, 2),
                _constant("b", 2),
                _node("p", "Conv2D", "x", "k"),
                _node("f", "Reshape", "p", "x"),
                _node("y", "AddV2", "b", "f"),
            ),
            {"k", "b"},
            set(),
        ),
        (
            (
                _constant("g", 2),
                _constant("o", 2),
                _constant("m", 2),
                _constant("v", 2),
                _node("y", "FusedBatchNormV3", "x", "g", "o", "m", "v"),
            ),
            {"g", "o"},
            {"m", "v"},
        ),
        (
            # tf.nn.batch_normalization without a scale.
            (
                _constant("o", 2),
                _constant("m", 2),
                _constant("v", 2),
                _constant("epsilon"),
                _node("a", "AddV2", "v", "epsilon"),
                _node("r", "Rsqrt", "a"),
                _node("mr", "Mul", "m", "r"),
                _node("s", "Sub", "o", "mr"),
                _node("xr", "Mul", "x", "r"),
                _node("y", "Add", "xr", "s"),
            ),
            {"o"},
            {"m", "v"},
        ),
        (
            (
                _constant("c", 2, 2),
                _node("q", "FakeQuantWithMinMaxVars", "c", "x", "x"),
                _node("y", "MatMul", "x", "q"),
            ),
            {"c"},
            set(),
        ),
    ],
)
def test_what_becomes_a_variable(nodes, weights, statistics) -> None:
    meta_graph = _graph(*nodes)
    before = meta_graph.SerializeToString(deterministic=True)
    found = unfreeze(meta_graph)
    assert set(found.values) == weights | statistics
    assert contract.trainable(found.meta_graph) == weights
    assert meta_graph.SerializeToString(deterministic=True) == before
    new = {node.name: node for node in found.meta_graph.graph_def.node}
    for name in found.values:
        assert new[name].op == "VarHandleOp"
        assert new[f"{name}/ReadVariableOp"].input == [name]
        takers = {n.name for n in new.values() if name in n.input}
        assert takers == {f"{name}/ReadVariableOp"}


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    other = _node("other", "VarHandleOp")
    other.attr["shared_name"].s = b"c"
    found = unfreeze(
        _graph(other, _node("c/ReadVariableOp", "NoOp"), _constant("c", 2, 2), _node("y", "MatMul", "x", "c"))
    )
    (key,) = found.values
    assert key == "c_1"
    (matmul,) = [node for node in found.meta_graph.graph_def.node if node.name == "y"]
    assert matmul.input == ["x", "c/ReadVariableOp_1"]


def test_what_a_signature_names_keeps_its_tensor() -> None:
    meta_graph = _graph(_constant("c", 2, 2), _node("y", "MatMul", "x", "c"))
    meta_graph.signature_def["weights"].outputs["c"].name = "c:0"
    found = unfreeze(meta_graph)
    assert not found.values
    (warning,) = found.findings
    assert (warning.code, warning.nodes) == ("weight-stays-constant", ("c",))


def test_weights_in_functions_are_told() -> None:
    meta_graph = _graph()
    function = FunctionDef()
    function.signature.name = "layer"
    function.node_def.extend([_constant("c", 2, 2), _node("r", "Identity", "c:output:0")])
    function.node_def.append(_node("y", "MatMul", "x", "r:output:0"))
    meta_graph.graph_def.library.function.append(function)
    (warning,) = unfreeze(meta_graph).findings
    assert (warning.code, warning.nodes) == ("weight-stays-constant", ("layer/c",))


def test_the_plan_says_what_was_made() -> None:
    meta_graph = _read("constant_weights")
    plan = make_plan(meta_graph, options=PlanOptions(variables=True))
    assert not plan.refused
    assert {v.name for v in plan.variables if not v.trainable} == {
        f"{scope}/moving_{what}" for scope in ("fused", "plain") for what in ("mean", "variance")
    }
    assert all(isinstance(variable.value, FromConstant) for variable in plan.variables)
    codes = {finding.code: finding for finding in plan.findings}
    assert codes["weight-stays-constant"].nodes == ("inside",)
    assert "10 constant weights" in codes["constants-to-variables"].message
    assert not make_plan(meta_graph).variables


@pytest.mark.timeout(20)
@pytest.mark.parametrize("op", ["Identity", "Reshape", "Squeeze", "FakeQuantWithMinMaxArgs"])
@pytest.mark.parametrize("user", ["MatMul", "Add"])
@pytest.mark.parametrize("is_in_function", [False, True])
def test_nodes_in_a_circle_end_the_search_for_a_weight(op: str, user: str, is_in_function: bool) -> None:
    nodes = [_node("a", op, "b"), _node("b", op, "a"), _node("y", user, "a", "b"), _node("short", user)]
    meta_graph = MetaGraphDef()
    if is_in_function:
        meta_graph.graph_def.library.function.add(node_def=nodes)
    else:
        meta_graph.graph_def.node.extend(nodes)
    found = unfreeze(meta_graph)
    assert (found.values, found.findings) == ({}, ())


def test_a_model_without_constant_weights_is_told_so() -> None:
    plan = make_plan(_read("simple_save"), options=PlanOptions(variables=True))
    assert [f.severity for f in plan.findings if f.code == "no-constant-weights"] == [Severity.WARNING]


def _read(name: str) -> MetaGraphDef:
    from migrate.sources.saved_model import read_saved_model

    return read_saved_model(str(MODELS / name)).meta_graphs[0]


def _large(name: str, dtype: str = "float32", spare: int = 0) -> NodeDef:
    node = _constant(name, 1)
    tensor = node.attr["value"].tensor
    node.attr["dtype"].type = tensor.dtype = dtype_value(dtype)
    tensor.tensor_content = bytes(LEAST_BYTES - spare)
    tensor.tensor_shape.dim[0].size = len(tensor.tensor_content) // 4
    return node


def test_large_constants_become_variables_that_are_not_trained() -> None:
    nodes = [_large("big"), _large("less", spare=4), _large("whole", "int32"), _large("named"), _large("held")]
    nodes[-1].input.append("^big")
    meta_graph = _graph(*nodes, _node("y", "MatMul", "big", "less"), _node("z", "Mul", "big", "whole"))
    meta_graph.signature_def["s"].outputs["y"].name = "named:0"
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "f"
    function.node_def.append(_large("inside"))
    found = unfreeze(meta_graph, large=True)
    assert dict(found.values) == {"big": nodes[0].attr["value"].tensor}
    ops = {node.name: (node.op, list(node.input)) for node in found.meta_graph.graph_def.node}
    assert ops["big"] == ("VarHandleOp", [])
    assert ops["y"] == ("MatMul", ["big/ReadVariableOp", "less"])
    assert ops["z"] == ("Mul", ["big/ReadVariableOp", "whole"])
    assert list(found.meta_graph.collection_def) == ["variables"]
    assert "trainable_variables" not in found.meta_graph.collection_def
    (warning,) = found.findings
    assert (warning.code, warning.nodes) == ("weight-stays-constant", ("whole", "named", "held", "f/inside"))


def test_the_default_of_an_input_stays_a_constant() -> None:
    nodes = [_large("default"), _node("read", "Identity", "default"), _node("in", "PlaceholderWithDefault", "read")]
    meta_graph = _graph(*nodes, _node("y", "Neg", "in"))
    meta_graph.signature_def["s"].inputs["x"].name = "in:0"
    found = unfreeze(meta_graph, large=True)
    assert not found.values
    assert list(found.meta_graph.graph_def.node) == list(meta_graph.graph_def.node)
    assert [finding.nodes for finding in found.findings] == [("default",)]


def test_large_constants_that_are_no_bytes_of_floats_are_told() -> None:
    words, listed = _constant("words", 1), _constant("listed", 1 << 18)
    words.attr["value"].tensor.string_val.append(bytes(LEAST_BYTES))
    listed.attr["value"].tensor.float_val.extend([0.5] * (1 << 18))
    found = unfreeze(_graph(words, listed), large=True)
    assert not found.values
    assert [(f.code, f.nodes) for f in found.findings] == [("weight-stays-constant", ("words", "listed"))]


def test_a_model_without_large_constants_is_told_so() -> None:
    plan = make_plan(_read("constant_weights"), options=PlanOptions(variables="large"))
    assert not plan.variables
    (warning,) = (finding for finding in plan.findings if finding.code == "no-constant-weights")
    assert "of a megabyte or more" in warning.message
