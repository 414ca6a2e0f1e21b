"""The parts of a graph that each become one If."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set

from migrate.frozen import frozen
from migrate.functional.cycles import on_cycles
from migrate.functional.draft import RESOURCE
from migrate.functional.kept import Kept
from migrate.functional.library import Library
from migrate.functional.paths import Groups, Key, Path
from migrate.graph.control_flow_contexts import topological_order
from migrate.graph.graph import Graph, attribute, split


@frozen
class Cluster:
    """A group, or a part of one that hangs together.

    Attributes:
      key: the group's.
      switches: names of its Switches.
      members: names of the nodes in its branches.
      merges: names of its Merges.
      is_level: whether it is a part of what hangs together, since the whole would wait for itself.
      after: a Merge of the cluster that runs before this one, or empty.
      given: the Merge that has the value of a tensor of a cluster that runs before this one, by `value_of` the tensor.
    """

    key: Key
    switches: tuple[str, ...]
    members: tuple[str, ...]
    merges: tuple[str, ...]
    is_level: bool = False
    after: str = ""
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def clusters(graph: Graph, groups: Groups, library: Library) -> list[Cluster]:
    """The outermost clusters that can be converted. What cannot is noted in `groups.wrong`.

    A cluster without Merges, which is dead at its end, is none: it does not occur in what a call needs.
    """
    found = _of_groups(graph, groups)
    while True:
        after_itself = [cluster for cluster in found if _follows_itself(graph, cluster)]
        cyclic = list(dict.fromkeys([*after_itself, *on_cycles(graph, _units(found))]))
        if not cyclic:
            return found
        bad = set[Key]()
        parts: list[Cluster] = []
        for cluster in cyclic:
            levels = [] if cluster.is_level else _levels(graph, cluster, library)
            if not levels:
                reason = "chooses by a predicate before and after what depends on the choice"
                groups.wrong[cluster.key] = Kept(reason, (cluster.switches[0],))
                bad.add(cluster.key)
            parts += levels
        if bad:
            # What is within a group that stays may be converted by itself.
            found = _of_groups(graph, groups)
        else:
            gone = set(cyclic)
            found = [*(cluster for cluster in found if cluster not in gone), *parts]


def _follows_itself(graph: Graph, cluster: Cluster) -> bool:
    """Whether a node of a branch takes what a Merge of the branches gives, or waits for it."""
    merges = set(cluster.merges)
    return any(not merges.isdisjoint(graph.wires[n].behind) for n in (*cluster.switches, *cluster.members))


def _units(found: Iterable[Cluster]) -> dict[str, list[Cluster]]:
    unit: dict[str, list[Cluster]] = {}
    for cluster in found:
        for name in (*cluster.switches, *cluster.members, *cluster.merges):
            unit.setdefault(name, []).append(cluster)
    return unit


def _of_groups(graph: Graph, groups: Groups) -> list[Cluster]:
    """The outermost groups that can be converted, each in the parts that hang together."""
    keys = groups.switches.keys() - groups.wrong.keys()
    owner: dict[Path, Key | None] = {}
    members: dict[Key, list[str]] = {}
    for name, path in groups.path.items():
        if path not in owner:
            steps = (Key(path[:depth], path[depth][0]) for depth in range(len(path)))
            owner[path] = next((key for key in steps if key in keys), None)
        key = owner[path]
        if key is not None:
            members.setdefault(key, []).append(name)
    outermost = [key for key in groups.switches if key in keys and owner[key.path] is None]
    return [part for key in outermost for part in _parts(graph, groups, key, members.get(key, ()))]


def _parts(graph: Graph, groups: Groups, key: Key, members: Sequence[str]) -> list[Cluster]:
    """The parts of a group that hang together: each cond of TF1 is one, also where many have one predicate."""
    switches, merges = groups.switches[key], groups.merges.get(key, [])
    root = {name: name for name in (*switches, *members, *merges)}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = name = root[root[name]]
        return name

    ends = set(merges)
    for name in (*members, *merges):
        for source in graph.wires[name].behind:
            if source in root and source not in ends:
                root[find(source)] = find(name)
    by_identity: dict[str, str] = {}
    for switch in switches:
        raw = graph.wires[switch].data[1]
        if raw != key.predicate:  # An Identity that one cond has for itself.
            root[find(by_identity.setdefault(raw, switch))] = find(switch)
    parts: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for position, names in enumerate((switches, members, merges)):
        for name in names:
            parts.setdefault(find(name), ([], [], []))[position].append(name)
    return [Cluster(key, tuple(s), tuple(m), tuple(e)) for s, m, e in parts.values() if e]


def _levels(graph: Graph, cluster: Cluster, library: Library) -> list[Cluster]:
    """A cluster as several, each of which depends on those before it; nothing where it is but one.

    A level takes handles from outside again, and values of earlier levels from their Merges. What else two levels need
    is in both, unless it has to do with a state.
    """
    level: dict[str, int] = {}
    merges = set(cluster.merges)
    for name in topological_order(graph)[0]:
        behind = graph.wires[name].behind
        level[name] = max((level[s] + (s in merges) for s in behind if s in level), default=0)
    by_level: dict[int, list[str]] = {}
    for merge in cluster.merges:
        by_level.setdefault(level[merge], []).append(merge)
    if len(by_level) < 2:
        return []
    inside = {*cluster.members, *cluster.switches}
    own = set(cluster.switches)
    place = {name: number for number, name in enumerate((*cluster.switches, *cluster.members))}
    found: list[Cluster] = []
    seen: set[str] = set()
    given: dict[str, str] = {}
    for _, ends in sorted(by_level.items()):
        needed = _needed(graph, ends, inside, seen, given)
        if any(name in seen and library.is_stateful(graph.nodes[name]) for name in needed):
            return []
        switches = tuple(sorted((name for name in needed if name in own), key=place.__getitem__))
        members = tuple(sorted((name for name in needed if name not in own), key=place.__getitem__))
        after = found[-1].merges[0] if found else ""
        found.append(Cluster(cluster.key, switches, members, tuple(ends), True, after, given))
        seen.update(needed)
        for end in ends:
            for tensor in graph.wires[end].data:
                given.setdefault(value_of(graph, tensor), end)  # The first: a level takes from earlier ones alone.
    return found if inside <= seen else []


def _needed(
    graph: Graph, ends: Iterable[str], inside: Set[str], seen: Set[str], given: Mapping[str, str]
) -> dict[str, None]:
    """The nodes of a cluster that one level needs.

    Args:
      graph: the nodes.
      ends: the level's Merges.
      inside: the cluster's nodes.
      seen: those of earlier levels, for all of which this one waits.
      given: as `Cluster` has it.
    """
    needed: dict[str, None] = {}
    stack = [*ends]
    while stack:
        known = graph.wires[stack.pop()]
        steps = [wait for wait in known.controls if wait not in seen]
        for tensor, source in zip(known.data, known.sources, strict=True):
            if not (source in seen and (hands_on(graph, source) or value_of(graph, tensor) in given)):
                steps.append(source)
        for step in steps:
            if step in inside and step not in needed:
                needed[step] = None
                stack.append(step)
    return needed


def value_of(graph: Graph, tensor: str) -> str:
    """The tensor that an Identity, or a Merge of one input, gives on."""
    for _ in range(_LONGEST):
        known = graph.wires.get(split(tensor)[0])
        if known is None or known.op not in _HANDS_ON or len(known.data) != 1:
            break
        tensor = known.data[0]
    return tensor


def hands_on(graph: Graph, name: str) -> bool:
    """Whether a node does nothing but to hand on a handle."""
    return graph.wires[name].op in _HANDS_ON and attribute(graph.nodes[name], "T").type == RESOURCE


_HANDS_ON = frozenset({"Identity", "Merge"})
_LONGEST = 1000
