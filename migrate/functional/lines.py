"""Whether the accesses to a TensorArray are in one line: then it is a value that takes the way of its flow.

A write changes the array, whichever flow it takes, so that all accesses after it see it. With a list only those see it
that take what it gives. The two are one where each flow is taken by one write, and by no other access after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from migrate.functional.draft import Draft
from migrate.graph.control_flow_contexts import MERGES, NEXT_ITERATIONS, topological_order
from migrate.graph.graph import Graph, split

_HANDS_ON = frozenset({"Enter", "Identity", "Switch"})
_LONGEST = 200
_Way = Set[tuple[str, int]]


def out_of_line(draft: Draft, taken: Mapping[str, str], writes: Set[str]) -> Iterator[tuple[str, str]]:
    """The accesses that could see another array than the list that takes their flow's way.

    Args:
      draft: the graph, with v1 control flow.
      taken: the flow that each access takes, by its node's name.
      writes: names of the accesses that write.

    Yields:
      A write, and an access that takes the same flow.
    """
    users: dict[str, list[tuple[str, _Way]]] = {}
    for name, flow in taken.items():
        root, way, is_constant = _origin(draft, flow)
        if is_constant and name in writes:
            yield name, name  # The next iteration takes the same flow.
        users.setdefault(root, []).append((name, way))
    graph = draft.graph()
    bits = {name: 1 << number for number, name in enumerate(taken)}
    before: Mapping[str, int] | None = None
    for each in users.values():
        for write, way in each:
            others = [name for name, other in each if name != write and not _excluded(way, other)]
            if write not in writes or not others:
                continue
            if before is None:
                before = _before(graph, bits)
            for name in others:
                if name in writes or not before.get(write, 0) & bits[name]:
                    yield write, name


def _origin(draft: Draft, tensor: str) -> tuple[str, _Way, bool]:
    """The tensor whose value a flow has, the branches it was led into, and whether it is a constant of a loop."""
    way: set[tuple[str, int]] = set()
    is_constant = False
    for _ in range(_LONGEST):
        name, output = split(tensor)
        known = draft.wires[name]
        if known.op not in _HANDS_ON or not known.data:
            break
        if known.op == "Switch":
            way.add((_plain(draft, known.data[1]), output))
        is_constant |= known.op == "Enter" and draft.nodes[name].attr["is_constant"].b
        tensor = known.data[0]
    return tensor, way, is_constant


def _plain(draft: Draft, tensor: str) -> str:
    """A predicate before the Identity that each cond has for itself."""
    for _ in range(_LONGEST):
        known = draft.wires[split(tensor)[0]]
        if known.op != "Identity" or len(known.data) != 1:
            break
        tensor = known.data[0]
    return tensor


def _excluded(one: _Way, other: _Way) -> bool:
    return any((predicate, 1 - branch) in other for predicate, branch in one)


def _before(graph: Graph, bits: Mapping[str, int]) -> Mapping[str, int]:
    """The accesses that have ended, or do not run, when a node starts, whatever branch is taken."""
    found: dict[str, int] = {}
    for name in topological_order(graph)[0]:
        known = graph.wires[name]
        ended = {source: found.get(source, 0) | bits.get(source, 0) for source in known.behind if source in graph.wires}
        forth = [s for s in known.sources if s in ended and graph.wires[s].op not in NEXT_ITERATIONS]
        result = 0
        for source in known.controls:
            result |= ended.get(source, 0)
        if known.op in MERGES and forth:
            met = -1
            for source in forth:
                met &= ended[source]
            result |= met
        else:
            for source in forth:
                result |= ended[source]
        found[name] = result
    return found
