"""Restores the variables of a graph without a restore op, as `tf.train.Saver()` on the imported graph does."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from migrate.frozen import frozen
from migrate.graph.graph import attribute
from migrate.graph.op_table import REF_VARIABLES
from migrate.graph.protos import MetaGraphDef, NodeDef, VariableDef

_PREFIX = "migrate_restores"
_DT_STRING = 7


@frozen
class Restore:
    """What restores one variable.

    Attributes:
      op: name of the node that is run.
      prefix: full name of the tensor that is fed with the checkpoint's prefix.
    """

    op: str
    prefix: str


def add_restore_ops(meta_graph: MetaGraphDef) -> tuple[Restore, ...]:
    """Adds a restore op for each variable that the collection `variables` lists; each may be missing in a checkpoint.

    Args:
      meta_graph: with the graph; it is changed.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    found: list[Restore] = []
    for definition in _definitions(meta_graph):
        node = nodes.get(definition.variable_name.partition(":")[0])
        if node is not None and (node.op in REF_VARIABLES or node.op == "VarHandleOp"):
            found.append(_restore(meta_graph, f"{_PREFIX}_{len(found)}", node, definition))
    return tuple(found)


def _definitions(meta_graph: MetaGraphDef) -> Iterator[VariableDef]:
    if "variables" not in meta_graph.collection_def:
        return
    for serialized in meta_graph.collection_def["variables"].bytes_list.value:
        try:
            yield VariableDef.FromString(serialized)
        except DecodeError:
            continue  # `checks.tolerated` tells of it.


def _restore(meta_graph: MetaGraphDef, name: str, node: NodeDef, definition: VariableDef) -> Restore:
    graph = meta_graph.graph_def
    key, place = definition.variable_name.partition(":")[0], ""
    part = definition.save_slice_info_def
    if part.full_name:
        # The text of variables.py, Variable.SaveSliceInfo.spec.
        bounds = ":".join(f"{start},{size}" for start, size in zip(part.var_offset, part.var_shape, strict=False))
        key, place = part.full_name, f"{' '.join(map(str, part.full_shape))} {bounds}"
    dtype = attribute(node, "dtype").type
    prefix = graph.node.add(name=f"{name}_prefix", op="Placeholder")
    prefix.attr["dtype"].type = _DT_STRING
    for suffix, value in (("names", key), ("slices", place)):
        constant = graph.node.add(name=f"{name}_{suffix}", op="Const")
        constant.attr["dtype"].type = _DT_STRING
        tensor = constant.attr["value"].tensor
        tensor.dtype = _DT_STRING
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(value.encode())
    value = graph.node.add(
        name=f"{name}_value", op="RestoreV2", input=[f"{name}_prefix", f"{name}_names", f"{name}_slices"]
    )
    value.attr["dtypes"].list.type.append(dtype)
    assign = graph.node.add(name=name, input=[node.name, value.name])
    if node.op == "VarHandleOp":
        assign.op = "AssignVariableOp"
        assign.attr["dtype"].type = dtype
    else:
        assign.op = "Assign"
        assign.attr["T"].type = dtype
        assign.attr["validate_shape"].b = False
    return Restore(name, f"{prefix.name}:0")
