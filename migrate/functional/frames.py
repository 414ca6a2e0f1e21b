"""In which while loops each node of a run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import topological_order
from migrate.graph.graph import Graph, attribute

Path = tuple[str, ...]


@frozen
class Frames:
    """The loops of a graph.

    Attributes:
      path: names of the frames around each node, outermost first.
      mixed: nodes that take inputs from different frames, by the innermost frame around them.
    """

    path: Mapping[str, Path]
    mixed: Mapping[Path, Sequence[str]]


def frames(graph: Graph, anywhere: frozenset[str]) -> Frames:
    """Finds the frames of each node, as TensorFlow does before it runs a graph (BuildControlFlowInfo, control_flow.cc).

    Args:
      graph: the nodes; an Enter counts as inside, an Exit as outside.
      anywhere: names of nodes that any frame may use without an Enter.
    """
    path: dict[str, Path] = {}
    mixed: dict[Path, list[str]] = {}
    for name in topological_order(graph)[0]:
        known = graph.wires[name]
        found = {path[source] for source in known.behind if source in path and source not in anywhere}
        mine = max(found, key=len) if found else ()
        if len(found) > 1:
            for each in found:
                mixed.setdefault(each, []).append(name)
        if known.op == "Enter":
            mine = (*mine, attribute(graph.nodes[name], "frame_name").s.decode("utf-8", "replace"))
        elif known.op == "Exit":
            if not mine:
                mixed.setdefault((), []).append(name)
            mine = mine[:-1]
        path[name] = mine
    return Frames(path, mixed)
