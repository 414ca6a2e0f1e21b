"""Large constants are taken out of a graph and put back, and nothing else of it changes."""

from __future__ import annotations

import numpy as np

from migrate.graph.dtypes import dtype_value
from migrate.graph.large_constants import LARGE_BYTES, MARK, Contents, light
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef


def _constant(name: str, dtype: str, seed: int, count: int | None = None) -> NodeDef:
    size = {"float64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2}[dtype]
    count = LARGE_BYTES // size if count is None else count
    node = NodeDef(name=name, op="Const", input=["^before"], device="/cpu:0")
    node.attr["dtype"].type = dtype_value(dtype)
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype_value(dtype)
    tensor.tensor_shape.dim.add(size=count)
    tensor.tensor_content = np.random.default_rng(seed).bytes(count * size)
    return node


def _model() -> MetaGraphDef:
    """Constants of which some are large floats, in the main graph and in a function, beside other nodes."""
    model = MetaGraphDef()
    model.meta_info_def.tags.append("serve")
    model.graph_def.versions.producer = 27
    kinds = ("float32", "float64", "float16", "bfloat16")
    model.graph_def.node.extend(_constant(kind, kind, number) for number, kind in enumerate(kinds))
    model.graph_def.node.extend([_constant("again", "float32", 0), _constant("whole", "int32", 7)])
    model.graph_def.node.extend([_constant("small", "float32", 8, 3), NodeDef(name="before", op="NoOp")])
    function = model.graph_def.library.function.add()
    function.signature.name = "f"
    function.ret["y"] = "inner:output:0"
    function.node_def.append(_constant("inner", "float32", 9))
    return model


def _with_stubs(model: MetaGraphDef) -> tuple[MetaGraphDef, tuple[bytes, ...]]:
    contents = Contents()
    result = MetaGraphDef()
    result.CopyFrom(model)
    del result.graph_def.node[:], result.graph_def.library.function[:]
    result.graph_def.node.extend(map(contents.node, model.graph_def.node))
    result.graph_def.library.function.extend(map(contents.function, model.graph_def.library.function))
    return result, contents.all()


def test_stubs_are_small():
    model = _model()
    stubs, contents = _with_stubs(model)
    marked = {node.name for node in stubs.graph_def.node if MARK in node.attr}
    assert marked == {"float32", "float64", "float16", "bfloat16", "again"}
    assert len(contents) == 5, "a content is there once, however many constants have it"
    for node, before in zip(stubs.graph_def.node, model.graph_def.node, strict=True):
        if node.name in marked:
            assert contents[node.attr[MARK].i] == before.attr["value"].tensor.tensor_content
    whole = stubs.graph_def.node[5]
    assert whole.name == "whole" and stubs.ByteSize() < whole.ByteSize() + 3000


def test_a_mark_of_the_source_is_no_mark():
    node = _constant("small", "float32", 1, 3)
    node.attr[MARK].i = 0
    contents = Contents()
    contents.node(_constant("large", "float32", 2))
    assert MARK not in contents.node(node).attr
    function = contents.function(FunctionDef(node_def=[node]))
    assert MARK not in function.node_def[0].attr
    assert len(contents.all()) == 1


def test_a_light_copy_lacks_contents_alone():
    model = _model()
    copy = light(model)
    assert copy.ByteSize() < 3000
    for nodes, others in (
        (model.graph_def.node, copy.graph_def.node),
        (model.graph_def.library.function[0].node_def, copy.graph_def.library.function[0].node_def),
    ):
        for node, other in zip(nodes, others, strict=True):
            if node.name not in ("small", "before"):
                assert not other.attr["value"].tensor.tensor_content
                other.attr["value"].tensor.tensor_content = node.attr["value"].tensor.tensor_content
    assert copy == model
