"""Graphs that crash what reads them are refused by audit, and so by convert."""

from __future__ import annotations

import pytest

import migrate
from migrate.checks.structure import find_unreadable_structure
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.model.study import audit_model
from migrate.records import Convertible, Options, Refused, Severity

pytestmark = pytest.mark.timeout(60)

_FLOAT = dtype_value("float32")


def _model():
    meta_graph = MetaGraphDef()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.meta_info_def.tensorflow_version = "1.15.0"
    graph = meta_graph.graph_def
    graph.versions.producer = 134
    node = graph.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = _FLOAT
    node.attr["shape"].shape.dim.add(size=2)
    return meta_graph


def _identity(nodes, name, source, op="Identity"):
    node = nodes.add(name=name, op=op, input=[source])
    node.attr["T"].type = _FLOAT
    return node


def _call(nodes, name, source, function, op="PartitionedCall"):
    node = nodes.add(name=name, op=op, input=[source])
    if op.endswith("PartitionedCall"):
        node.attr["Tin"].list.type.append(_FLOAT)
        node.attr["Tout"].list.type.append(_FLOAT)
        node.attr["f"].func.name = function
    return node


def _function(meta_graph, name):
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="a", type=_FLOAT)
    function.signature.output_arg.add(name="o", type=_FLOAT)
    return function


def _that_calls(meta_graph, name, callee, op="PartitionedCall"):
    function = _function(meta_graph, name)
    _call(function.node_def, "c", "a", callee, op)
    function.ret["o"] = "c:output:0" if op.endswith("PartitionedCall") else "c:o:0"
    return function


def _write(meta_graph, output, path):
    signature = meta_graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, name, tensor in ((signature.inputs, "x", "x:0"), (signature.outputs, "y", f"{output}:0")):
        infos[name].name, infos[name].dtype = tensor, _FLOAT
        infos[name].tensor_shape.dim.add(size=2)
    model = SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


def _codes(meta_graph):
    return [finding.code for finding in find_unreadable_structure(meta_graph)]


def _with_constant(dtype, in_function):
    meta_graph = _model()
    nodes = _function(meta_graph, "f").node_def if in_function else meta_graph.graph_def.node
    node = nodes.add(name="v", op="Const")
    node.attr["dtype"].type = dtype
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype
    if dtype == 21:
        tensor.variant_val.add(type_name="tensorflow::TensorList", metadata=b"\xff\xff")
    _identity(meta_graph.graph_def.node, "y", "x")
    return meta_graph


@pytest.mark.parametrize("in_function", [False, True])
@pytest.mark.parametrize(("dtype", "codes"), [(21, ["constant-of-handle"]), (20, ["constant-of-handle"]), (1, [])])
def test_constants(dtype, codes, in_function):
    assert _codes(_with_constant(dtype, in_function)) == codes


def _recursive(*names, op="PartitionedCall"):
    meta_graph = _model()
    for name, callee in zip(names, (*names[1:], names[0]), strict=True):
        _that_calls(meta_graph, name, callee, callee if op == "by name" else op)
    _call(meta_graph.graph_def.node, "y", "x", names[0], names[0] if op == "by name" else op)
    return meta_graph


@pytest.mark.parametrize("op", ["PartitionedCall", "StatefulPartitionedCall", "by name"])
@pytest.mark.parametrize("names", [("f",), ("f", "g"), tuple(f"f{n}" for n in range(3000))], ids=len)
def test_functions_that_call_themselves(names, op, tmp_path):
    meta_graph = _recursive(*names, op=op)
    (finding,) = find_unreadable_structure(meta_graph)
    assert (finding.code, set(finding.nodes)) == ("recursive-function", set(names))
    report = audit_model(str(_write(meta_graph, "y", tmp_path / "m")), Options())
    assert isinstance(report.outcome, Refused)
    assert [f.code for f in report.findings] == ["recursive-function"]


def test_only_what_is_in_the_circle_is_named():
    meta_graph = _recursive("f", "g")
    _that_calls(meta_graph, "outer", "f")
    _function(meta_graph, "sound")
    (finding,) = find_unreadable_structure(meta_graph)
    assert set(finding.nodes) == {"f", "g"}


def test_a_circle_through_attributes_of_attributes():
    meta_graph = _model()
    function = _function(meta_graph, "f")
    node = _call(function.node_def, "c", "a", "other")
    node.attr["f"].func.attr["body"].list.func.add().attr["inner"].func.name = "f"
    assert _codes(meta_graph) == ["recursive-function"]


def _nested(count):
    meta_graph = _model()
    for number in range(count):
        _that_calls(meta_graph, f"f{number}", f"f{number + 1}")
    last = _function(meta_graph, f"f{count}")
    _identity(last.node_def, "c", "a")
    last.ret["o"] = "c:output:0"
    _call(meta_graph.graph_def.node, "y", "x", "f0")
    return meta_graph


@pytest.mark.parametrize(
    ("count", "codes"), [(20, []), (99, []), (100, ["functions-nested"]), (3000, ["functions-nested"])]
)
def test_functions_within_functions(count, codes, tmp_path):
    meta_graph = _nested(count)
    assert _codes(meta_graph) == codes
    report = audit_model(str(_write(meta_graph, "y", tmp_path / "m")), Options())
    assert [f.code for f in report.findings if f.severity is Severity.REFUSAL] == codes


def test_functions_that_many_call_are_counted_once():
    """Each calls the next twice: as many ways as two to the power of sixty lead through."""
    meta_graph = _model()
    for number in range(60):
        function = _that_calls(meta_graph, f"f{number}", f"f{number + 1}")
        _call(function.node_def, "d", "a", f"f{number + 1}")
    _function(meta_graph, "f60")
    assert _codes(meta_graph) == []


@pytest.mark.parametrize(("depth", "codes"), [(3, []), (20, ["attributes-nested"])])
def test_attributes_within_attributes(depth, codes):
    meta_graph = _model()
    value = _identity(_function(meta_graph, "f").node_def, "y", "a").attr["_more"]
    for _ in range(depth):
        value.func.name = "other"
        value = value.func.attr["more"]
    assert _codes(meta_graph) == codes


def test_a_long_chain_is_no_depth(tmp_path):
    meta_graph = _model()
    name = "x"
    for number in range(20_000):
        name = _identity(meta_graph.graph_def.node, f"n{number}", name, "Relu").name
    report = audit_model(str(_write(meta_graph, name, tmp_path / "m")), Options())
    assert isinstance(report.outcome, Convertible)


def test_another_meta_graph_that_cannot_be_read(tmp_path):
    good, bad = _model(), _recursive("f")
    _identity(good.graph_def.node, "y", "x")
    path = _write(good, "y", tmp_path / "m")
    model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    bad.meta_info_def.tags[:] = ["other"]
    model.meta_graphs.append(bad)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    report = audit_model(str(path), Options())
    assert isinstance(report.outcome, Convertible)
    assert "is refused (recursive-function)" in report.findings[-1].message


@pytest.mark.tensorflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [30, 99])
def test_what_audit_lets_pass_is_converted(count, tmp_path):
    path = _write(_nested(count), "y", tmp_path / "m")
    assert migrate.convert(str(path), str(tmp_path / "new")).ok
