"""Nodes in the form in which a graph of very many nodes is read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from migrate.graph.protos import NodeDef
from migrate.graph.stored_nodes import StoredNodes


def stored(nodes: Iterable[NodeDef]) -> StoredNodes:
    """The nodes as bytes, one behind the other, with something between them that is no node."""
    data = b""
    starts, ends = array("I"), array("I")
    for node in nodes:
        data += b"\xff"
        starts.append(len(data))
        data += node.SerializeToString()
        ends.append(len(data))
    return StoredNodes(data, starts, ends)
