"""The index over a stored graph, and the part of it that one Session call runs, without a record for each node.

Everything is answered from the bytes of the nodes and from a few bytes for each of them. `Nodes` and `Graph` answer the
same from dicts, which is faster and takes ten times the memory.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, overload

from migrate.graph.graph import Graph, Nodes, Wire, wire
from migrate.graph.protos import NodeDef
from migrate.graph.stored_nodes import StoredByName, StoredMapping, StoredNodes

_NEEDED, _CUT = 1, 2


class KeptNodes(StoredByName, Nodes):
    """Every node of a stored graph by name."""

    def __init__(self, stored: StoredNodes, producer: int | None) -> None:
        """See the class."""
        StoredByName.__init__(self, stored)
        Nodes.__init__(self, producer)

    @functools.cached_property
    def by_op(self) -> Mapping[str, Sequence[str]]:
        """See `Nodes`."""
        return _by_op(self.nodes, self.nodes.name, range(len(self.nodes)))

    def _behind(self, fed: Set[str], fetches: Set[str], targets: Set[str]) -> Any:
        placeholders = self.fed_placeholders(fed)
        stored = self.nodes
        flags = bytearray(len(stored))
        cut_off = {stored.place(name) for name in placeholders}
        stack = array("I")

        def push(names: Iterable[str]) -> None:
            for place in map(stored.place, names):
                if place >= 0 and not flags[place] and place not in cut_off:
                    flags[place] = _NEEDED
                    stack.append(place)

        push(tensor.partition(":")[0] for tensor in fetches if tensor not in fed)
        push(targets)
        while stack:
            place = stack.pop()
            known = wire(stored[place])
            if fed.isdisjoint(known.data) and placeholders.isdisjoint(known.controls):
                push(known.behind)
                continue
            flags[place] = _CUT
            push(s for tensor, s in zip(known.data, known.sources, strict=True) if tensor not in fed)
            push(known.controls)
        return Reached(stored, flags)

    def key_of(self, needed: Any) -> object:
        """See `Nodes`."""
        return bytes(needed.flags)

    def part(self, needed: Any, fed: Sequence[NodeDef], cut: Callable[[NodeDef], NodeDef]) -> Graph:
        """See `Nodes`."""
        return StoredGraph.of(RunNodes(self.nodes, needed.flags, {node.name: node for node in fed}, cut))


class Reached(StoredMapping):
    """What a call runs: for each node name whether something that the node takes is fed."""

    def __init__(self, stored: StoredNodes, flags: bytearray) -> None:
        """See `KeptNodes`."""
        self._stored = stored
        self.flags = flags

    def __len__(self) -> int:
        return len(self.flags) - self.flags.count(0)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (place := self._stored.place(name)) >= 0 and bool(self.flags[place])

    def __getitem__(self, name: str) -> bool:
        if name not in self:
            raise KeyError(name)
        return self.flags[self._stored.place(name)] == _CUT

    def _all(self) -> Iterator[tuple[str, bool]]:
        return ((self._stored.name(p), flag == _CUT) for p, flag in enumerate(self.flags) if flag)


class RunNodes(StoredMapping):
    """The nodes of a run by name: the placeholders that are fed first, then the others in the graph's order."""

    def __init__(
        self, stored: StoredNodes, flags: bytearray, fed: dict[str, NodeDef], cut: Callable[[NodeDef], NodeDef]
    ) -> None:
        """See `KeptNodes.part`."""
        self.stored = stored
        self.flags = flags
        self.fed = fed
        self._cut = cut

    def __len__(self) -> int:
        return len(self.fed) + len(self.flags) - self.flags.count(0)

    def __contains__(self, name: object) -> bool:
        if name in self.fed:
            return True
        return isinstance(name, str) and (place := self.stored.place(name)) >= 0 and bool(self.flags[place])

    def __getitem__(self, name: str) -> NodeDef:
        if name in self.fed:
            return self.fed[name]
        if name not in self:
            raise KeyError(name)
        return self.at(self.stored.place(name))

    def __iter__(self) -> Iterator[str]:
        yield from self.fed
        yield from map(self.stored.name, self.places())

    def at(self, place: int) -> NodeDef:
        """The node at a place, without the edges that lead to what is fed."""
        node = self.stored[place]
        return self._cut(node) if self.flags[place] == _CUT else node

    def places(self) -> Iterator[int]:
        """Places of the nodes that are not fed, in order."""
        return (place for place, flag in enumerate(self.flags) if flag)

    def _all(self) -> Iterator[tuple[str, NodeDef]]:
        yield from self.fed.items()
        for place in self.places():
            node = self.at(place)
            yield node.name, node


class _Wires(StoredMapping):
    """Op and inputs of each node of a run."""

    def __init__(self, nodes: RunNodes) -> None:
        self._nodes = nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> Wire:
        return wire(self._nodes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def _all(self) -> Iterator[tuple[str, Wire]]:
        return ((name, wire(node)) for name, node in self._nodes._all())


class StoredGraph(Graph):
    """A Graph of a stored graph's nodes. What asks for the successors or the consumers of all nodes gets dicts."""

    is_stored = True

    @classmethod
    def of(cls, nodes: RunNodes) -> StoredGraph:
        """Makes one."""
        return cls(nodes, _Wires(nodes))

    @property
    def part(self) -> RunNodes:
        """Its nodes."""
        assert isinstance(self.nodes, RunNodes)
        return self.nodes

    @functools.cached_property
    def by_op(self) -> Mapping[str, Sequence[str]]:
        """See `Graph`."""
        part = self.part
        names = list(part.fed)

        def name(number: int) -> str:
            return names[number] if number < len(names) else part.stored.name(number - len(names))

        found: dict[str, array[int]] = {}
        for number, node in enumerate(part.fed.values()):
            found.setdefault(node.op, array("I")).append(number)
        for place in part.places():
            found.setdefault(part.stored[place].op, array("I")).append(place + len(names))
        return {op: _Names(name, numbers) for op, numbers in found.items()}


def cyclic(graph: Graph, may_lead_back: Set[str], back: Set[str]) -> list[str]:
    """Names of nodes on a cycle that is no while loop, or behind one.

    Args:
      graph: a StoredGraph.
      may_lead_back: ops that an edge may lead back to in a while loop.
      back: ops that such an edge comes from.
    """
    assert isinstance(graph, StoredGraph)
    part = graph.part
    stored, flags = part.stored, part.flags
    waiting = array("I", [0]) * len(stored)
    starts = array("I", [0]) * (len(stored) + 1)
    givers, takers = array("I"), array("I")
    backs = {place for op in back for name in graph.by_op.get(op, ()) if (place := stored.place(name)) >= 0}
    for place in part.places():
        known = wire(part.at(place))
        for giver in map(stored.place, known.behind):
            if giver >= 0 and flags[giver] and not (known.op in may_lead_back and giver in backs):
                givers.append(giver)
                takers.append(place)
                starts[giver + 1] += 1
                waiting[place] += 1
    for place in range(len(stored)):
        starts[place + 1] += starts[place]
    following = array("I", [0]) * len(takers)
    ends = array("I", starts)
    for giver, taker in zip(givers, takers, strict=True):
        following[ends[giver]] = taker
        ends[giver] += 1
    del givers, takers
    ready = array("I", (place for place in part.places() if not waiting[place]))
    while ready:
        place = ready.pop()
        for taker in following[starts[place] : starts[place + 1]]:
            waiting[taker] -= 1
            if not waiting[taker]:
                ready.append(taker)
    return [stored.name(place) for place, count in enumerate(waiting) if count]


class _Names(Sequence[str]):
    """Names of nodes, by numbers."""

    def __init__(self, name: Callable[[int], str], numbers: array[int]) -> None:
        self._name = name
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        found = self._numbers[place]
        return self._name(found) if isinstance(found, int) else _Names(self._name, found)


def _by_op(stored: StoredNodes, name: Callable[[int], str], places: Iterable[int]) -> Mapping[str, Sequence[str]]:
    found: dict[str, array[int]] = {}
    for place in places:
        found.setdefault(stored[place].op, array("I")).append(place)
    return {op: _Names(name, numbers) for op, numbers in found.items()}


class NeededNodes(Collection[NodeDef]):
    """The nodes of some runs of one stored graph, each once."""

    def __init__(self, graphs: Sequence[Graph]) -> None:
        """See `plan.needed_nodes`; a run that was rewritten has a graph of its own."""
        self._parts = [graph.part for graph in graphs if isinstance(graph, StoredGraph)]
        self._others = [graph.nodes for graph in graphs if not isinstance(graph, StoredGraph)]

    def __iter__(self) -> Iterator[NodeDef]:
        told = self._first()
        flags = bytearray(len(self._parts[0].flags))
        yield from told.values()
        for part in self._parts:
            for place in part.places():
                if not flags[place]:
                    flags[place] = 1
                    node = part.at(place)
                    if not told or (node.name, node.op) not in told:
                        yield node

    def _first(self) -> Mapping[tuple[str, str], NodeDef]:
        """By name and op those that are fed or in a graph of their own."""
        told: dict[tuple[str, str], NodeDef] = {}
        for nodes in (*(part.fed for part in self._parts), *self._others):
            for node in nodes.values():
                told.setdefault((node.name, node.op), node)
        return told

    def __len__(self) -> int:
        told = self._first()
        places = zip(*(part.flags for part in self._parts), strict=True)
        return sum(map(any, places)) + sum(not self._is_stored(*key) for key in told)

    def _is_stored(self, name: str, op: str) -> bool:
        """Whether a node of this name and op is where it was read."""
        place = self._parts[0].stored.place(name)
        return place >= 0 and any(part.flags[place] and part.at(place).op == op for part in self._parts)

    def __contains__(self, node: object) -> bool:
        return isinstance(node, NodeDef) and self.has(node.name)

    def has(self, name: str) -> bool:
        """Whether one of the nodes has a name."""
        return any(name in nodes for nodes in (*self._parts, *self._others))


class NeededNames(Collection[str]):
    """Their names."""

    def __init__(self, nodes: Collection[NodeDef]) -> None:
        """See the class."""
        assert isinstance(nodes, NeededNodes)
        self._nodes = nodes

    def __iter__(self) -> Iterator[str]:
        return (node.name for node in self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._nodes.has(name)
