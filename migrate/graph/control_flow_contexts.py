"""Where in v1 control flow a node stands: its frames, and what must hold for it to run.

v1 control flow is dataflow: `Enter`/`Exit` open and close a frame (a while loop), a `Switch` sends its input to one
of two outputs and leaves the other dead, a `Merge` takes what is alive (implementation of control flow in
TensorFlow: https://www.tensorflow.org/guide/graph_optimization, control_flow_ops.cc, executor.cc).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import Graph, Wire, attribute, remembered, split
from migrate.graph.op_table import REF_VARIABLES, load_op_table

ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
MERGES = frozenset({"Merge", "RefMerge"})
SWITCHES = frozenset({"Switch", "RefSwitch"})
NEXT_ITERATIONS = frozenset({"NextIteration", "RefNextIteration"})


@frozen
class Context:
    """Where a node stands.

    Attributes:
      frames: names of the while frames around it, outermost first.
      conditions: (frame depth, predicate tensor, branch) triples that must hold for the node to be alive.
    """

    frames: tuple[str, ...] = ()
    conditions: frozenset[tuple[int, str, int]] = frozenset()

    @property
    def is_root(self) -> bool:
        """Whether the node runs exactly once in every run."""
        return not self.frames and not self.conditions


_ROOT = Context()


@remembered
def topological_order(graph: Graph) -> tuple[Sequence[str], Sequence[str]]:
    """Orders the nodes so that each comes after its inputs, back edges of while loops aside.

    Returns:
      The names in order, and the names of nodes on a cycle that is no while loop (a broken graph) or behind one.
    """
    wires = graph.wires
    waiting: dict[str, int] = {}
    successors: dict[str, list[str]] = {name: [] for name in wires}
    back = set(graph.named(NEXT_ITERATIONS))
    for name, wire in wires.items():
        may_lead_back = back and wire.op in MERGES
        count = 0
        for source in wire.behind:
            following = successors.get(source)
            if following is None or (may_lead_back and source in back):
                continue
            following.append(name)
            count += 1
        waiting[name] = count
    ready = deque(name for name, count in waiting.items() if not count)
    order = []
    while ready:
        name = ready.popleft()
        order.append(name)
        for successor in successors[name]:
            waiting[successor] -= 1
            if not waiting[successor]:
                ready.append(successor)
    return order, [name for name, count in waiting.items() if count]


def on_cycle(graph: Graph) -> Sequence[str]:
    """Names of nodes on a cycle that is no while loop, or behind one."""
    if graph.is_stored:
        from migrate.graph.stored import cyclic  # Few graphs are that large.

        return cyclic(graph, MERGES, NEXT_ITERATIONS)
    return topological_order(graph)[1]


@remembered
def contexts(graph: Graph) -> Mapping[str, Context]:
    """The context of every node, from one walk in topological order."""
    order, _ = topological_order(graph)
    if not graph.has(ENTERS | SWITCHES):
        return dict.fromkeys(order, _ROOT)
    wires = graph.wires
    switches = set(graph.named(SWITCHES))
    result: dict[str, Context] = {}
    branches: dict[str, Context] = {}
    for name in order:
        wire = wires[name]
        sources: list[Context] = []
        for tensor, source in zip(wire.data, wire.sources, strict=True):
            context = result.get(source)
            if context is None:
                continue  # A back edge: what holds on entry to the loop holds for the Merge.
            if source in switches:
                if tensor not in branches:
                    branches[tensor] = _branch(graph, context, wires[source], split(tensor)[1])
                context = branches[tensor]
            sources.append(context)
        for source in wire.controls:
            if source in result:
                sources.append(result[source])
        met = _met(sources, wire.op in MERGES)
        if wire.op in ENTERS:
            frame = attribute(graph.nodes[name], "frame_name").s.decode("utf-8", "replace")
            met = Context((*met.frames, frame), met.conditions)
        elif wire.op in EXITS and met.frames:
            depth = len(met.frames)
            met = Context(met.frames[:-1], frozenset(c for c in met.conditions if c[0] < depth))
        result[name] = met
    return result


def context_of(graph: Graph, tensor: str) -> Context:
    """The context of a tensor: an output of a Switch is there in one branch alone."""
    name, output = split(tensor)
    where = contexts(graph)
    found = where.get(name, _ROOT)
    return _branch(graph, found, graph.wires[name], output) if graph.wires[name].op in SWITCHES else found


def _branch(graph: Graph, context: Context, switch: Wire, output: int) -> Context:
    """The context of an output of a Switch in a context."""
    if len(switch.data) < 2 or output < 0:
        return context
    condition = (len(context.frames), _decided_by(graph, switch.data[1]), output)
    return Context(context.frames, context.conditions | {condition})


def _decided_by(graph: Graph, predicate: str) -> str:
    """The tensor whose value a predicate has: each `tf.cond` has an Identity of its own for it (`cond/pred_id`).

    An Identity may hand on a buffer that is written to later. So the predicate itself is given, unless the op at the
    end of the chain is known to give a tensor of its own.
    """
    tensor = predicate
    wire = None
    for _ in range(_LONGEST):
        wire = graph.wires.get(split(tensor)[0])
        if wire is None or wire.op not in _HANDS_ON or len(wire.data) != 1:
            break
        tensor = wire.data[0]
    info = None if wire is None else load_op_table().get(wire.op)
    is_own = info is not None and info.copies and info.name not in REF_VARIABLES
    return tensor if is_own else predicate


_HANDS_ON = frozenset({"Identity", "PlaceholderWithDefault"})
_LONGEST = 20
"""Ops that hand on a predicate, one after another. Ordinary graphs have one or two; a damaged one may have a circle."""


def _met(sources: Sequence[Context], is_merge: bool) -> Context:
    """The context of a node whose inputs come from these: one of them, for most nodes."""
    if not sources:
        return _ROOT
    first = sources[0]
    for context in sources:
        if context is not first:
            break
    else:
        return first
    frames = max((context.frames for context in sources), key=len)
    conditions = [context.conditions for context in sources]
    joined = frozenset.intersection(*conditions) if is_merge else frozenset[tuple[int, str, int]]().union(*conditions)
    for context in sources:
        if context.frames == frames and context.conditions == joined:
            return context
    return Context(frames, joined)


def first_outside(name: str, where: Mapping[str, Context], successors: Mapping[str, set[str]]) -> list[str]:
    """The first nodes outside of all loops and branches that follow a node, or the node itself where it is outside.

    What is in a loop or a branch is awaited through them: an Exit or a Merge is alive whatever branch was taken,
    and its way there leads through the node if that ran.
    """
    result = []
    seen = {name}
    stack = [name]
    while stack:
        step = stack.pop()
        if where[step].is_root:
            result.append(step)
            continue
        fresh = successors[step] - seen
        seen |= fresh
        stack.extend(fresh)
    return result
