"""Whether calls of a graph change nothing, so that each call answers the same whatever was called before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.graph import contract
from migrate.graph.nodes import behind, called_functions, nodes_by_name
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef, NodeDef, SignatureDef

_READS = frozenset(
    {
        # Handles, and what reads a variable (core/kernels/resource_variable_ops.cc, variable_ops.cc).
        *("VarHandleOp", "Variable", "VariableV2", "ReadVariableOp", "ResourceGather", "ResourceGatherNd"),
        *("VarIsInitializedOp", "IsVariableInitialized", "VariableShape"),
        # The same of a table (core/kernels/lookup_table_op.cc).
        *("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors"),
        *("MutableHashTableOfTensorsV2", "MutableDenseHashTable", "MutableDenseHashTableV2"),
        *("LookupTableFind", "LookupTableFindV2", "LookupTableSize", "LookupTableSizeV2"),
    }
)
"""Ops that read state and change none, beside those that the op table calls pure."""

_ONE_CALL = ("TensorArray", "Stack")
"""What the names of ops begin with whose state ends with the call that made it (ScopedStepContainer)."""


def is_pure(meta_graph: MetaGraphDef, targets: Iterable[str]) -> bool:
    """Whether computing some tensors changes nothing that outlives the call, and draws nothing.

    An op that is not known to be so is taken for one that does, and so is a graph of more than 2 GB, which is not read.

    Args:
      meta_graph: with the graph and its functions.
      targets: names of the tensors.
    """
    nodes = nodes_by_name(meta_graph)
    reached = [nodes[name] for name in behind(nodes, targets)]
    bodies = {function.signature.name: function.node_def for function in meta_graph.graph_def.library.function}
    called = called_functions(reached, bodies)
    return all(_is_pure(node, bodies) for part in (reached, *(bodies[name] for name in called)) for node in part)


def _is_pure(node: NodeDef, bodies: Iterable[str]) -> bool:
    if node.op in bodies:  # The call of a function by its name; its nodes are judged by themselves.
        return True
    info = load_op_table().get(node.op)
    if info is None:
        return False
    if info.effect == "state":
        return node.op in _READS or node.op.startswith(_ONE_CALL)
    return info.effect in ("pure", "calls") and not info.writes


def has_initialisation(meta_graph: MetaGraphDef) -> bool:
    """Whether loading a graph runs more than the restore op, and ops that do nothing."""
    targets = contract.init_ops(meta_graph)
    return bool(targets) and _does_something(nodes_by_name(meta_graph), targets)


def _does_something(nodes: Mapping[str, NodeDef], targets: Sequence[str]) -> bool:
    return any(name not in nodes for name in targets) or any(nodes[n].op != "NoOp" for n in behind(nodes, targets))


_RESOURCES = "resource"
"""The kind of objects that loading makes and fills by functions of the model (saved_object_graph.proto)."""


def answers_alike(meta_graph: MetaGraphDef) -> bool:
    """Whether a TF2 SavedModel that is loaded once answers what one that is loaded for each call answers.

    That is: no signature changes anything, and loading restores variables and does no more.

    Args:
      meta_graph: of the model.
    """
    nodes = nodes_by_name(meta_graph)
    for key, signature in meta_graph.signature_def.items():
        if key not in contract.RESERVED_KEYS and not is_pure(meta_graph, _tensors(signature)):
            return False
    if _does_something(nodes, contract.init_ops(meta_graph)):
        return False
    return not any(node.HasField(_RESOURCES) for node in meta_graph.object_graph_def.nodes)


def _tensors(signature: SignatureDef) -> Iterator[str]:
    for info in signature.outputs.values():
        yield from filter(None, contract.tensor_names(info))
