"""Large constants apart from the graph that has them: TensorFlow copies a graph some ten times, and them with it.

A stub is the same node with the same type and shape, and one zero in the place of its content. Where nobody may take it
for a constant it is hollow: it has one byte there, with which TensorFlow takes no graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef

MARK = "_migrate_constant"
"""Attribute of a stub: the number of its content."""
LARGE_BYTES = 1 << 16
"""A tensor of so many bytes gives no shape, axis or size, which TensorFlow computes with while it builds a graph."""
# Floats alone, of which nothing of that kind is made, however they are computed with.
STUB_VALUES: Mapping[int, str] = {
    dtype_value(dtype): field
    for dtype, field in (
        ("float32", "float_val"),
        ("float64", "double_val"),
        ("float16", "half_val"),
        ("bfloat16", "half_val"),
    )
}
"""Where the tensor of a stub has its zero (tensor.proto), by the dtypes whose large constants have stubs."""
ITEM_BYTES: Mapping[int, int] = {
    dtype_value(dtype): size for dtype, size in (("float32", 4), ("float64", 8), ("float16", 2), ("bfloat16", 2))
}
"""Bytes of an element, by the same dtypes."""


HOLLOW = b"\0"
"""What a hollow stub has in the place of its content."""
_PLAIN = frozenset({"dtype", "tensor_shape", "version_number", "tensor_content"})
"""What a tensor has in the form in which exporters write it."""


class Contents:
    """Takes contents out of constants, each once however many nodes have it."""

    def __init__(self, place: Callable[[bytes], tuple[int, int] | None] = lambda _: None) -> None:
        """See the class.

        Args:
          place: says where a content is found; what has no such place is carried.
        """
        self._place = place
        self._numbers: dict[bytes | tuple[int, int], int] = {}

    def all(self) -> tuple[bytes | tuple[int, int], ...]:
        """The contents by their numbers, as `TensorProto.tensor_content` has them, or their places."""
        return tuple(self._numbers)

    def node(self, node: NodeDef) -> NodeDef:
        """The node, or the stub of a large constant."""
        if not is_large(node) or not is_plain(node, len(node.attr["value"].tensor.tensor_content)):
            if MARK not in node.attr:
                return node
            node = NodeDef.FromString(node.SerializeToString())
            del node.attr[MARK]
            return node
        tensor = node.attr["value"].tensor
        content = tensor.tensor_content
        number = self._numbers.setdefault(self._place(content) or content, len(self._numbers))
        stub = _without_content(node)
        getattr(stub.attr["value"].tensor, STUB_VALUES[tensor.dtype]).append(0)
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


def is_large(node: NodeDef) -> bool:
    """Whether a node is a constant whose content is large."""
    return node.op == "Const" and len(node.attr["value"].tensor.tensor_content) >= LARGE_BYTES


def constant_bytes(meta_graph: MetaGraphDef) -> int:
    """Bytes of the large constants in a MetaGraphDef, those in functions included."""
    library = meta_graph.graph_def.library.function
    return sum(map(large_bytes, (meta_graph.graph_def.node, *(f.node_def for f in library))))


def large_bytes(nodes: Iterable[NodeDef]) -> int:
    """Bytes of the large constants among nodes."""
    return sum(len(node.attr["value"].tensor.tensor_content) for node in nodes if is_large(node))


def light(meta_graph: MetaGraphDef) -> MetaGraphDef:
    """A copy without what large constants hold; their types and shapes stay."""
    return with_nodes(meta_graph, lambda node: _without_content(node) if is_large(node) else node)


def with_nodes(meta_graph: MetaGraphDef, change: Callable[[NodeDef], NodeDef]) -> MetaGraphDef:
    """A copy with other nodes; `change` gives them, in the order of the graph and then of the functions' bodies."""
    result = MetaGraphDef()
    _take_over(meta_graph, result, "graph_def")
    _take_over(meta_graph.graph_def, result.graph_def, "node", "library")
    result.graph_def.node.extend(map(change, meta_graph.graph_def.node))
    _take_over(meta_graph.graph_def.library, result.graph_def.library, "function")
    for function in meta_graph.graph_def.library.function:
        new = result.graph_def.library.function.add()
        _take_over(function, new, "node_def")
        new.node_def.extend(map(change, function.node_def))
    return result


def hollow(node: NodeDef, number: int) -> NodeDef:
    """A large constant without its content, which has a number."""
    result = _without_content(node)
    result.attr["value"].tensor.tensor_content = HOLLOW
    result.attr[MARK].i = number
    return result


def is_plain(node: NodeDef, size: int) -> bool:
    """Whether a node is a constant of floats in the form that exporters write, if its tensor holds so many bytes."""
    value, dtype = attribute(node, "value"), attribute(node, "dtype").type
    tensor = value.tensor
    if node.op != "Const" or value.WhichOneof("value") != "tensor" or tensor.tensor_shape.unknown_rank:
        return False
    if tensor.dtype != dtype or dtype not in STUB_VALUES:
        return False
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    is_whole = min(sizes, default=1) > 0 and math.prod(sizes) * ITEM_BYTES[dtype] == size
    return is_whole and {field.name for field, _ in tensor.ListFields()} <= _PLAIN


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
