"""Ops without a twin of the same form, put together from ops that functions take."""

from __future__ import annotations

from migrate.graph.graph import as_input, attribute, control_inputs, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import DT_RESOURCE, FLOAT, INT32, Edit, replaced
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
    # AccumulateNV2 has no kernel: a v1 Session replaces it (accumulate_n_optimizer.cc), a loaded function does not.
    edit = with_twin(node, scope)
    edit.nodes[-1].attr.pop("shape", None)
    return edit


def _top_k(node: NodeDef, scope: Scope) -> Edit:
    # TopK has k as an attribute, TopKV2 as an input; one kernel class serves both (topk_op.cc).
    b = Builder(scope, node)
    value = b.value(0)
    result = replaced(node, "TopKV2", [value, b.constant("k", attribute(node, "k").i, producer(value))])
    result.attr.pop("k", None)
    return b.edit(result)


_LINEAR_ALGEBRA = (
    "Cholesky",
    "CholeskyGrad",
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
RENAMED = Rule("renamed", {f"Batch{name}": Op(name) for name in _LINEAR_ALGEBRA}, with_twin)
"""Deprecated ops whose successors have the same arguments, attributes and kernels (linalg_ops.cc, array_ops.cc)."""
TOP_K = Rule("top_k", {"TopK": Op()}, _top_k)
