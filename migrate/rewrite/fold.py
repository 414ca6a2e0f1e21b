"""Leaves out the branch of a v1 cond that cannot run, since its predicate is a constant of the call.

`is_training` models have many such conds: their predicate is a constant, or a placeholder with a default that no
signature feeds. What is left has no Switch and no Merge, so TensorFlow has gradients through it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from migrate.checks.op_table import load_op_table
from migrate.frozen import frozen
from migrate.rewrite.contexts import ENTERS, NEXT_ITERATIONS, contexts
from migrate.rewrite.graph import Graph, Run, Wire, as_input, index, split, unique_name
from migrate.sources.dtypes import dtype_value
from migrate.sources.protos import NodeDef

_SWITCHES = {"Switch": "Identity", "RefSwitch": "RefIdentity"}
_MERGES = {"Merge": "Identity", "RefMerge": "RefIdentity"}
_DT_BOOL = dtype_value("bool")
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
    are all dead. A Merge with one live input becomes an Identity of it. A loop that stands in a dead branch is dead as
    a whole; a Switch inside a loop stays as it is.

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


def _folded(run: Run) -> tuple[Graph, tuple[str, ...], frozenset[str]] | None:
    graph = run.graph
    fed = set(run.feeds.values())
    where = contexts(graph)
    taken: dict[str, int] = {}
    for name in graph.named(_SWITCHES.keys()):
        sources = graph.wires[name].data
        # What a circle leads to has no place, and is refused later.
        is_plain = len(sources) == 2 and name in where and not where[name].frames
        value = _predicate(graph, sources[1], fed) if is_plain else None
        if value is not None:
            taken[name] = int(value)
    if not taken:
        return None
    walk = _Walk(graph)
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


def _predicate(graph: Graph, tensor: str, fed: set[str]) -> bool | None:
    """The value of a bool scalar that is the same in every call, else None."""
    flips = False
    seen = set()
    while True:
        name, output = split(tensor)
        known = graph.wires.get(name)
        if known is None or output != 0 or name in fed or name in seen:
            return None
        seen.add(name)
        if known.op == "Const":
            proto = graph.nodes[name].attr["value"].tensor
            if proto.dtype != _DT_BOOL or proto.tensor_shape.dim:
                return None
            value = bool(proto.tensor_content[0]) if proto.tensor_content else bool([*proto.bool_val, False][0])
            return value != flips
        if known.op not in _TRACED or len(known.data) != 1:
            return None
        flips ^= known.op == "LogicalNot"
        tensor = known.data[0]


_TRACED = frozenset({"GuaranteeConst", "Identity", "LogicalNot", "PlaceholderWithDefault", "StopGradient"})
"""Ops that a predicate goes through. A Switch is none: what comes out of it may be dead."""


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
                if name in self.dead:
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


def _without(
    run: Run, taken: Mapping[str, int], merged: Mapping[str, int], dead: frozenset[str]
) -> tuple[Graph, tuple[str, ...], frozenset[str]]:
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


def _reachable(run: Run, graph: Graph) -> tuple[Graph, tuple[str, ...], frozenset[str]]:
    """What the fetches and targets need of a graph. What still runs for its effect becomes a target."""
    needed = _closure(graph, (*(split(tensor)[0] for tensor in run.fetches), *run.targets))
    stray = [name for name in graph.nodes if name not in needed and _has_effect(graph, name)]
    targets = (*run.targets, *_last(graph, stray))
    needed = _closure(graph, (*needed, *targets))
    needed.update(run.feeds.values())
    left = index([node for name, node in graph.nodes.items() if name in needed], graph)
    return left, targets, frozenset(run.graph.nodes.keys() - graph.nodes.keys())


def _closure(graph: Graph, names: tuple[str, ...]) -> set[str]:
    needed: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in graph.wires and name not in needed:
            needed.add(name)
            stack.extend(graph.wires[name].behind)
    return needed


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
