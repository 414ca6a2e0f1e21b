"""Nodes for the new graph, each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import NodeDef

DT_RESOURCE = dtype_value("resource")
FLOAT = dtype_value("float32")
DOUBLE = dtype_value("float64")
INT32 = dtype_value("int32")
INT64 = dtype_value("int64")
BOOL = dtype_value("bool")
STRING = dtype_value("string")
Number = int | float
_FIELDS: Mapping[int, str] = {
    FLOAT: "float_val",
    DOUBLE: "double_val",
    INT32: "int_val",
    INT64: "int64_val",
    BOOL: "bool_val",
    STRING: "string_val",
}
"""The field of a TensorProto that has the values of a dtype."""


@frozen
class Edit:
    """Nodes that take a node's place. Nodes of one name from several edits must be equal and stand once."""

    nodes: tuple[NodeDef, ...]


def new_node(op: str, name: str, inputs: Iterable[str], **types: int) -> NodeDef:
    """A node whose attributes are all DataTypes."""
    node = NodeDef(name=name, op=op, input=inputs)
    for key, value in types.items():
        node.attr[key].type = value
    return node


def constant(name: str, value: Number | bytes | Sequence[Number], waits: Iterable[str], dtype: int = 0) -> NodeDef:
    """A Const: a scalar, or a vector. `waits` are the nodes that must have run before.

    Args:
      name: of the node.
      value: what it holds.
      waits: names of nodes.
      dtype: of the tensor; 0 for string, float32 or int32, by the value.
    """
    node = NodeDef(name=name, op="Const", input=[f"^{wait}" for wait in waits])
    tensor = node.attr["value"].tensor
    if not dtype:
        dtype = STRING if isinstance(value, bytes) else FLOAT if isinstance(value, float) else INT32
    tensor.dtype = dtype
    tensor.tensor_shape.SetInParent()
    values = getattr(tensor, _FIELDS[dtype])
    if isinstance(value, int | float | bytes):
        values.append(value)
    else:
        tensor.tensor_shape.dim.add(size=len(value))
        values.extend(value)
    node.attr["dtype"].type = tensor.dtype
    return node


def replaced(node: NodeDef, op: str, inputs: Iterable[str]) -> NodeDef:
    """A copy of a node with another op and other data inputs; attributes and control inputs stay."""
    result = NodeDef()
    result.CopyFrom(node)
    result.op = op
    del result.input[:]
    result.input.extend(inputs)
    result.input.extend(name for name in node.input if name.startswith("^"))
    return result
