"""Nodes for the new graph, written as what they compute: `b.Mul(b.Sign(w), b.Abs(w))`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.new_nodes import FLOAT, INT32, INT64, STRING, Edit, Number, constant, new_node
from migrate.rewrite.scope import Scope


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

    def add(self, node: NodeDef) -> str:
        """Adds a node that was made elsewhere; gives its name."""
        self.nodes.append(node)
        return node.name

    def name(self, name: str) -> str:
        """A free name below the prefix."""
        return self._scope.unique(f"{self._prefix}/{name}")

    def __getattr__(self, op: str) -> Callable[..., str]:
        if not op[:1].isupper():
            raise AttributeError(op)

        def add(*inputs: str, name: str = "", **types: int) -> str:
            return self.add(new_node(op, self.name(name or op.lower()), inputs, **(types or self._types)))

        return add

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        name: str = "",
        ints: Mapping[str, int] = MappingProxyType({}),
        **types: int,
    ) -> str:
        """Adds a node of an op with attributes that are integers, too."""
        made = new_node(op, self.name(name or op.lower()), inputs, **(types or self._types))
        for key, value in ints.items():
            made.attr[key].i = value
        return self.add(made)

    def constant(self, name: str, value: Number | bytes | Sequence[Number], *waits: str, dtype: int = 0) -> str:
        """Adds a Const, see the function `constant`: in the frame and branch of the nodes for which it waits."""
        return self.add(constant(self.name(name), value, waits, dtype))

    def typed(self, name: str, value: float, dtype: int, *waits: str) -> str:
        """A scalar of a dtype of real numbers, for which single precision is enough."""
        made = self.constant(name, value, *waits)
        return made if dtype == FLOAT else self.Cast(made, name=f"{name}_cast", SrcT=FLOAT, DstT=dtype)

    def shaped(self, tensor: str, name: str, dtype: int, sizes: Sequence[int] = ()) -> str:
        """A tensor of some sizes, of which -1 is any; another one is an error. Without sizes it is a scalar."""
        made = new_node("EnsureShape", self.name(name), [tensor], T=dtype)
        made.attr["shape"].shape.SetInParent()
        for size in sizes:
            made.attr["shape"].shape.dim.add(size=size)
        return self.add(made)

    def rows(self, name: str, table: str, at: str, axis: str, dtype: int = INT64) -> str:
        """What is in a table along an axis at places of int64."""
        return self.GatherV2(table, at, axis, name=name, Tparams=dtype, Tindices=INT64, Taxis=INT32)

    def all_hold(self, name: str, conditions: str, message: bytes) -> str:
        """The node that fails where not all of some conditions hold, which are a vector."""
        beside = producer(conditions)
        axis = self.constant(f"{name}_axis", [0], beside)
        holds = self.All(conditions, axis, name=f"{name}_holds", Tidx=INT32)
        check = new_node("Assert", self.name(name), [holds, self.constant(f"{name}_message", message, beside)])
        check.attr["T"].list.type.append(STRING)
        check.attr["summarize"].i = 3
        return self.add(check)

    def value(self, position: int) -> str:
        """How the node gets the value of one of its data inputs, with the nodes that this needs."""
        name, nodes = self._scope.value(self._node, position)
        self.nodes += nodes
        return name

    def edit(self, last: NodeDef) -> Edit:
        """The collected nodes with the one that has the replaced node's name."""
        return Edit((*self.nodes, last))
