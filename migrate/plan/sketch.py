"""A few nodes of a run before and after its rewrite, for a picture."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping

from migrate.graph.graph import Graph, input_nodes
from migrate.graph.protos import NodeDef
from migrate.rewrite.engine import Rewritten
from migrate.sketches import Sketch, SketchGraph, SketchNode

_MOST_CHANGED = 12
_MOST_NODES = 20
_NAME_CHARACTERS = 200


def sketch(rewritten: Rewritten) -> Sketch | None:
    """Picks a connected part of what the rewrite has changed, with its neighbours.

    The part starts at the first node of the op that was changed least often: in a training signature the optimiser
    says more than one variable of a hundred.

    Returns:
      None where the rewrite left the run as it was.
    """
    before, after = rewritten.run.graph, rewritten.graph
    gone = [name for name, node in before.nodes.items() if not _same(node, after.nodes.get(name))]
    come = [name for name, node in after.nodes.items() if not _same(node, before.nodes.get(name))]
    changed = dict.fromkeys((*gone, *come))
    if not changed:
        return None
    old = Counter(before.nodes[name].op for name in gone)
    new = Counter(after.nodes[name].op for name in come)
    first = min(gone, key=lambda name: old[before.nodes[name].op]) if gone else come[0]
    chosen = _part(first, (before, after), changed)
    return Sketch(
        rewritten.run.key,
        len(changed),
        tuple((op, old[op], new[op]) for op in sorted({*old, *new})),
        _drawn(before, chosen, changed),
        _drawn(after, chosen, changed),
    )


def _same(node: NodeDef, other: NodeDef | None) -> bool:
    return node is other or node == other


def _part(first: str, graphs: tuple[Graph, ...], changed: Collection[str]) -> dict[str, None]:
    """Names of the part: changed nodes, nearest first, and then what is beside them."""
    successors = [graph.successors() for graph in graphs]

    def beside(name: str) -> Iterator[str]:
        for graph, following in zip(graphs, successors, strict=True):
            if name in graph.nodes:
                yield from (source for source in input_nodes(graph.nodes[name]) if source in graph.nodes)
                yield from sorted(following[name])

    chosen = {first: None}
    pending = deque([first])
    while pending and len(chosen) < _MOST_CHANGED:
        for name in beside(pending.popleft()):
            if name in changed and name not in chosen and len(chosen) < _MOST_CHANGED:
                chosen[name] = None
                pending.append(name)
    for name in list(chosen):
        for neighbour in beside(name):
            if len(chosen) >= _MOST_NODES:
                return chosen
            chosen[neighbour] = None
    return chosen


def _drawn(graph: Graph, chosen: Collection[str], changed: Collection[str]) -> SketchGraph:
    names = [name for name in chosen if name in graph.nodes]
    place: Mapping[str, int] = {name: number for number, name in enumerate(names)}
    edges: dict[tuple[int, int, bool], None] = {}
    for name in names:
        for written in graph.nodes[name].input:
            control = written.startswith("^")
            source = written[1:] if control else written.partition(":")[0]
            if source in place:
                edges[place[source], place[name], control] = None
    nodes = tuple(
        SketchNode(name[:_NAME_CHARACTERS], graph.nodes[name].op[:_NAME_CHARACTERS], name in changed) for name in names
    )
    return SketchGraph(nodes, tuple(edges))
