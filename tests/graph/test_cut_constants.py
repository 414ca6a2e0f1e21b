"""Large constants are cut out of a serialized graph and put back, byte by byte, and nothing else of it changes."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import pytest

from migrate.errors import InternalError
from migrate.graph.cut_constants import GRAPH_DEF, META_GRAPH_DEF, SAVED_MODEL, Level, cut, spliced
from migrate.graph.large_constants import HOLLOW, MARK
from migrate.graph.protobuf_wire import write_varint
from migrate.graph.protos import AttrValue, GraphDef, MetaGraphDef, NodeDef, SavedModel
from tests.graph.test_large_constants import _constant, _model, _with_stubs


def _saved_model() -> SavedModel:
    model = SavedModel(saved_model_schema_version=1)
    model.meta_graphs.add().CopyFrom(_model())
    model.meta_graphs.add().graph_def.node.append(_constant("other", "float32", 11))
    return model


def _forms() -> list[tuple[SavedModel | MetaGraphDef | GraphDef, Level]]:
    return [(_saved_model(), SAVED_MODEL), (_model(), META_GRAPH_DEF), (_model().graph_def, GRAPH_DEF)]


@pytest.mark.parametrize("form", range(3))
def test_what_is_cut_out_is_put_back(form, tmp_path):
    model, level = _forms()[form]
    file = tmp_path / "model.pb"
    file.write_bytes(data := model.SerializeToString(deterministic=True))
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        found = cut(mapped, level)
    assert found == cut(data, level)
    assert len(found.places) == (7 if form == 0 else 6)
    assert len(found.light) + found.size < len(data) + 1500
    contents = [memoryview(data)[start:end] for start, end in found.places]
    light = type(model).FromString(found.light).SerializeToString(deterministic=True)
    assert b"".join(spliced(light, level, contents)) == data


def test_a_stub_is_hollow_and_has_its_content_by_number():
    data = _model().SerializeToString()
    found = cut(data, META_GRAPH_DEF)
    light = MetaGraphDef.FromString(found.light)
    stubs = [
        node for node in (*light.graph_def.node, *light.graph_def.library.function[0].node_def) if MARK in node.attr
    ]
    wanted = {node.name: node for node in (*_model().graph_def.node, *_model().graph_def.library.function[0].node_def)}
    assert [node.name for node in stubs] == ["float32", "float64", "float16", "bfloat16", "again", "inner"]
    for node in stubs:
        start, end = found.places[node.attr[MARK].i]
        tensor = node.attr["value"].tensor
        assert tensor.tensor_content == HOLLOW
        del node.attr[MARK]
        tensor.tensor_content = data[start:end]
        assert node == wanted[node.name]


def _alone(change: Callable[[NodeDef], object] = lambda node: None) -> bytes:
    node = _constant("c", "float32", 1)
    change(node)
    return GraphDef(node=[node]).SerializeToString()


def _set(**fields: object) -> Callable[[NodeDef], object]:
    def change(node: NodeDef) -> None:
        for name, value in fields.items():
            if name == "float_val":
                node.attr["value"].tensor.float_val.append(value)
            else:
                setattr(node.attr["value"].tensor, name, value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda node: setattr(node, "op", "Identity"),
        lambda node: setattr(node.attr["dtype"], "type", 2),
        lambda node: node.attr["value"].tensor.tensor_shape.dim.add(size=2),
        lambda node: node.attr["value"].tensor.tensor_shape.dim.add(size=-1),
        lambda node: setattr(node.attr["value"].tensor.tensor_shape, "unknown_rank", True),
        lambda node: node.attr["value"].tensor.tensor_shape.Clear(),
        lambda node: node.attr.pop("dtype"),
        lambda node: node.attr[MARK].SetInParent(),
        _set(float_val=1.0),
        _set(dtype=3),
        _set(tensor_content=b"\1" * (1 << 17)),
    ],
)
def test_what_no_exporter_writes_stays(change):
    assert len(cut(_alone(), GRAPH_DEF).places) == 1
    assert cut(_alone(change), GRAPH_DEF).places == ()
    assert cut(_alone(change), GRAPH_DEF).light == _alone(change)


def _field(number: int, content: bytes) -> bytes:
    return write_varint(number << 3 | 2) + write_varint(len(content)) + content


@pytest.mark.parametrize("twice", ["entry", "value", "tensor", "content"])
def test_a_constant_that_is_said_twice_stays(twice):
    """Of a field that is there twice the last one counts, or both together."""
    node = _constant("c", "float32", 1)
    tensor = node.attr["value"].tensor.SerializeToString()
    content = _field(4, node.attr["value"].tensor.tensor_content)
    del node.attr["value"]
    tensor += content if twice == "content" else b""
    value = _field(8, tensor) * (2 if twice == "tensor" else 1)
    entry = (
        _field(1, b"value")
        + _field(2, value)
        + (_field(2, AttrValue(i=3).SerializeToString()) if twice == "value" else b"")
    )
    written = node.SerializeToString() + _field(5, entry) * (2 if twice == "entry" else 1)
    data = _field(1, written)
    assert len(GraphDef.FromString(data).node) == 1
    assert cut(data, GRAPH_DEF).places == ()
    assert cut(data, GRAPH_DEF).light == data


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\x7f", b"\x0b\x0c"])
def test_what_is_no_message_is_not_cut(data):
    with pytest.raises(ValueError, match=r"cut off|not a message"):
        cut(data, GRAPH_DEF)


def test_the_stubs_of_an_export_become_constants():
    model = _model()
    stubs, _ = _with_stubs(model)
    contents = list(dict.fromkeys(node.attr["value"].tensor.tensor_content for node in _large(model)))
    light = stubs.SerializeToString(deterministic=True)
    assert b"".join(spliced(light, META_GRAPH_DEF, contents)) == model.SerializeToString(deterministic=True)


def _large(model: MetaGraphDef) -> list[NodeDef]:
    return [
        node
        for node in (*model.graph_def.node, *model.graph_def.library.function[0].node_def)
        if node.name not in ("whole", "small", "before")
    ]


@pytest.mark.parametrize("change", ["op", "shape"])
def test_a_stub_that_became_something_else_is_not_filled(change):
    stubs, _ = _with_stubs(_model())
    if change == "op":
        stubs.graph_def.node[0].op = "Identity"
    else:
        stubs.graph_def.node[0].attr["value"].tensor.tensor_shape.dim[0].size += 1
    contents = [node.attr["value"].tensor.tensor_content for node in _large(_model())]
    with pytest.raises(InternalError, match="'float32' has become something else"):
        spliced(stubs.SerializeToString(deterministic=True), META_GRAPH_DEF, contents)
