"""Which nodes of a graph the calls have executed, by what a Session says of each run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from migrate.frozen import frozen
from migrate.graph.function_calls import BRANCHES, PARTITIONED
from migrate.graph.graph import canonical
from migrate.graph.nodes import read_nodes
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import MOST_NEVER, Coverage, Signature
from migrate.verify.sessions import fetches_of


@frozen
class Trace:
    """What one run has executed.

    Attributes:
      nodes: names of the nodes.
      work: how much it has cost, in values that were computed; the same for the same call in every process.
    """

    nodes: frozenset[str] = frozenset()
    work: int = 0


PRODUCTS = ("MatMul", "Conv", "DepthwiseConv", "BatchMatMul", "Einsum")
"""What the names of ops begin with whose values are sums of products."""
PRODUCT_WORK = 200
"""What a value of a product costs, in values that are computed one by one."""
NODE_WORK = 500
"""What it costs to run a node, in values."""


def trace_of(step_stats: Any, ops: Mapping[str, str]) -> Trace:
    """Reads a StepStats proto.

    Args:
      step_stats: of a run with a trace.
      ops: the graph's ops by name of the node.
    """
    nodes = set()
    work = 0
    for device in step_stats.dev_stats:
        for stats in device.node_stats:
            nodes.add(stats.node_name)
            shapes = (output.tensor_description.shape.dim for output in stats.output)
            values = sum(math.prod(dim.size for dim in dims) for dims in shapes)
            is_product = ops.get(stats.node_name, "").startswith(PRODUCTS)
            work += values * (PRODUCT_WORK if is_product else 1) + NODE_WORK
    return Trace(frozenset(nodes), work)


_QUIET = frozenset({"Placeholder", "PlaceholderV2", "NoOp", *BRANCHES, *PARTITIONED})
"""Ops of which a Session says nothing; what a function does is counted, and not its call."""


@frozen
class Needed:
    """The nodes that calls run.

    Attributes:
      by_signature: names of the nodes of the main graph, by a signature's key.
      functions: those of the functions that they call: names of nodes by name of the function.
      keeps_state: keys of the signatures whose calls may change what a later call sees.
    """

    by_signature: Mapping[str, frozenset[str]]
    functions: Mapping[str, frozenset[str]]
    keeps_state: frozenset[str]


def needed_nodes(meta_graph: MetaGraphDef, signatures: Iterable[Signature]) -> Needed:
    """What calls of some signatures run."""
    nodes = read_nodes(meta_graph)
    library = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    found = {}
    called: set[str] = set()
    stateful = set()
    for signature in signatures:
        fed = {canonical(tensor) for spec in signature.inputs.values() for tensor in spec.tensors}
        fetches = [canonical(tensor) for tensor in fetches_of(signature.outputs).values()]
        names = list(nodes.needed(fed, fetches))
        functions = _called((nodes[name] for name in names), library)
        called |= functions
        ops = {nodes.wire(name).op for name in names} | {n.op for f in functions for n in library[f].node_def}
        if keeps_state(ops - library.keys()):
            stateful.add(signature.key)
        found[signature.key] = frozenset(name for name in names if nodes.wire(name).op not in _QUIET)
    bodies = {name: frozenset(n.name for n in library[name].node_def if n.op not in _QUIET) for name in called}
    return Needed(found, bodies, frozenset(stateful))


def _called(nodes: Iterable[NodeDef], library: Mapping[str, FunctionDef]) -> set[str]:
    """The functions that nodes call, and those that these call."""
    found: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        names = [node.op, *(attr.func.name for attr in node.attr.values() if attr.HasField("func"))]
        names += [f.name for attr in node.attr.values() for f in attr.list.func]
        for name in names:
            if name in library and name not in found:
                found.add(name)
                stack += library[name].node_def
    return found


def keeps_state(ops: Iterable[str]) -> bool:
    """Whether some op may change what a later call sees; one that no table knows may."""
    table = load_op_table()
    # A TensorArray or a Stack of v1 control flow lives for one call.
    return any(
        op not in table or (bool(table[op].writes) and not op.startswith(("TensorArray", "Stack"))) for op in ops
    )


def coverage_of(needed: Needed, executed: Mapping[str, Set[str]]) -> Coverage:
    """Sums up what calls have executed.

    Args:
      needed: what they need.
      executed: names of the nodes that they have executed, by the key of their signature.
    """
    wanted: set[str] = set()
    reached: set[str] = set()
    for key, names in needed.by_signature.items():
        wanted |= names
        reached |= names & executed.get(key, frozenset())
    # TensorFlow puts the nodes of a function among others, under a longer name.
    parts = {part for names in executed.values() for name in names for part in _endings(name)}
    for function, names in needed.functions.items():
        wanted |= {f"{function}/{name}" for name in names}
        reached |= {f"{function}/{name}" for name in names if name in parts or f"{name}_0" in parts}
    return Coverage(len(wanted), len(reached), tuple(sorted(wanted - reached)[:MOST_NEVER]))


def _endings(name: str) -> Iterator[str]:
    """The name, and what is left of it without the first part, the first two parts, and so on."""
    parts = name.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])
