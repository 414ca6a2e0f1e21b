"""Stacks and TF 0.x TensorArrays: per-step resources behind a string handle become the V2 and V3 ops.

Both live in the step's own container (stack.cc, tensor_array_ops.cc), so they need no shared_name and stay in the
function that uses them.
"""

from __future__ import annotations

from migrate.graph.graph import as_input, attribute, control_inputs, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import INT32, Edit, replaced
from migrate.rewrite.op_facts import Gives, Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope, with_twin


def _stack(node: NodeDef, scope: Scope) -> Edit:
    b = Builder(scope, node)
    # V1 had no bound; a negative max_size is StackV2's way to say so. The constant must be in the stack's frame.
    return b.edit(replaced(node, "StackV2", [b.constant("max_size", -1, *control_inputs(node))]))


def _grad(node: NodeDef, scope: Scope) -> Edit:
    # The handle comes as a plain string in V1, as a resource in V3.
    b = Builder(scope, node)
    return b.edit(replaced(node, "TensorArrayGradV3", [_handle(node, scope), b.value(1)]))


def _pack(node: NodeDef, scope: Scope) -> Edit:
    b = Builder(scope, node)
    handle, flow = _handle(node, scope), b.value(1)
    size = b.TensorArraySizeV3(handle, flow, name="size")
    return b.edit(replaced(node, "TensorArrayGatherV3", [handle, _range(b, size), flow]))


def _unpack(node: NodeDef, scope: Scope) -> Edit:
    b = Builder(scope, node)
    handle, value, flow = _handle(node, scope), b.value(1), b.value(2)
    shape = b.Shape(value, T=attribute(node, "T").type, out_type=INT32)
    first, one = b.constant("first", [0], shape), b.constant("one", [1], shape)
    rows = b.Slice(shape, first, one, name="rows", T=INT32, Index=INT32)
    count = b.Reshape(rows, b.constant("scalar", [], shape), name="count", T=INT32, Tshape=INT32)
    return b.edit(replaced(node, "TensorArrayScatterV3", [handle, _range(b, count), value, flow]))


def _handle(node: NodeDef, scope: Scope) -> str:
    return as_input(scope.handle(data_inputs(node)[0]))


def _range(b: Builder, limit: str) -> str:
    """`range(limit)`; the constants wait for the limit so that they are in its frame."""
    start, delta = b.constant("start", 0, limit), b.constant("delta", 1, limit)
    return b.Range(start, limit, delta, Tidx=INT32)


_USED = ("Close", "Concat", "Gather", "Read", "Scatter", "Size", "Split", "Write")
_FIRST = range(1)

STACK = Rule("stack", {"Stack": Op(fewest=0, gives=Gives.STEP_HANDLE)}, _stack)
ARRAY = Rule(
    "array",
    # The V2 TensorArray (TF 0.12) gives a plain string; functions refuse it as deprecated, so it becomes V3, too.
    dict.fromkeys(("TensorArray", "TensorArrayV2"), Op("TensorArrayV3", fewest=0, gives=Gives.STEP_HANDLE)),
    with_twin,
)
USER = Rule(
    "array_user",
    {name: Op(f"{name}V2", refs=_FIRST) for name in ("StackClose", "StackPop", "StackPush")}
    | {f"TensorArray{name}{v}": Op(f"TensorArray{name}V3", refs=_FIRST) for name in _USED for v in ("", "V2")},
    with_twin,
)
GRAD = Rule(
    "array_grad",
    dict.fromkeys(("TensorArrayGrad", "TensorArrayGradV2"), Op(fewest=2, refs=_FIRST, gives=Gives.STEP_HANDLE)),
    _grad,
)
PACK = Rule("array_pack", {"TensorArrayPack": Op(fewest=2, refs=_FIRST)}, _pack)
UNPACK = Rule("array_unpack", {"TensorArrayUnpack": Op(fewest=3, refs=_FIRST)}, _unpack)
