"""Where in v1 control flow a node stands: its frames, and what must hold for it to run.

v1 control flow is dataflow: `Enter`/`Exit` open and close a frame (a while loop), a `Switch` sends its input to one
of two outputs and leaves the other dead, a `Merge` takes what is alive (implementation of control flow in
TensorFlow: https://www.tensorflow.org/guide/graph_optimization, control_flow_ops.cc, executor.cc).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping

from migrate.rewrite.graph import Graph, canonical, input_nodes, split

ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
MERGES = frozenset({"Merge", "RefMerge"})
SWITCHES = frozenset({"Switch", "RefSwitch"})
NEXT_ITERATIONS = frozenset({"NextIteration", "RefNextIteration"})


@dataclasses.dataclass(frozen=True)
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


def topological_order(graph: Graph) -> tuple[list[str], list[str]]:
    """Orders the nodes so that each stands after its inputs, back edges of while loops aside.

    Returns:
      The names in order, and the names of nodes on a cycle that is no while loop (a broken graph) or behind one.
    """
    waiting: dict[str, int] = {}
    successors: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, node in graph.nodes.items():
        count = 0
        for source in input_nodes(node):
            producer = graph.nodes.get(source)
            if producer is None:
                continue
            if node.op in MERGES and producer.op in NEXT_ITERATIONS:
                continue
            successors[source].append(name)
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


def contexts(graph: Graph, order: list[str]) -> Mapping[str, Context]:
    """The context of every node, from one walk in topological order."""
    if not any(graph.nodes[name].op in ENTERS or graph.nodes[name].op in SWITCHES for name in order):
        return dict.fromkeys(order, Context())
    result: dict[str, Context] = {}
    for name in order:
        node = graph.nodes[name]
        sources = []
        for written in node.input:
            source, output = (written[1:], -1) if written.startswith("^") else split(canonical(written))
            if source not in result:
                continue  # A back edge: what holds on entry to the loop holds for the Merge.
            context = result[source]
            producer = graph.nodes[source]
            if producer.op in SWITCHES and output >= 0 and len(producer.input) > 1:
                condition = (len(context.frames), canonical(producer.input[1]), output)
                context = Context(context.frames, context.conditions | {condition})
            sources.append(context)
        frames = max((c.frames for c in sources), key=len, default=())
        if node.op in MERGES:
            conditions = frozenset.intersection(*(c.conditions for c in sources)) if sources else frozenset()
        else:
            conditions = frozenset().union(*(c.conditions for c in sources))
        if node.op in ENTERS:
            frames = (*frames, node.attr["frame_name"].s.decode("utf-8", "replace"))
        elif node.op in EXITS and frames:
            conditions = frozenset(c for c in conditions if c[0] < len(frames))
            frames = frames[:-1]
        result[name] = Context(frames, conditions)
    return result


def first_outside(name: str, where: Mapping[str, Context], successors: Mapping[str, set[str]]) -> list[str]:
    """The first nodes outside of all loops and branches that follow a node, or the node itself where it is outside.

    What stands in a loop or a branch is awaited through them: an Exit or a Merge is alive whatever branch was taken,
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
