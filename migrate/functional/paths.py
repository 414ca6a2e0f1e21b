"""Through which branches the inputs of each node have come.

A path is a sequence of (predicate, branch) pairs from the outermost Switch on. All Switches by one predicate on one
path are a group, with the nodes behind them and the Merges of their two branches.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.frozen import frozen
from migrate.functional.kept import Kept
from migrate.graph.control_flow_contexts import topological_order
from migrate.graph.graph import Graph, split

Path = tuple[tuple[str, int], ...]
_LONGEST = 1000
_LOOPS = frozenset({"Enter", "NextIteration"})


@frozen
class Key:
    """What tells one group from another.

    Attributes:
      path: of the Switches.
      predicate: the tensor by which they choose, before all Identities.
    """

    path: Path
    predicate: str


class Groups:
    """The groups of a graph, and what is wrong with some.

    Attributes:
      path: of each node.
      switches: names of the Switches of each group.
      merges: names of the Merges of each group.
      loose: nodes that may or may not run, whatever branches their path names.
      wrong: groups that cannot be one node.
    """

    def __init__(self, graph: Graph) -> None:
        self.path: dict[str, Path] = {}
        self.switches: dict[Key, list[str]] = {}
        self.merges: dict[Key, list[str]] = {}
        self.loose: set[str] = set()
        self.wrong: dict[Key, Kept] = {}
        self._graph = graph
        self._predicates: dict[str, str] = {}
        self._waits: dict[str, Sequence[str]] = {}
        for name in topological_order(graph)[0]:
            self._add(name)

    def blame(self, path: Path, start: int, reason: str, node: str) -> None:
        """Has all groups of a path stay as they are, from a depth on."""
        for depth in range(start, len(path)):
            self.wrong.setdefault(Key(path[:depth], path[depth][0]), Kept(reason, (node,)))

    def after(self, tensor: str, source: str) -> Path:
        """The path of a tensor: that of a Switch's output is one step longer than the Switch's."""
        if not self.is_choice(source):
            return self.path[source]
        return (*self.path[source], (self.predicate(source), split(tensor)[1]))

    def is_choice(self, name: str) -> bool:
        """Whether a node is a Switch of a cond, not of a loop."""
        known = self._graph.wires[name]
        if known.op != "Switch" or len(known.data) < 2:
            return False
        decider = self._graph.wires.get(known.sources[1])
        return decider is None or decider.op != "LoopCond"

    def predicate(self, switch: str) -> str:
        """The tensor by which a Switch chooses: each cond has an Identity of its own for it (`cond/pred_id`)."""
        if switch not in self._predicates:
            tensor = self._graph.wires[switch].data[1]
            waits: list[str] = []
            for _ in range(_LONGEST):
                known = self._graph.wires.get(split(tensor)[0])
                if known is None or known.op != "Identity" or len(known.data) != 1:
                    break
                waits += known.controls
                tensor = known.data[0]
            self._predicates[switch], self._waits[switch] = tensor, waits
        return self._predicates[switch]

    def waits(self, switch: str) -> Sequence[str]:
        """What the Identities before a Switch's predicate wait for: a cond in `tf.control_dependencies` has them."""
        self.predicate(switch)
        return self._waits[switch]

    def _add(self, name: str) -> None:
        wires, path = self._graph.wires, self.path
        known = wires[name]
        found = [self.after(t, s) for t, s in zip(known.data, known.sources, strict=True) if s in path]
        if any(source in self.loose for source in known.behind):
            self.loose.add(name)
        if is_end(self._graph, name):
            path[name] = self._merged(name, found, [path[s] for s in known.controls if s in path])
        else:
            found += [path[source] for source in known.controls if source in path]
            path[name] = self._joined(name, found)
        if name in self.loose:
            self.blame(path[name], 0, _LOOSE, name)
        if self.is_choice(name):
            key = Key(path[name], self.predicate(name))
            self.switches.setdefault(key, []).append(name)
            if name in self.loose:
                self.wrong.setdefault(key, Kept(_LOOSE, (name,)))

    def _joined(self, name: str, found: Sequence[Path]) -> Path:
        """The path of a node that needs all of its inputs."""
        longest = max(found, key=len, default=())
        if all(each is longest or longest[: len(each)] == each for each in found):
            return longest
        common = _common(found)
        for each in found:
            self.blame(each, len(common), "takes what comes from different branches", name)
        self.loose.add(name)
        return common

    def _merged(self, name: str, found: Sequence[Path], waits: Sequence[Path]) -> Path:
        """The path of a Merge: its group's, where it merges the two branches of a group and nothing else."""
        common = _common(found)
        is_pair = (
            len(found) == 2
            and len(found[0]) == len(found[1]) == len(common) + 1
            and found[0][-1][0] == found[1][-1][0]
            and {found[0][-1][1], found[1][-1][1]} == {0, 1}
        )
        if is_pair and all(wait in found or common[: len(wait)] == wait for wait in waits):
            self.merges.setdefault(Key(common, found[0][-1][0]), []).append(name)
            return common
        for one in found:
            self.blame(one, len(common), "merges other than the two branches of one cond", name)
        self.loose.add(name)
        return common


def is_end(graph: Graph, name: str) -> bool:
    """Whether a node is the Merge of a cond; one with a single input is an Identity, and others begin an iteration."""
    known = graph.wires[name]
    if known.op != "Merge" or any(graph.wires[s].op in _LOOPS for s in known.sources if s in graph.wires):
        return False
    return len(known.data) > 1 or bool(graph.consumers.get(f"{name}:1"))


_LOOSE = "may or may not run, whatever branch is taken"


def _common(found: Sequence[Path]) -> Path:
    """What some paths begin with."""
    if not found:
        return ()
    shortest, longest = min(found), max(found)
    for depth, step in enumerate(shortest):
        if depth >= len(longest) or step != longest[depth]:
            return shortest[:depth]
    return shortest
