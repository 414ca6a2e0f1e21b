"""Stacks and TF 0.x TensorArrays: per-step resources behind a string handle become the V2 and V3 ops.

Both live in the step's own container (stack.cc, tensor_array_ops.cc), so they need no shared_name and stay in the
function that uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.rewrite import ops
from migrate.rewrite.graph import as_input, control_inputs, data_inputs
from migrate.rewrite.rule import Edit, Rule, Scope, constant, new_node, replaced, with_values
from migrate.sources.dtypes import dtype_value
from migrate.sources.protos import NodeDef

_INT32 = dtype_value("int32")


def _stack(node: NodeDef, scope: Scope) -> Edit:
    # V1 had no bound; a negative max_size is StackV2's way to say so. The constant must be in the stack's frame.
    size = constant(scope.unique(f"{node.name}/max_size"), -1, control_inputs(node))
    return Edit((size, replaced(node, "StackV2", [size.name])))


def _array(node: NodeDef, scope: Scope) -> Edit | None:
    return with_values(node, scope, "TensorArrayV3")


def _user(node: NodeDef, scope: Scope) -> Edit | None:
    return with_values(node, scope, ops.STEP_USERS[node.op], range(1))


def _grad(node: NodeDef, scope: Scope) -> Edit:
    # The handle comes as a plain string in V1, as a resource in V3.
    handle, flow = data_inputs(node)
    value, extra = scope.value(node, 1)
    del flow
    return Edit((*extra, replaced(node, "TensorArrayGradV3", [as_input(scope.handle(handle)), value])))


def _pack(node: NodeDef, scope: Scope) -> Edit:
    handle = as_input(scope.handle(data_inputs(node)[0]))
    flow, extra = scope.value(node, 1)
    size = new_node("TensorArraySizeV3", scope.unique(f"{node.name}/size"), [handle, flow])
    count = _range(node, scope, size.name)
    return Edit((*extra, size, *count, replaced(node, "TensorArrayGatherV3", [handle, count[-1].name, flow])))


def _unpack(node: NodeDef, scope: Scope) -> Edit:
    handle = as_input(scope.handle(data_inputs(node)[0]))
    value, extra = scope.value(node, 1)
    flow, more = scope.value(node, 2)
    shape = new_node("Shape", scope.unique(f"{node.name}/shape"), [value], out_type=_INT32)
    shape.attr["T"].CopyFrom(node.attr["T"])
    first = constant(scope.unique(f"{node.name}/first"), [0], [shape.name])
    size = constant(scope.unique(f"{node.name}/one"), [1], [shape.name])
    rows = new_node(
        "Slice", scope.unique(f"{node.name}/rows"), [shape.name, first.name, size.name], T=_INT32, Index=_INT32
    )
    scalar = constant(scope.unique(f"{node.name}/scalar"), [], [shape.name])
    count = new_node("Reshape", scope.unique(f"{node.name}/count"), [rows.name, scalar.name], T=_INT32, Tshape=_INT32)
    indices = _range(node, scope, count.name)
    scatter = replaced(node, "TensorArrayScatterV3", [handle, indices[-1].name, value, flow])
    return Edit((*extra, *more, shape, first, size, rows, scalar, count, *indices, scatter))


def _range(node: NodeDef, scope: Scope, limit: str) -> Sequence[NodeDef]:
    """Nodes for `range(limit)`; the constants wait for the limit so that they stand in its frame."""
    start = constant(scope.unique(f"{node.name}/start"), 0, [limit])
    delta = constant(scope.unique(f"{node.name}/delta"), 1, [limit])
    inputs = [start.name, limit, delta.name]
    return start, delta, new_node("Range", scope.unique(f"{node.name}/range"), inputs, Tidx=_INT32)


STACK = Rule(frozenset({"Stack"}), _stack)
ARRAY = Rule(frozenset({"TensorArray", "TensorArrayV2"}), _array)
USER = Rule(frozenset(ops.STEP_USERS), _user)
GRAD = Rule(frozenset({"TensorArrayGrad", "TensorArrayGradV2"}), _grad)
PACK = Rule(frozenset({"TensorArrayPack"}), _pack)
UNPACK = Rule(frozenset({"TensorArrayUnpack"}), _unpack)
