"""Initialisers that a training graph lists beside its tables', and that no signature needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.checks.effects import HARMLESS, effect_of
from migrate.graph import contract
from migrate.graph.nodes import behind, nodes_by_name
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef, NodeDef, copied
from migrate.records import Finding, Severity


def leave_out_initializers(meta_graph: MetaGraphDef) -> tuple[MetaGraphDef, tuple[Finding, ...]]:
    """Leaves out of the collection of table initialisers what has effects and prepares nothing that a signature uses.

    No loader runs that collection; clients run it for the sake of what they call. An input pipeline's iterator is such:
    it reads the training data.

    Args:
      meta_graph: the source; it is not changed.

    Returns:
      The MetaGraphDef to go on with, and a note for each initialiser that was left out.
    """
    if contract.init_key(meta_graph) != contract.TABLES_KEY:
        return meta_graph, ()
    nodes = nodes_by_name(meta_graph)
    parts = {name: behind(nodes, [name]) for name in contract.init_ops(meta_graph)}
    parts = {
        name: part for name, part in parts.items() if any(effect_of(nodes[other]) not in HARMLESS for other in part)
    }
    if not parts:
        return meta_graph, ()
    outputs = [t for s in contract.signatures(meta_graph) for spec in s.outputs.values() for t in spec.tensors]
    needed = behind(nodes, outputs)
    left_out = [name for name, part in parts.items() if needed.isdisjoint(_stateful(nodes, part))]
    if not left_out:
        return meta_graph, ()
    result = copied(meta_graph)
    names = result.collection_def[contract.TABLES_KEY].node_list
    names.value[:] = [name for name in names.value if name.partition(":")[0] not in left_out]
    return result, tuple(
        Finding(
            "initializer-left-out",
            Severity.NOTE,
            f"the initializer {name!r} prepares nothing that a signature uses and has effects outside the process, so "
            "it is left out",
            (name,),
        )
        for name in left_out
    )


def _stateful(nodes: Mapping[str, NodeDef], names: Iterable[str]) -> set[str]:
    """Those of some nodes that make or change state; of an op that nobody knows, one may."""
    table = load_op_table()
    return {name for name in names if nodes[name].op not in table or table[nodes[name].op].is_stateful}
