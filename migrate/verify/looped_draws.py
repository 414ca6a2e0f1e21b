"""Random ops with seeds in loops that run several of their steps at once. No TensorFlow.

Such an op's numbers belong to whichever step asks first. Nothing in the graph orders the steps, unless one needs the
number of the step before it, so what an output is made of differs from run to run, and from executor to executor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from migrate.graph.function_calls import LOOPS
from migrate.graph.nodes import behind, names_called, reachable
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.verify.seeds import has_seeds

LOOPED = "a random op of it is in a loop whose steps TensorFlow runs in any order"
"""Why no value of an output can be compared in plain calls."""
_ENTERS = frozenset({"Enter", "RefEnter"})
_DEFAULT, _ONE_BY_ONE = 10, 1
"""Of the attribute `parallel_iterations` (control_flow_ops.cc)."""


def looped_outputs(meta_graph: MetaGraphDef, outputs: Mapping[str, str], fed: Iterable[str]) -> frozenset[str]:
    """The outputs that such an op is behind.

    Args:
      meta_graph: the source.
      outputs: names of tensors by the names that answers have for them.
      fed: names of the tensors that a call gives.
    """
    given = {name.partition(":")[0] for name in fed}
    nodes = {node.name: node for node in meta_graph.graph_def.node if node.name not in given}
    bodies = {function.signature.name: function.node_def for function in meta_graph.graph_def.library.function}
    unordered = _unordered(nodes, bodies, frozenset())
    if not unordered:
        return frozenset()
    return frozenset(name for name, tensor in outputs.items() if unordered & behind(nodes, [tensor]))


def _unordered(
    nodes: Mapping[str, NodeDef], bodies: Mapping[str, Sequence[NodeDef]], around: frozenset[str]
) -> set[str]:
    """The nodes of a graph, or of a function's body, that draw in a loop, or call what does."""
    found = {name for name, node in nodes.items() if _holds_loop(node, bodies, around)}
    enters = [name for name, node in nodes.items() if node.op in _ENTERS and _is_parallel(node)]
    drawing = [name for name, node in nodes.items() if _draws(node, bodies, around)] if enters else []
    if not drawing:
        return found
    takers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for taken in node.input:
            takers.setdefault(taken.lstrip("^").partition(":")[0], []).append(name)

    def within(name: str) -> Iterable[str] | None:
        # A loop ends behind its Exit.
        return takers.get(name, ()) if name in nodes and nodes[name].op != "Exit" else ()

    inside = reachable(enters, within)
    for name in drawing:
        if name in inside and name not in reachable(takers.get(name, ()), within):
            found.add(name)
    return found


def _holds_loop(node: NodeDef, bodies: Mapping[str, Sequence[NodeDef]], around: frozenset[str]) -> bool:
    """Whether a node runs a function that draws in a loop of its own, or is a loop itself whose body draws."""
    called = [name for name in names_called(node) if name in bodies and name not in around]
    if node.op in LOOPS and _is_parallel(node) and any(_body_draws(name, bodies, around) for name in called):
        return True
    return any(_unordered({n.name: n for n in bodies[name]}, bodies, around | {name}) for name in called)


def _draws(node: NodeDef, bodies: Mapping[str, Sequence[NodeDef]], around: frozenset[str]) -> bool:
    if has_seeds(node):
        return True
    return any(_body_draws(name, bodies, around) for name in names_called(node) if name in bodies)


def _body_draws(name: str, bodies: Mapping[str, Sequence[NodeDef]], around: frozenset[str]) -> bool:
    return name not in around and any(_draws(node, bodies, around | {name}) for node in bodies[name])


def _is_parallel(node: NodeDef) -> bool:
    given = node.attr["parallel_iterations"].i if "parallel_iterations" in node.attr else _DEFAULT
    return bool(given != _ONE_BY_ONE)
