"""An order in which each node is after its inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from migrate.proof.equations import ENTERS, EXITS, MERGES, NEXT_ITERATIONS
from migrate.proof.identity import name_of
from migrate.proof.program import Flat

Frames = tuple[str, ...]
"""The loops that a node is in, the outermost first."""


def frame_name(node: Flat) -> str:
    """The frame that an Enter leads into: one of an inlined function has the call's name before its own.

    Source: inline_function_utils.cc.
    """
    name = name_of(node.attr["frame_name"].s) if "frame_name" in node.attr else ""
    return (node.key if isinstance(node.key, str) else "") + name


def topological(nodes: Sequence[Flat]) -> tuple[list[int], frozenset[int]]:
    """Places in an order in which each is after its inputs, back edges of loops aside; and what is on a circle.

    What leaves a loop comes after all that is in the loop, where that is possible.
    """
    order, left = _sorted(nodes, {})
    if not any(node.op in EXITS for node in nodes):
        return order, left
    frames = frames_of(nodes, order)
    within: dict[Frames, list[int]] = {}
    leaving: dict[Frames, list[int]] = {}
    for place in order:
        inside = frames[place]
        if nodes[place].op in EXITS:
            leaving.setdefault(inside, []).append(place)
            inside = inside[:-1]
        for depth in range(1, len(inside) + 1):
            within.setdefault(inside[:depth], []).append(place)
    later, _ = _sorted(nodes, {frame: (within.get(frame, ()), exits) for frame, exits in leaving.items()})
    return (later if len(later) == len(order) else order), left


def _sorted(
    nodes: Sequence[Flat], gates: Mapping[Frames, tuple[Sequence[int], Sequence[int]]]
) -> tuple[list[int], frozenset[int]]:
    """An order, and what is left; the second places of a gate come after all of the first ones."""
    waiting = [0] * len(nodes)
    following: list[list[int]] = [[] for _ in nodes]
    for place, node in enumerate(nodes):
        is_merge = node.op in MERGES
        for source, _ in node.data:
            if is_merge and nodes[source].op in NEXT_ITERATIONS:
                continue
            following[source].append(place)
            waiting[place] += 1
        for source in (*node.controls, *node.within):
            following[source].append(place)
            waiting[place] += 1
    counts = {frame: len(first) for frame, (first, _) in gates.items()}
    gates_of: dict[int, list[Frames]] = {}
    for frame, (first, _) in gates.items():
        for place in first:
            gates_of.setdefault(place, []).append(frame)
    for frame, (_, then) in gates.items():
        for place in then if counts[frame] else ():
            waiting[place] += 1
    ready = deque(place for place, count in enumerate(waiting) if not count)
    order = []
    while ready:
        place = ready.popleft()
        order.append(place)
        opened = following[place]
        for frame in gates_of.get(place, ()):
            counts[frame] -= 1
            if not counts[frame]:
                opened = [*opened, *gates[frame][1]]
        for other in opened:
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return order, frozenset(place for place, count in enumerate(waiting) if count)


def frames_of(nodes: Sequence[Flat], order: Sequence[int]) -> dict[int, Frames]:
    """The loops that each node is in; of an Exit the one that it leaves, too."""
    frames: dict[int, Frames] = {}
    for place in order:
        node = nodes[place]
        found: Frames = ()
        for source in (*(source for source, _ in node.data), *node.controls, *node.within):
            given = frames.get(source, ())
            if nodes[source].op in EXITS:
                given = given[:-1]
            if len(given) > len(found):
                found = given
        frames[place] = (*found, frame_name(node)) if node.op in ENTERS else found
    return frames
