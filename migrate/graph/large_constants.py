"""Large constants apart from the graph that has them: TensorFlow copies a graph some ten times, and them with it.

A stub is the same node with the same type and shape, and one zero in the place of its content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from migrate.errors import InternalError
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef, TensorProto

MARK = "_migrate_constant"
"""Attribute of a stub: the number of its content."""
LARGE_BYTES = 1 << 16
"""A tensor of so many bytes gives no shape, axis or size, which TensorFlow computes with while it builds a graph."""
# Floats alone, of which nothing of that kind is made, however they are computed with.
_ZERO: Mapping[int, str] = {
    dtype_value(dtype): field
    for dtype, field in (
        ("float32", "float_val"),
        ("float64", "double_val"),
        ("float16", "half_val"),
        ("bfloat16", "half_val"),
    )
}


class Contents:
    """Takes contents out of constants, each once however many nodes have it."""

    def __init__(self) -> None:
        """See the class."""
        self._numbers: dict[bytes, int] = {}

    def all(self) -> tuple[bytes, ...]:
        """The contents by their numbers, each a serialized TensorProto."""
        return tuple(self._numbers)

    def node(self, node: NodeDef) -> NodeDef:
        """The node, or the stub of a large constant."""
        if not is_large(node) or node.attr["value"].tensor.dtype not in _ZERO:
            if MARK not in node.attr:
                return node
            node = NodeDef.FromString(node.SerializeToString())
            del node.attr[MARK]
            return node
        tensor = node.attr["value"].tensor
        number = self._numbers.setdefault(tensor.SerializeToString(), len(self._numbers))
        stub = _without_content(node)
        getattr(stub.attr["value"].tensor, _ZERO[tensor.dtype]).append(0)
        stub.attr[MARK].i = number
        return stub

    def function(self, function: FunctionDef) -> FunctionDef:
        """The function, or one with stubs for its large constants."""
        if not any(is_large(node) or MARK in node.attr for node in function.node_def):
            return function
        result = FunctionDef()
        _take_over(function, result, "node_def")
        result.node_def.extend(map(self.node, function.node_def))
        return result


def fill(meta_graph: MetaGraphDef, contents: Sequence[bytes]) -> None:
    """Puts the contents back into the stubs of a MetaGraphDef."""
    for nodes in (meta_graph.graph_def.node, *(f.node_def for f in meta_graph.graph_def.library.function)):
        for node in nodes:
            if MARK not in node.attr:
                continue
            tensor = node.attr["value"].tensor
            held = TensorProto.FromString(contents[node.attr[MARK].i])
            if node.op != "Const" or (held.dtype, held.tensor_shape) != (tensor.dtype, tensor.tensor_shape):
                raise InternalError(f"{node.name!r} has become something else than the constant that it was")
            tensor.CopyFrom(held)
            del node.attr[MARK]


def is_large(node: NodeDef) -> bool:
    """Whether a node is a constant whose content is large."""
    return node.op == "Const" and len(node.attr["value"].tensor.tensor_content) >= LARGE_BYTES


def constant_bytes(meta_graph: MetaGraphDef) -> int:
    """Bytes of the large constants in a MetaGraphDef, those in functions included."""
    library = meta_graph.graph_def.library.function
    parts: Iterable[Iterable[NodeDef]] = (meta_graph.graph_def.node, *(f.node_def for f in library))
    return sum(len(node.attr["value"].tensor.tensor_content) for nodes in parts for node in nodes if is_large(node))


def light(meta_graph: MetaGraphDef) -> MetaGraphDef:
    """A copy without what large constants hold; their types and shapes stay."""
    result = MetaGraphDef()
    _take_over(meta_graph, result, "graph_def")
    _take_over(meta_graph.graph_def, result.graph_def, "node", "library")
    result.graph_def.node.extend(_emptied(meta_graph.graph_def.node))
    _take_over(meta_graph.graph_def.library, result.graph_def.library, "function")
    for function in meta_graph.graph_def.library.function:
        new = result.graph_def.library.function.add()
        _take_over(function, new, "node_def")
        new.node_def.extend(_emptied(function.node_def))
    return result


def _emptied(nodes: Iterable[NodeDef]) -> Iterable[NodeDef]:
    return (_without_content(node) if is_large(node) else node for node in nodes)


def _without_content(node: NodeDef) -> NodeDef:
    result = NodeDef()
    _take_over(node, result, "attr")
    for key, value in node.attr.items():
        if key != "value":
            result.attr[key].CopyFrom(value)
    _take_over(node.attr["value"].tensor, result.attr["value"].tensor, "tensor_content")
    return result


def _take_over(source: Message, target: Any, *left_out: str) -> None:
    """Copies the fields of a message, except for some."""
    for field, value in source.ListFields():
        if field.name in left_out:
            continue
        if isinstance(value, str | bytes | int | float):
            setattr(target, field.name, value)
        else:  # A map, a repeated field or a message: each knows how to take over another of its kind.
            getattr(target, field.name).MergeFrom(value)
