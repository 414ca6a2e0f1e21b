"""Loops that no TensorFlow runs: an Exit outside of all loops, a loop with two questions, inputs of several loops.

TensorFlow checks loops before it runs a graph (control_flow.cc). Grappler comes before that and takes equal nodes for
one, which may make a good graph of a bad one; such a graph is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from migrate.graph.control_flow_contexts import (
    ENTERS,
    EXITS,
    MERGES,
    NEXT_ITERATIONS,
    SWITCHES,
    Context,
    contexts,
    topological_order,
)
from migrate.graph.graph import Graph, Run, split
from migrate.graph.nodes import reachable
from migrate.graph.op_table import load_op_table
from migrate.records import Finding, refusal

_COUNTS = "LoopCounter"
"""In the name of a LoopCond that TensorFlow does not count (control_flow.cc)."""


def find_broken_loop(run: Run) -> Finding | None:
    """A refusal for an Exit without an Enter, two different LoopConds of one loop, or inputs of different loops."""
    graph = run.graph
    if not (graph.has(EXITS | ENTERS) or graph.has({"LoopCond"})):
        return None
    where = contexts(graph)
    for name in graph.named(EXITS):
        sources = graph.wires[name].behind
        if name in where and not any(source in where and where[source].frames for source in sources):
            return _refused(run, f"{name!r} leaves a loop (Exit), and no Enter begins one", (name,))
    questions: dict[tuple[str, ...], list[str]] = {}
    for name in graph.named({"LoopCond"}):
        if name in where and _COUNTS not in name:
            questions.setdefault(where[name].frames, []).append(name)
    several = {frames: names for frames, names in questions.items() if len(names) > 1}
    numbers = _numbers(graph, [name for names in several.values() for name in names])
    for frames, names in several.items():
        different = {numbers[name]: name for name in names}
        if len(different) > 1:
            found = tuple(sorted(different.values())[:8])
            said = " and ".join(map(repr, found[:2]))
            place = f"the loop {frames[-1]!r} has" if frames else "outside of all loops there are"
            return _refused(run, f"{place} {len(different)} LoopConds, {said}", found)
    mixed = list(_mixed(graph, where))
    varying = _varying(graph, where) if mixed else frozenset()
    for name, one, other in mixed:
        if {one, other} <= varying and _is_wanted(run, name):
            frames = max((where[source].frames for source in (one, other)), key=len)
            return _refused(
                run, f"{name!r} takes {one!r} and {other!r}, and one alone is in the loop {frames[-1]!r}", (name,)
            )
    return None


def _mixed(graph: Graph, where: Mapping[str, Context]) -> Iterator[tuple[str, str, str]]:
    """Nodes with two data inputs that are in different loops, and where these come from."""
    for name, wire in graph.wires.items():
        inside = [source for source in dict.fromkeys(wire.sources) if source in where]
        for source in inside[1:]:
            if where[source].frames != where[inside[0]].frames:
                yield name, inside[0], source
                break


def _varying(graph: Graph, where: Mapping[str, Context]) -> Set[str]:
    """The nodes whose values depend on more than constants and shapes, so that Grappler does not compute them."""
    table = load_op_table()
    found: set[str] = set()
    for name in topological_order(graph)[0]:
        wire = graph.wires[name]
        info = table.get(wire.op)
        if wire.op in _OF_SHAPES or info is None:
            continue
        is_given = info.is_stateful or wire.op in _GIVEN
        if is_given or any(
            source in found or graph.wires[source].op in NEXT_ITERATIONS
            for source in wire.sources
            if source in graph.wires
        ):
            found.add(name)
    # A loop whose condition is known may be taken out.
    known = {where[name].frames for name in graph.named({"LoopCond"}) if name in where and name not in found}
    return {
        name
        for name in found
        if not any(where[name].frames[:depth] in known for depth in range(1, len(where[name].frames) + 1))
    }


def _is_wanted(run: Run, name: str) -> bool:
    """Whether what a node gives must be computed: through ops that use their inputs' values whatever they are."""
    graph = run.graph
    ends = {split(tensor)[0] for tensor in run.fetches} | set(run.targets)

    def users(step: str) -> Iterator[str]:
        for output in range(_MOST_OUTPUTS):
            for consumer, _ in graph.consumers.get(f"{step}:{output}", ()):
                if graph.wires[consumer].op in _NEEDS:
                    yield consumer

    return any(step in ends or graph.wires[step].op in NEXT_ITERATIONS for step in reachable([name], users))


_GIVEN = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
_OF_SHAPES = frozenset({"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"})
_NEEDS = frozenset({"Add", "AddV2", "BiasAdd", "Identity", "Neg", "Relu", "Sigmoid", "Sub", "Tanh"}) | (
    ENTERS | EXITS | MERGES | NEXT_ITERATIONS | SWITCHES
)
_MOST_OUTPUTS = 4


def _refused(run: Run, what: str, nodes: tuple[str, ...]) -> Finding:
    return refusal("broken-loop", f"{run.key}: {what}, so the graph cannot run", nodes)


def _numbers(graph: Graph, asked: list[str]) -> dict[str, int]:
    """A number for each node behind some; equal computations have the same one."""
    behind = reachable(asked, lambda name: graph.wires[name].behind) if asked else set()
    table = load_op_table()
    known: dict[object, int] = {}
    numbers: dict[str, int] = {}
    for name in topological_order(graph)[0]:
        if name not in behind:
            continue
        node, wire = graph.nodes[name], graph.wires[name]
        key: object = name
        info = table.get(wire.op)
        if info is not None and info.effect == "pure" and numbers.keys() >= set(wire.sources):
            attributes = sorted((at, value.SerializeToString(deterministic=True)) for at, value in node.attr.items())
            outputs = [split(tensor)[1] for tensor in wire.data]
            inputs = [numbers[source] for source in wire.sources]
            if inputs or wire.op == "Const":
                key = (wire.op, *attributes, *outputs, *inputs)
        numbers[name] = known.setdefault(key, len(known))
    return numbers
