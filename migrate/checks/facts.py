"""What audit shows of a MetaGraphDef, whether or not it can be converted."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection

from migrate.graph import contract
from migrate.graph.dtypes import base_name
from migrate.graph.op_table import REF_VARIABLES
from migrate.graph.protos import MetaGraphDef
from migrate.records import MetaGraphFacts, VariableFacts

_CONTROL_FLOW = frozenset(
    {name for plain in ("Enter", "Exit", "Merge", "NextIteration", "Switch") for name in (plain, "Ref" + plain)}
    | {"LoopCond"}
)
_VARIABLES = REF_VARIABLES | {"VarHandleOp"}
_TABLES = frozenset(
    name + version
    for name in ("HashTable", "MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable")
    for version in ("", "V2")
)


def facts(meta_graph: MetaGraphDef, needed: Collection[str] | None) -> MetaGraphFacts:
    """Describes a MetaGraphDef.

    Args:
      meta_graph: the source.
      needed: names of the nodes that some signature or the init op runs; None where that is not known, because no plan
        was made.
    """
    nodes = meta_graph.graph_def.node[:]
    names = [sys.intern(node.op) for node in nodes]  # Read once: fields of protos are slow to read.
    if meta_graph.object_graph_def.nodes:
        variables = _of_objects(meta_graph)
    else:
        trainable = contract.trainable(meta_graph)
        variables = tuple(
            VariableFacts(
                node.name,
                base_name(node.attr["dtype"].type),
                contract.shape_of(node.attr["shape"].shape),
                op == "VarHandleOp",
                node.name in trainable,
                None if needed is None else node.name in needed,
            )
            for op, node in zip(names, nodes, strict=True)
            if op in _VARIABLES
        )
    ops = Counter(names)
    return MetaGraphFacts(
        tags=tuple(sorted(map(sys.intern, meta_graph.meta_info_def.tags))),
        tf_version=sys.intern(meta_graph.meta_info_def.tensorflow_version),
        nodes=len(nodes),
        # A report of thousands of models holds each name once.
        ops={sys.intern(op): count for op, count in sorted(ops.items())},
        signatures=contract.signatures(meta_graph),
        variables=variables,
        tables=tuple(node.name for op, node in zip(names, nodes, strict=True) if op in _TABLES),
        assets=tuple(file for _, file in contract.assets(meta_graph)),
        init_ops=contract.init_ops(meta_graph),
        control_flow_nodes=sum(count for op, count in ops.items() if op in _CONTROL_FLOW),
        functions=tuple(f.signature.name for f in meta_graph.graph_def.library.function),
    )


def _of_objects(meta_graph: MetaGraphDef) -> tuple[VariableFacts, ...]:
    """The variables of a TF2 SavedModel, which the object graph describes: its collections say nothing of them."""
    kinds = (node.variable for node in meta_graph.object_graph_def.nodes if node.WhichOneof("kind") == "variable")
    return tuple(
        VariableFacts(
            variable.name, base_name(variable.dtype), contract.shape_of(variable.shape), True, variable.trainable, True
        )
        for variable in kinds
    )
