"""The nodes of a function's body in a graph: how each is called there, and what it takes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from migrate.frozen import frozen
from migrate.graph.output_numbers import first_number
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef


@frozen
class Outputs:
    """How a body names tensors (`node:output:0`), and how a graph does.

    Attributes:
      function: whose body.
      names: name in the graph by the name in the body, of arguments and nodes.
    """

    function: FunctionDef
    names: Mapping[str, str]

    @functools.cached_property
    def _nodes(self) -> Mapping[str, NodeDef]:
        return {node.name: node for node in self.function.node_def}

    def tensor(self, written: str) -> str | None:
        """An input as the graph names it, or None where the body names none (or an op that nobody knows)."""
        if written.startswith("^"):
            name = self.names.get(written[1:])
            return f"^{name}" if name else None
        name, _, rest = written.partition(":")
        if name not in self.names:
            return None
        if name not in self._nodes:
            return self.names[name]  # An argument.
        output, _, position = rest.partition(":")
        node = self._nodes[name]
        if position and not (position.isascii() and position.isdecimal() and len(position) < 10):
            return None
        first = first_number(output, node)
        return None if first is None else f"{self.names[name]}:{first + int(position or 0)}"


def identity(name: str, dtype: int, tensor: str, waits: Iterable[str]) -> NodeDef:
    """An Identity of a tensor that waits for control inputs (`^node`)."""
    node = NodeDef(name=name, op="Identity", input=[tensor, *waits])
    node.attr["T"].type = dtype
    return node


def filled(new: NodeDef, node: NodeDef, attrs: Mapping[str, AttrValue]) -> bool:
    """Copies a node's attributes, with the call's in the place of the function's own; False where one is missing."""
    for key, value in node.attr.items():
        if key == "_class":
            continue  # Names nodes of the body.
        if value.placeholder:
            if value.placeholder not in attrs:
                return False
            value = attrs[value.placeholder]
        new.attr[key].CopyFrom(value)
    return True
