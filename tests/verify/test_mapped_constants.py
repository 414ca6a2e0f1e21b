"""Which large constants are mapped from files while a model is asked, and that the graph answers as it did."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.graph.large_constants import MARK
from migrate.graph.protos import GraphDef, MetaGraphDef, NodeDef, SavedModel
from migrate.verify import mapped_constants
from migrate.verify.mapped_constants import hollowed, mappable, mapped_bytes, put_back, read_hollow, unmapped_bytes

_SIDE = 256
"""Of a matrix: 256 KB."""


@pytest.fixture(autouse=True)
def few_are_large(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped_constants, "LARGE", 1 << 17)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))


def _constant(name: str, *inputs: str, zero: bool = False) -> NodeDef:
    values = np.random.default_rng(len(name)).uniform(-1, 1, [_SIDE, _SIDE]).astype(np.float32)
    node = NodeDef(name=name, op="Const", input=inputs, device="/device:CPU:0")
    node.attr["dtype"].type = 1
    tensor = node.attr["value"].tensor
    tensor.dtype = 1
    for _ in range(2):
        tensor.tensor_shape.dim.add(size=_SIDE)
    tensor.tensor_content = bytes(values.nbytes) if zero else values.tobytes()
    node.attr["_output_shapes"].list.shape.add().CopyFrom(tensor.tensor_shape)
    return node


def _graph(text: str) -> GraphDef:
    """A line for each node: its name, its op and what it takes; a Const is a matrix."""
    graph = GraphDef()
    for line in filter(None, map(str.strip, text.splitlines())):
        name, op, *inputs = line.split()
        if op == "Const":
            graph.node.append(_constant(name, *inputs))
        else:
            node = graph.node.add(name=name, op=op, input=inputs)
            if op == "Enter":
                node.attr["is_constant"].b = name.startswith("constant")
    return graph


@pytest.mark.parametrize(
    ("what", "graph"),
    [
        ("the read that freezing leaves", "x Placeholder\nw Const\nr Identity w\ny MatMul x r"),
        ("several that take it", "x Placeholder\nw Const\na MatMul x w\nb MatMul a w:0"),
        ("on the left", "x Placeholder\nw Const\ny MatMul w x"),
        ("in a loop", "x Placeholder\nw Const\nconstant Enter w\ny MatMul x constant"),
        ("a filter", "x Placeholder\nw Const\ny Conv2D x w\nz BiasAdd y b\nb Identity w2\nw2 Placeholder"),
        ("a table", "x Placeholder\nw Const\na Const2\ny GatherV2 w x a"),
        ("behind what the graph computes of its input", "x Placeholder\ns Square x\nw Const\ny MatMul s w"),
        ("what a variable holds", "v VarHandleOp\nx ReadVariableOp v\nw Const\ny MatMul x w"),
    ],
)
def test_a_constant_that_is_only_read_is_mapped(what, graph):
    assert mappable(_graph(graph).node) == {"w"}, what


@pytest.mark.parametrize(
    ("what", "graph"),
    [
        ("nobody takes it", "x Placeholder\nw Const"),
        ("an op that may write in its place", "x Placeholder\nw Const\ny Mul x w"),
        ("one of two that take it may", "x Placeholder\nw Const\ny MatMul x w\nz Add x w"),
        ("behind an identity", "x Placeholder\nw Const\nr Identity w\ny MatMul x r\nz Relu r"),
        ("the optimiser computes it ahead", "x Placeholder\nw Const\nt Transpose w p\np Placeholder\ny MatMul x t"),
        ("a product of constants", "w Const\nv Const\ny MatMul v w"),
        ("a product of what comes of constants", "w Const\nv Const\ns Square v\ny MatMul s w"),
        ("another input", "x Placeholder\nw Const\ny Conv2D w x"),
        ("indices", "x Placeholder\nw Const\na Const2\ny GatherV2 x w a"),
        ("a variable of a loop", "x Placeholder\nw Const\nvariable Enter w\ny MatMul x variable"),
        ("a scaled convolution", "x Placeholder\nw Const\nc Conv2D x w\ns Const2\ny Mul c s"),
        ("scaled behind an identity", "x Placeholder\nw Const\nc Conv2D x w\ni Identity c\ns Const2\ny Mul s i"),
        ("a convolution of what is scaled", "x Placeholder\ns Const2\nm Mul x s\nw Const\nc Conv2D m w"),
        ("a function takes it", "x Placeholder\nw Const\ny PartitionedCall x w"),
        ("an unknown op", "x Placeholder\nw Const\ny Mine x w"),
        ("a circle of identities", "x Placeholder\nw Const\ny MatMul x w\na Identity b\nb Identity a\nc Merge w a"),
    ],
)
def test_a_constant_that_something_else_is_done_with_stays(what, graph):
    assert "w" not in mappable(_graph(graph).node), what


def test_what_a_function_returns_stays():
    model = _model()
    function = model.graph_def.library.function[0]
    assert mappable(function.node_def, function) == {"w"}
    for returned in ("w:output:0", "r:output:0"):
        function.ret["z"] = returned
        assert not mappable(function.node_def, function)


def _model() -> MetaGraphDef:
    """A constant in the main graph and one in a function."""
    model = MetaGraphDef()
    model.meta_info_def.tags.append("serve")
    model.graph_def.CopyFrom(_graph("x Placeholder\nmain Const ^x\ny MatMul x main"))
    function = model.graph_def.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="x", type=1)
    function.node_def.extend(_graph("w Const\nr Identity w:output:0\ny MatMul x r:output:0").node)
    function.ret["y"] = "y:product:0"
    return model


def _written(tmp_path, model: MetaGraphDef):
    saved = SavedModel(saved_model_schema_version=1, meta_graphs=[model])
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    return tmp_path


def test_a_mapped_constant_has_its_name_and_its_bytes(tmp_path):
    model = _model()
    saved, held = read_hollow(str(_written(tmp_path, model)))
    graph = saved.meta_graphs[0]
    assert unmapped_bytes(graph, held) == 0
    put_back(graph, held)
    assert graph.ByteSize() < 2000
    function = graph.graph_def.library.function[0]
    for node, before in (
        (graph.graph_def.node[1], model.graph_def.node[1]),
        (function.node_def[0], model.graph_def.library.function[0].node_def[0]),
    ):
        assert (node.name, node.op, node.device) == (before.name, "ImmutableConst", before.device)
        assert node.input == before.input
        assert node.attr["_output_shapes"] == before.attr["_output_shapes"]
        assert node.attr["dtype"] == before.attr["dtype"] and "value" not in node.attr
        assert node.attr["shape"].shape == before.attr["value"].tensor.tensor_shape
        path = node.attr["memory_region_name"].s.decode()
        assert os.path.dirname(path) == tempfile.tempdir
        with open(path, "rb") as file:
            assert file.read() == before.attr["value"].tensor.tensor_content
    assert list(function.node_def[1].input) == ["w:tensor:0"]
    assert list(graph.graph_def.node[2].input) == ["x", "main"]


@pytest.mark.parametrize("why", ["compiled", "no directory", "full", "zeros", "taken by another"])
def test_what_cannot_be_mapped_is_the_constant_that_it_was(why, tmp_path, monkeypatch):
    model = _model()
    if why == "compiled":
        model.graph_def.library.function[0].attr["_XlaMustCompile"].b = True
    elif why == "zeros":
        model.graph_def.node[1].CopyFrom(_constant("main", "^x", zero=True))
    elif why == "taken by another":
        model.graph_def.node.add(name="z", op="Relu", input=["main"])
        model.graph_def.library.function[0].node_def.add(name="z", op="Relu", input=["r:output:0"])
    saved, held = read_hollow(str(_written(tmp_path, model)))
    graph = saved.meta_graphs[0]
    if why == "no directory":
        monkeypatch.setattr(tempfile, "tempdir", None)
    elif why == "full":
        monkeypatch.setattr(mapped_constants.os, "rename", _no_space)
    put_back(graph, held)
    if why == "zeros":
        assert graph.graph_def == model.graph_def or graph.graph_def.node == model.graph_def.node
    else:
        assert graph == model
    assert os.listdir(tmp_path / "scratch") == [] or why == "zeros"


def _no_space(*_: object) -> None:
    raise OSError("no space left on device")


def test_what_stays_counts(tmp_path):
    model = _model()
    model.graph_def.node.add(name="z", op="Relu", input=["main"])
    saved, held = read_hollow(str(_written(tmp_path, model)))
    assert unmapped_bytes(saved.meta_graphs[0], held) == _SIDE * _SIDE * 4
    assert unmapped_bytes(model, None) == 0


@pytest.mark.parametrize("form", ["SavedModel", "MetaGraphDef", "GraphDef"])
def test_a_graph_that_was_changed_after_it_was_read_finds_its_constants_in_the_file(form, tmp_path):
    model = _model()
    file = _written(tmp_path, model) / "saved_model.pb"
    if form != "SavedModel":
        file.write_bytes((model if form == "MetaGraphDef" else model.graph_def).SerializeToString())
    changed = MetaGraphDef.FromString(model.SerializeToString())
    changed.graph_def.node[1].name = changed.graph_def.node[2].input[1] = "renamed"
    changed.graph_def.node.append(_constant("other constant"))
    changed.signature_def["s"].method_name = "m"
    graph, held = hollowed(changed, str(file))
    assert sorted(node.name for node in graph.graph_def.node if MARK in node.attr) == ["renamed"]
    assert graph.graph_def.node[3] == changed.graph_def.node[3], "the file does not have what it holds"
    assert graph.ByteSize() < _SIDE * _SIDE * 4 + 2000
    put_back(graph, held)
    (source,) = (node for node in graph.graph_def.node if node.name == "renamed")
    with open(source.attr["memory_region_name"].s.decode(), "rb") as stream:
        assert stream.read() == model.graph_def.node[1].attr["value"].tensor.tensor_content


def test_a_constant_that_differs_in_one_bit_is_not_taken_from_the_file(tmp_path):
    model = _model()
    file = _written(tmp_path, model) / "saved_model.pb"
    tensor = model.graph_def.node[1].attr["value"].tensor
    tensor.tensor_content = tensor.tensor_content[:-1] + bytes([tensor.tensor_content[-1] ^ 1])
    graph, _ = hollowed(model, str(file))
    assert graph.graph_def.node[1] == model.graph_def.node[1]


@pytest.mark.parametrize("why", ["small", "no file", "text", "damaged", "marked"])
def test_other_files_are_read_as_ever(why, tmp_path):
    model = _model()
    if why == "small":
        del model.graph_def.node[1]
        del model.graph_def.library.function[:]
    elif why == "marked":
        model.graph_def.node[0].attr[MARK].i = 0
    file = _written(tmp_path, model) / "saved_model.pb"
    if why == "no file":
        file.rename(tmp_path / "saved_model.pbtxt")
    elif why == "text":
        file.write_text("meta_graphs {} " * 100_000)
    elif why == "damaged":
        file.write_bytes(file.read_bytes()[:-100_000])
    assert read_hollow(str(tmp_path)) is None
    assert hollowed(model, str(file)) is None or why == "damaged"


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path):
    saved, held = read_hollow(str(_written(tmp_path, _model())))
    os.utime(tmp_path / "saved_model.pb", ns=(1, 1))
    with pytest.raises(InputError, match="was changed while it was read"):
        put_back(saved.meta_graphs[0], held)


def test_what_is_mapped_is_known_before():
    model = _model()
    size = _SIDE * _SIDE * 4
    assert mapped_bytes(model) == 2 * size
    model.graph_def.node.add(name="z", op="Relu", input=["main"])
    assert mapped_bytes(model) == size
    model.graph_def.library.function[0].attr["_XlaMustCompile"].b = True
    assert mapped_bytes(model) == 0
    assert mapped_bytes(MetaGraphDef(graph_def=_graph("x Placeholder"))) == 0
