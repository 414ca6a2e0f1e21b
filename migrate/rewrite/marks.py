"""Some nodes of a graph, and for each node of it which of these come before it and which after it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.graph.control_flow_contexts import NEXT_ITERATIONS, topological_order
from migrate.graph.graph import Graph, reach


class Marks:
    """Marked nodes of a graph. A set of them is an int with a bit for each, so that sets of many are cheap to join."""

    def __init__(self, graph: Graph, names: Iterable[str]) -> None:
        """Marks nodes; of a set of them `named` gives those first that come first in `names`."""
        self.graph = graph
        self.names: Sequence[str] = tuple(names)
        self._bits = {name: 1 << position for position, name in enumerate(self.names)}

    def of(self, *names: str) -> int:
        """The set of those of some nodes that are marked."""
        return sum(self._bits.get(name, 0) for name in set(names))

    def named(self, marked: int) -> Iterator[str]:
        """The nodes of a set."""
        while marked:
            yield self.names[(marked & -marked).bit_length() - 1]
            marked &= marked - 1

    @functools.cached_property
    def before(self) -> Mapping[str, int]:
        """For each node the marked ones that lead to it."""
        return self._reached(self.graph.predecessors(), topological_order(self.graph)[0])

    @functools.cached_property
    def after(self) -> Mapping[str, int]:
        """For each node the marked ones to which it leads."""
        return self._reached(self.graph.successors(), topological_order(self.graph)[0][::-1])

    def _reached(self, neighbours: Mapping[str, Iterable[str]], order: Sequence[str]) -> Mapping[str, int]:
        return reach(neighbours, order, self._bits, self.graph.has(NEXT_ITERATIONS))
