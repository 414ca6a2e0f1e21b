"""Cycles of a graph some of whose nodes are taken together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from migrate.graph.graph import Graph

Unit = TypeVar("Unit", bound=Hashable)


def on_cycles(graph: Graph, units: Mapping[str, Sequence[Unit]]) -> list[Unit]:
    """Units that are on a cycle, or between two.

    Args:
      graph: the nodes; the back edges of its loops do not count.
      units: what some nodes belong to; every other node is a unit of its own.
    """
    following: dict[str | Unit, set[str | Unit]] = {}
    for name, known in graph.wires.items():
        for mine in units.get(name, (name,)):
            following.setdefault(mine, set())
            for source in known.behind:
                if source not in graph.wires or (known.op == "Merge" and graph.wires[source].op == "NextIteration"):
                    continue
                others = units.get(source, (source,))
                if mine not in others:
                    for other in others:
                        following.setdefault(other, set()).add(mine)
    left = _trimmed(following)
    if left:
        backwards: dict[str | Unit, set[str | Unit]] = {each: set() for each in left}
        for each in left:
            for other in following[each]:
                if other in left:
                    backwards[other].add(each)
        left = _trimmed(backwards)
    return [each for each in left if not isinstance(each, str)]


def _trimmed(following: Mapping[str | Unit, set[str | Unit]]) -> dict[str | Unit, None]:
    """What is left when one takes away, again and again, what follows nothing."""
    count: dict[str | Unit, int] = dict.fromkeys(following, 0)
    for others in following.values():
        for other in others:
            count[other] += 1
    ready = [each for each, number in count.items() if not number]
    gone = set(ready)
    for each in ready:  # grows while it is read
        for other in following[each]:
            count[other] -= 1
            if not count[other]:
                ready.append(other)
                gone.add(other)
    return {each: None for each in following if each not in gone}
