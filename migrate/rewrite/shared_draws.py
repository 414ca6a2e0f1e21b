"""Random ops with a seed that several signatures reach.

Such an op's kernel holds the sequence that it draws from. A v1 Session has one kernel for a node, whatever it fetches
(OpSegment, common_runtime/graph_mgr.cc and direct_session.cc), so that calls of two signatures draw from one sequence
in turn. In a TF2 SavedModel each signature is a function with a kernel of its own, which begins the sequence anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from migrate.checks.randomness import RANDOM_OPS
from migrate.frozen import frozen
from migrate.graph.graph import Graph
from migrate.graph.nodes import behind, callers_of, names_called
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.records import Finding, Severity

_SEEDS = ("seed", "seed2")


@frozen
class Drawn:
    """An output whose values come from a sequence that other signatures draw from, too.

    Attributes:
      signature: its signature's key.
      output: its name.
      node: name of the random op, or of the call that runs it.
    """

    signature: str
    output: str
    node: str


def shared_draws(
    graphs: Mapping[str, Graph], outputs: Mapping[str, Mapping[str, Sequence[str]]], functions: Sequence[FunctionDef]
) -> tuple[Drawn, ...]:
    """Finds such outputs.

    Args:
      graphs: the rewritten graph of each signature, by its key.
      outputs: full names of the tensors behind each output in that graph, by the signature's key and the output's name.
      functions: the library.
    """
    bodies = {function.signature.name: function.node_def for function in functions}
    seeded = [name for name, body in bodies.items() if any(map(_is_seeded, body))]
    drawing = callers_of(seeded, bodies) if seeded else frozenset[str]()
    found: dict[str, set[str]] = {}
    for key, graph in graphs.items():
        for name in _drawing(graph, drawing):
            found.setdefault(name, set()).add(key)
    shared = {name for name, keys in found.items() if len(keys) > 1}
    return tuple(
        Drawn(key, output, min(met))
        for key, graph in graphs.items()
        for output, tensors in outputs[key].items()
        if shared and (met := shared & behind(graph.nodes, tensors))
    )


def _is_seeded(node: NodeDef) -> bool:
    return node.op in RANDOM_OPS and any(key in node.attr and node.attr[key].i for key in _SEEDS)


def _drawing(graph: Graph, functions: Set[str]) -> Iterator[str]:
    """Names of the nodes that draw from a sequence of their own, or call a function in which one does."""
    for op, names in graph.by_op.items():
        for name in names if functions or op in RANDOM_OPS else ():
            node = graph.nodes[name]
            if _is_seeded(node) or not functions.isdisjoint(names_called(node)):
                yield name


def finding(drawn: Sequence[Drawn]) -> Finding | None:
    """One warning for all such outputs."""
    if not drawn:
        return None
    keys = ", ".join(dict.fromkeys(repr(d.signature) for d in drawn))
    nodes = tuple(dict.fromkeys(d.node for d in drawn))
    return Finding(
        "random-op-shared",
        Severity.WARNING,
        f"the signatures {keys} draw from one random sequence in TF1 ({nodes[0]!r} has a seed); in the new model each "
        "has a sequence of its own, from the same seed",
        nodes,
        "each signature is compared on its own; if the order of the numbers matters, export one signature alone",
    )
