"""Leaves out the branch of a v1 cond that cannot run, since its predicate is a constant of the call.

`is_training` models have many such conds: their predicate is a constant, or a placeholder with a default that no
signature feeds. What is left has no Switch and no Merge, so TensorFlow has gradients through it. A cond in a while loop
is one of them where its predicate is the same in each iteration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import ENTERS, NEXT_ITERATIONS, Context, contexts
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, Run, Wire, as_input, index, split, unique_name
from migrate.graph.nodes import reachable
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef
from migrate.rewrite.predicates import Constants

_SWITCHES = {"Switch": "Identity", "RefSwitch": "RefIdentity"}
_MERGES = {"Merge": "Identity", "RefMerge": "RefIdentity"}
_TRIGGER = "ControlTrigger"
"""The op that runs although what it waits for is dead."""
_DT_INT32 = dtype_value("int32")


@frozen
class Folded:
    """A run without the branches that cannot run.

    Attributes:
      run: what is left of it.
      dead: names of the nodes that never run, in the run as it was.
    """

    run: Run
    dead: frozenset[str]


def fold(run: Run) -> Folded:
    """Takes the branches that cannot run out of a run.

    A Switch whose predicate is constant becomes an Identity for its live output. The executor's rule says what is
    dead then (executor.cc, PropagateOutputs): a node with a dead input, data or control, and a Merge whose data inputs
    are all dead. A Merge with one live input becomes an Identity of it. A loop in a dead branch is dead as
    a whole. In a loop the rule holds for each iteration by itself; so what is dead there is dead in every iteration,
    for the predicate has one value in all of them. The Switches by which a loop ends take a LoopCond, which is never
    constant.

    Args:
      run: as `prune` gives it; nothing in it is changed.

    Returns:
      The run itself where there is nothing to fold, or where a fetch, a target or a part of a loop would be dead: what
      TensorFlow does then is kept as it is.
    """
    graph = run.graph
    if not graph.has(_SWITCHES.keys()):
        return Folded(run, frozenset())
    key = (fold, run.fetches, run.targets)
    if key not in graph.answers:
        graph.answers[key] = _folded(run)
    known = graph.answers[key]
    if known is None:
        return Folded(run, frozenset())
    left, targets, dead = known
    return Folded(dataclasses.replace(run, graph=left, targets=targets), dead)


def never_run(graph: Graph) -> frozenset[str]:
    """Names of the nodes of a graph, in which nothing is fed but Placeholders, that run in no call."""
    if not graph.has(_SWITCHES.keys()):
        return frozenset()
    walk = _Walk(graph)
    for name, output in _taken(graph, ()).items():
        walk.kill_tensor(f"{name}:{1 - output}")
    return frozenset() if walk.merged() is None else frozenset(walk.dead)


_Left = tuple[Graph, tuple[str, ...], frozenset[str]]
"""What is left of a graph, the targets that it has now, and the nodes that are dead."""


def _folded(run: Run) -> _Left | None:
    taken = _taken(run.graph, set(run.feeds.values()))
    found = _taking(run, taken)
    if found is None:
        # What cannot be left out in a loop may hold up what can outside.
        where = contexts(run.graph)
        outside = {name: output for name, output in taken.items() if not where[name].frames}
        found = _taking(run, outside) if len(outside) < len(taken) else None
    return found


def _taken(graph: Graph, fed: Collection[str]) -> dict[str, int]:
    """The live output of each Switch that has the same one in every call."""
    where = contexts(graph)
    constants = Constants(graph, fed)
    taken: dict[str, int] = {}
    for name in graph.named(_SWITCHES.keys()):
        sources = graph.wires[name].data
        # What a circle leads to has no place, and is refused later.
        value = constants.predicate(sources[1]) if len(sources) == 2 and name in where else None
        if value is not None:
            taken[name] = int(value)
    return taken


def _taking(run: Run, taken: Mapping[str, int]) -> _Left | None:
    """What is left when some Switches always have the same live output."""
    if not taken:
        return None
    walk = _Walk(run.graph)
    for name, output in taken.items():
        walk.kill_tensor(f"{name}:{1 - output}")
    merged = walk.merged()
    if merged is None:
        return None
    dead = frozenset(walk.dead)
    kept = dead.isdisjoint(run.targets)
    for tensor in run.fetches:
        name, output = split(tensor)
        kept = kept and name not in dead and not (output and (name in taken or name in merged))
        kept = kept and not (name in taken and taken[name] != output)
    if not kept:
        return None
    return _without(run, taken, merged, dead)


class _Walk:
    """Finds what never runs. `dead` grows with each tensor that is said to be dead."""

    def __init__(self, graph: Graph) -> None:
        self.dead: set[str] = set()
        self._graph = graph
        self._gone: dict[str, set[int]] = {}
        """For each Merge the positions of its dead data inputs."""
        self._waited = False
        """Whether a Merge waits for a dead node by a control edge, of which the executor makes an error."""
        self._waiting: dict[str, list[str]] = {}
        self._outputs: dict[str, list[str]] = {}
        for name, known in graph.wires.items():
            for source in known.controls:
                self._waiting.setdefault(source, []).append(name)
        for tensor in graph.consumers:
            self._outputs.setdefault(split(tensor)[0], []).append(tensor)

    def kill_tensor(self, tensor: str) -> None:
        """Follows a dead tensor to all that is dead for it."""
        tensors = [tensor]
        while tensors:
            nodes = []
            for name, position in self._graph.consumers.get(tensors.pop(), ()):
                if self._graph.wires[name].op not in _MERGES:
                    nodes.append(name)
                    continue
                self._gone.setdefault(name, set()).add(position)
                if self._gone[name] >= self._forward(name):
                    nodes.append(name)
            while nodes:
                name = nodes.pop()
                if name in self.dead or self._graph.wires[name].op == _TRIGGER:
                    continue
                self.dead.add(name)
                tensors += self._outputs.get(name, ())
                for other in self._waiting.get(name, ()):
                    self._waited = self._waited or self._graph.wires[other].op in _MERGES
                    nodes.append(other)

    def merged(self) -> dict[str, int] | None:
        """The one live data input of each live Merge that has dead ones; None where the graph is not understood."""
        if self._waited or self._splits_a_loop():
            return None
        found = {}
        for name, positions in self._gone.items():
            if name in self.dead:
                continue
            left = set(range(len(self._graph.wires[name].data))) - positions
            if len(left) != 1 or self._forward(name) != left | positions:
                return None
            found[name] = left.pop()
        return found

    def _forward(self, merge: str) -> set[int]:
        """Positions of the data inputs of a Merge that are no back edges of a loop."""
        wires = self._graph.wires
        sources = enumerate(wires[merge].sources)
        return {p for p, source in sources if source not in wires or wires[source].op not in NEXT_ITERATIONS}

    def _splits_a_loop(self) -> bool:
        """Whether a part of what enters a loop is dead, and a part is not."""
        frames: dict[bytes, set[bool]] = {}
        for name in self._graph.named(ENTERS):
            frame = self._graph.nodes[name].attr["frame_name"].s
            frames.setdefault(frame, set()).add(name in self.dead)
        return any(len(found) > 1 for found in frames.values())


def _without(run: Run, taken: Mapping[str, int], merged: Mapping[str, int], dead: frozenset[str]) -> _Left | None:
    graph = run.graph
    nodes: dict[str, NodeDef] = {}
    for name, node in graph.nodes.items():
        if name in dead:
            continue
        known = graph.wires[name]
        if name in taken:
            # After the predicate, too, which may wait for what the branch must come after.
            waits = (*known.controls, *known.sources[1:])
            nodes[name] = _identity(node, _SWITCHES[known.op], known.data[0], waits, taken)
        elif name in merged:
            nodes[name] = _identity(node, _MERGES[known.op], known.data[merged[name]], known.controls, taken)
        elif any(_renamed(tensor, taken) != tensor for tensor in known.data) or _asks_which(known, merged):
            nodes[name] = _rewired(graph, node, known, taken, merged, nodes)
        elif known.op == _TRIGGER and not dead.isdisjoint(known.controls):
            alive = [waited for waited in known.controls if waited not in dead]
            if not alive:
                return None  # Nothing would hold it in its loop.
            nodes[name] = _waiting(NodeDef(name=name, op=known.op, device=node.device), alive)
        else:
            nodes[name] = node
    left = index(nodes.values(), graph)
    return _reachable(run, left)


def _identity(node: NodeDef, op: str, tensor: str, waits: tuple[str, ...], taken: Mapping[str, int]) -> NodeDef:
    result = NodeDef(name=node.name, op=op, device=node.device)
    result.attr["T"].CopyFrom(node.attr["T"])
    result.input.append(as_input(_renamed(tensor, taken)))
    result.input.extend(dict.fromkeys(f"^{name}" for name in waits))
    return result


def _renamed(tensor: str, taken: Mapping[str, int]) -> str:
    """The tensor's name now: what replaces a Switch has one output."""
    name, output = split(tensor)
    return f"{name}:0" if output and name in taken else tensor


def _asks_which(known: Wire, merged: Mapping[str, int]) -> bool:
    """Whether a node takes a folded Merge's value_index."""
    return any(output == 1 and name in merged for name, output in map(split, known.data))


def _rewired(
    graph: Graph,
    node: NodeDef,
    known: Wire,
    taken: Mapping[str, int],
    merged: Mapping[str, int],
    nodes: dict[str, NodeDef],
) -> NodeDef:
    result = NodeDef()
    result.CopyFrom(node)
    del result.input[:]
    for tensor in known.data:
        name, output = split(tensor)
        if output == 1 and name in merged:
            which = unique_name(f"{name}/value_index", graph.nodes)
            nodes[which] = _which(which, merged[name], name)
            result.input.append(which)
        else:
            result.input.append(as_input(_renamed(tensor, taken)))
    result.input.extend(f"^{name}" for name in known.controls)
    return result


def _which(name: str, position: int, merge: str) -> NodeDef:
    """The number of the input that a Merge has taken, there once it has."""
    node = NodeDef(name=name, op="Const", input=[f"^{merge}"])
    node.attr["dtype"].type = _DT_INT32
    tensor = node.attr["value"].tensor
    tensor.dtype = _DT_INT32
    tensor.tensor_shape.SetInParent()
    tensor.int_val.append(position)
    return node


def _reachable(run: Run, graph: Graph) -> _Left | None:
    """What the fetches and targets need of a graph. What still runs for its effect becomes a target.

    No target may be in a loop or a branch: the next iteration of the loop waits for it there.
    """
    needed = _closure(graph, (*(split(tensor)[0] for tensor in run.fetches), *run.targets))
    stray = [name for name in graph.nodes if name not in needed and _has_effect(graph, name)]
    last = _last(graph, stray)
    where = contexts(graph) if last else {}
    targets = [*run.targets]
    waits: dict[str, list[str]] = {}
    for name in last:
        if name not in where or where[name].is_root:
            targets.append(name)
            continue
        follower = _follower(graph, where[name], where, needed)
        if follower is None:
            return None
        waits.setdefault(follower, []).append(name)
    dead = frozenset(run.graph.nodes.keys() - graph.nodes.keys())
    if waits:
        graph = index((_waiting(node, waits.get(name, ())) for name, node in graph.nodes.items()), graph)
    needed = _closure(graph, (*needed, *waits, *targets))
    for name in waits:
        needed |= _closure(graph, graph.wires[name].controls)
    needed.update(run.feeds.values())
    left = index([node for name, node in graph.nodes.items() if name in needed], graph)
    return left, tuple(targets), dead


def _follower(graph: Graph, context: Context, where: Mapping[str, Context], needed: Collection[str]) -> str | None:
    """The step to the next iteration that is taken in each iteration in which a node of a context runs, and no other.

    Where it waits for the node, that runs as often as before, and nothing else waits longer but later iterations.
    """
    steps = (name for name in graph.named(NEXT_ITERATIONS) if name in needed and name in where)
    return next((name for name in steps if where[name] == context), None)


def _waiting(node: NodeDef, names: Sequence[str]) -> NodeDef:
    """The node, after some others."""
    if not names:
        return node
    result = NodeDef()
    result.CopyFrom(node)
    result.input.extend(f"^{name}" for name in names)
    return result


def _closure(graph: Graph, names: Iterable[str]) -> set[str]:
    return reachable(names, lambda name: graph.wires[name].behind if name in graph.wires else None)


def _has_effect(graph: Graph, name: str) -> bool:
    """Whether it matters that a node runs, although nothing takes what it gives."""
    op = graph.wires[name].op
    info = load_op_table().get(op)
    return op not in _INERT and (info is None or info.effect not in ("pure", "random"))


_INERT = frozenset({"Const", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "VarHandleOp", "Variable"}) | {
    "ReadVariableOp",
    "RefIdentity",
    "VariableV2",
}
"""Ops that the table calls stateful, or that have refs, and that change nothing."""


def _last(graph: Graph, names: list[str]) -> list[str]:
    """Those of some nodes that none of the others needs."""
    behind = _closure(graph, tuple(source for name in names for source in graph.wires[name].behind))
    return [name for name in names if name not in behind]
