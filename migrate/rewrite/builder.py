"""Nodes for the new graph, written as what they compute: `b.Mul(b.Sign(w), b.Abs(w))`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import NodeDef
from migrate.rewrite.rule import Edit

if TYPE_CHECKING:
    from migrate.rewrite.scope import Scope

DT_RESOURCE = dtype_value("resource")
FLOAT = dtype_value("float32")
INT32 = dtype_value("int32")


def new_node(op: str, name: str, inputs: Iterable[str], **types: int) -> NodeDef:
    """A node whose attributes are all DataTypes."""
    node = NodeDef(name=name, op=op, input=inputs)
    for key, value in types.items():
        node.attr[key].type = value
    return node


def constant(name: str, value: int | float | list[int], waits: Iterable[str]) -> NodeDef:
    """A Const: an int32 or float32 scalar, or an int32 vector. `waits` are the nodes that must have run before."""
    node = NodeDef(name=name, op="Const", input=[f"^{wait}" for wait in waits])
    tensor = node.attr["value"].tensor
    tensor.dtype = FLOAT if isinstance(value, float) else INT32
    tensor.tensor_shape.SetInParent()
    if isinstance(value, float):
        tensor.float_val.append(value)
    elif isinstance(value, int):
        tensor.int_val.append(value)
    else:
        tensor.tensor_shape.dim.add(size=len(value))
        tensor.int_val.extend(value)
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


class Builder:
    """Collects the nodes that take a node's place.

    A method of an op's name adds a node of that op and gives its name, which is an input of the next:
    `b.Maximum(b.Sub(size, less), zero)`. A node's name is the op's in small letters below `prefix`, unless `name` says
    another one; its attributes are all DataTypes.
    """

    def __init__(self, scope: Scope, node: NodeDef, prefix: str = "", **types: int) -> None:
        """Begins with no nodes.

        Args:
          scope: of the node.
          node: whose place the nodes take.
          prefix: of the names of new nodes; empty for the node's own name.
          types: attributes of each new node for which a call gives none.
        """
        self._scope = scope
        self._node = node
        self._prefix = prefix or node.name
        self._types = types
        self.nodes: list[NodeDef] = []

    def _add(self, node: NodeDef) -> str:
        self.nodes.append(node)
        return node.name

    def _name(self, name: str) -> str:
        return self._scope.unique(f"{self._prefix}/{name}")

    def __getattr__(self, op: str) -> Callable[..., str]:
        if not op[:1].isupper():
            raise AttributeError(op)

        def add(*inputs: str, name: str = "", **types: int) -> str:
            return self._add(new_node(op, self._name(name or op.lower()), inputs, **(types or self._types)))

        return add

    def constant(self, name: str, value: int | float | list[int], *waits: str) -> str:
        """Adds a Const, see the function `constant`: in the frame and branch of the nodes for which it waits."""
        return self._add(constant(self._name(name), value, waits))

    def value(self, position: int) -> str:
        """How the node gets the value of one of its data inputs, with the nodes that this needs."""
        name, nodes = self._scope.value(self._node, position)
        self.nodes += nodes
        return name

    def edit(self, last: NodeDef) -> Edit:
        """The collected nodes with the one that has the replaced node's name."""
        return Edit((*self.nodes, last))
