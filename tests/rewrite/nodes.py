"""Nodes whose attributes are DataTypes, and a run of some nodes."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import ParsedNodes, Run, prune
from migrate.graph.protos import NodeDef

FLOAT = dtype_value("float32")


def node(op: str, name: str, *inputs: str, **types: int) -> NodeDef:
    """A node; `types` are its attributes."""
    result = NodeDef(op=op, name=name, input=inputs)
    for key, value in types.items():
        result.attr[key].type = value
    return result


def run_of(*nodes: NodeDef, fetches: tuple[str, ...]) -> Run:
    """The part of a graph that a call with these fetches runs."""
    return prune(ParsedNodes(nodes), "a test", {}, fetches, ())
