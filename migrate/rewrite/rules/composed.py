"""Ops without a twin of the same form, put together from ops that functions take."""

from __future__ import annotations

from migrate.graph.control_flow_contexts import ENTERS, contexts
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, attribute, control_inputs, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import DT_RESOURCE, FLOAT, INT32, Edit, new_node, replaced
from migrate.rewrite.op_facts import EVERY, Gives, Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope, with_twin


def _ref_select(node: NodeDef, scope: Scope) -> Edit:
    """RefSelect gives the ref that its index names: one Switch an input, of which one is alive, and a Merge."""
    b = Builder(scope, node)
    index = b.value(0)
    alive = []
    for number, tensor in enumerate(data_inputs(node)[1:]):
        # In the frame of the index, wherever that is.
        label = b.constant(f"label_{number}", number, producer(index))
        chosen = b.Equal(index, label, name=f"is_{number}", T=INT32)
        switch = b.Switch(as_input(scope.handle(tensor)), chosen, name=f"switch_{number}", T=DT_RESOURCE)
        alive.append(f"{switch}:1")
    merge = replaced(node, "Merge", alive)
    merge.attr["T"].type = DT_RESOURCE
    return b.edit(merge)


def _shrink(node: NodeDef, scope: Scope) -> Edit:
    """Each weight becomes sign(w) * max(|w| - l1 / l2, 0) (sdca_ops.cc, Regularizations::EigenShrinkVector)."""
    waits = [f"^{name}" for name in control_inputs(node)]
    nodes: list[NodeDef] = []
    writes = []
    for number, tensor in enumerate(data_inputs(node)):
        b = Builder(scope, node, f"{node.name}/weight_{number}", T=FLOAT)
        handle = as_input(scope.handle(tensor))
        weight = b.ReadVariableOp(handle, *waits, name="read", dtype=FLOAT)
        less = b.constant("shrinkage", _ratio(attribute(node, "l1").f, attribute(node, "l2").f), weight)
        zero = b.constant("zero", 0.0, weight)
        size = b.Maximum(b.Sub(b.Abs(weight), less), zero, name="max")
        shrunk = b.Mul(b.Sign(weight), size)
        writes.append(b.AssignVariableOp(handle, shrunk, name="assign", dtype=FLOAT))
        nodes += b.nodes
    return Edit((*nodes, NodeDef(name=node.name, op="NoOp", input=[f"^{write}" for write in writes])))


def _ratio(l1: float, l2: float) -> float:
    import numpy as np  # Only here: the kernel divides in single precision.

    return float(np.float32(l1) / np.float32(l2))


def _fake_queue(node: NodeDef, scope: Scope) -> Edit:
    # It turns a resource into a string ref (fake_queue in data_flow_ops.cc); the users take the resource now.
    edit = with_twin(node, scope)
    edit.nodes[-1].attr["T"].type = DT_RESOURCE
    return edit


def _accumulate(node: NodeDef, scope: Scope) -> Edit:
    """AccumulateNV2 has no kernel: a v1 Session replaces it (accumulate_n_optimizer.cc), a loaded function does not.

    In a loop whose iterations run side by side it is AddN. Elsewhere a sum that begins with zeros: that of minus zeros
    alone is zero.
    """
    b = Builder(scope, node)
    dtype = attribute(node, "T").type
    taken = [b.value(position) for position in range(len(data_inputs(node)))]
    if dtype not in _SIGNED_ZEROS or _is_side_by_side(node, scope):
        made = replaced(node, "AddN", taken)
        made.attr.pop("shape", None)
        return b.edit(made)
    total = b.node("AddN", taken, name="sum", ints={"N": len(taken)}, T=dtype)
    zero = b.add(new_node("Const", b.name("zero"), [f"^{total}"], dtype=dtype))
    b.nodes[-1].attr["value"].tensor.dtype = dtype
    b.nodes[-1].attr["value"].tensor.tensor_shape.SetInParent()
    made = replaced(node, "AddV2", [total, zero])
    for key in ("N", "shape"):
        made.attr.pop(key, None)
    return b.edit(made)


_SIGNED_ZEROS = frozenset(
    dtype_value(name) for name in ("bfloat16", "complex128", "complex64", "float16", "float32", "float64")
)


def _is_side_by_side(node: NodeDef, scope: Scope) -> bool:
    """Whether a node is in a loop of which several iterations may run at once."""
    graph = scope.aliases.run.graph
    where = contexts(graph)
    frames = where[node.name].frames
    enters = [graph.nodes[name] for name in graph.named(ENTERS) if name in where and where[name].frames == frames]
    return bool(frames) and not any(attribute(enter, "parallel_iterations").i == 1 for enter in enters)


def _top_k(node: NodeDef, scope: Scope) -> Edit:
    # TopK has k as an attribute, TopKV2 as an input; one kernel class serves both (topk_op.cc).
    b = Builder(scope, node)
    value = b.value(0)
    result = replaced(node, "TopKV2", [value, b.constant("k", attribute(node, "k").i, producer(value))])
    result.attr.pop("k", None)
    return b.edit(result)


_WITHOUT_BATCH = (
    "Cholesky",
    "CholeskyGrad",
    "FFT",
    "FFT2D",
    "FFT3D",
    "IFFT",
    "IFFT2D",
    "IFFT3D",
    "MatrixBandPart",
    "MatrixDeterminant",
    "MatrixDiag",
    "MatrixDiagPart",
    "MatrixInverse",
    "MatrixSetDiag",
    "MatrixSolve",
    "MatrixSolveLs",
    "MatrixTriangularSolve",
    "SelfAdjointEigV2",
    "Svd",
)

REF_SELECT = Rule(
    "ref_select", {"RefSelect": Op(fewest=2, refs=range(1, EVERY), gives=Gives.EITHER)}, _ref_select, needs_refs=True
)
SHRINK = Rule(
    "shrink", {"SdcaShrinkL1": Op(fewest=0, refs=range(EVERY), writes=True, elementwise=True)}, _shrink, needs_refs=True
)
FAKE_QUEUE = Rule("fake_queue", {"FakeQueue": Op("Identity", gives=Gives.STEP_HANDLE)}, _fake_queue)
ACCUMULATE = Rule("accumulate", {"AccumulateNV2": Op("AddN")}, _accumulate)
RENAMED = Rule("renamed", {f"Batch{name}": Op(name) for name in _WITHOUT_BATCH}, with_twin)
"""Deprecated ops whose successors have the same arguments, attributes and kernels (linalg_ops.cc, array_ops.cc,
fft_ops.cc)."""
TOP_K = Rule("top_k", {"TopK": Op()}, _top_k)
