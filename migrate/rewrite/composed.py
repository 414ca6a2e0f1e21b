"""Ops without a twin of the same form, put together from ops that functions take."""

from __future__ import annotations

from migrate.records import Finding
from migrate.rewrite import ops
from migrate.rewrite.aliases import producer
from migrate.rewrite.graph import as_input, data_inputs
from migrate.rewrite.rule import DT_RESOURCE, Edit, Rule, Scope, constant, new_node, not_a_ref, replaced, with_values
from migrate.sources.dtypes import dtype_value
from migrate.sources.protos import NodeDef

_INT32 = dtype_value("int32")
_FLOAT = dtype_value("float32")


def _ref_select(node: NodeDef, scope: Scope) -> Edit | Finding:
    """RefSelect gives the ref that its index names: one Switch an input, of which one is alive, and a Merge."""
    refs = data_inputs(node)[1:]
    problem = not_a_ref(node, scope, range(1, len(refs) + 1))
    if problem is not None:
        return problem
    index, extra = scope.value(node, 0)
    nodes = list(extra)
    alive = []
    for number, tensor in enumerate(refs):
        # In the frame of the index, wherever that is.
        label = constant(scope.unique(f"{node.name}/label_{number}"), number, [producer(index)])
        chosen = new_node("Equal", scope.unique(f"{node.name}/is_{number}"), [index, label.name], T=_INT32)
        switch = new_node(
            "Switch",
            scope.unique(f"{node.name}/switch_{number}"),
            [as_input(scope.handle(tensor)), chosen.name],
            T=DT_RESOURCE,
        )
        nodes += [label, chosen, switch]
        alive.append(f"{switch.name}:1")
    merge = replaced(node, "Merge", alive)
    merge.attr["T"].type = DT_RESOURCE
    return Edit((*nodes, merge))


def _shrink(node: NodeDef, scope: Scope) -> Edit | Finding:
    """Each weight becomes sign(w) * max(|w| - l1 / l2, 0) (sdca_ops.cc, Regularizations::EigenShrinkVector)."""
    refs = data_inputs(node)
    problem = not_a_ref(node, scope, range(len(refs)))
    if problem is not None:
        return problem
    waits = [name for name in node.input if name.startswith("^")]
    nodes = []
    for number, tensor in enumerate(refs):
        handle = as_input(scope.handle(tensor))
        prefix = f"{node.name}/weight_{number}"
        read = new_node("ReadVariableOp", scope.unique(f"{prefix}/read"), [handle, *waits], dtype=_FLOAT)
        shrinkage = constant(
            scope.unique(f"{prefix}/shrinkage"), float(_ratio(node.attr["l1"].f, node.attr["l2"].f)), [read.name]
        )
        zero = constant(scope.unique(f"{prefix}/zero"), 0.0, [read.name])
        size = new_node("Abs", scope.unique(f"{prefix}/abs"), [read.name], T=_FLOAT)
        less = new_node("Sub", scope.unique(f"{prefix}/sub"), [size.name, shrinkage.name], T=_FLOAT)
        positive = new_node("Maximum", scope.unique(f"{prefix}/max"), [less.name, zero.name], T=_FLOAT)
        sign = new_node("Sign", scope.unique(f"{prefix}/sign"), [read.name], T=_FLOAT)
        value = new_node("Mul", scope.unique(f"{prefix}/mul"), [sign.name, positive.name], T=_FLOAT)
        write = new_node("AssignVariableOp", scope.unique(f"{prefix}/assign"), [handle, value.name], dtype=_FLOAT)
        nodes += [read, shrinkage, zero, size, less, positive, sign, value, write]
    done = NodeDef(name=node.name, op="NoOp", input=[f"^{n.name}" for n in nodes if n.op == "AssignVariableOp"])
    return Edit((*nodes, done))


def _ratio(l1: float, l2: float) -> float:
    import numpy as np  # Only here: the kernel divides in single precision.

    return float(np.float32(l1) / np.float32(l2))


def _fake_queue(node: NodeDef, scope: Scope) -> Edit | None:
    # It turns a resource into a string ref (fake_queue in data_flow_ops.cc); the users take the resource now.
    edit = with_values(node, scope, "Identity")
    assert edit is not None  # The op changes.
    edit.nodes[-1].attr["T"].type = DT_RESOURCE
    return edit


def _accumulate(node: NodeDef, scope: Scope) -> Edit:
    # AccumulateNV2 has no kernel: a v1 Session replaces it (accumulate_n_optimizer.cc), a loaded function does not.
    edit = with_values(node, scope, "AddN")
    assert edit is not None  # The op changes.
    edit.nodes[-1].attr.pop("shape", None)
    return edit


def _renamed(node: NodeDef, scope: Scope) -> Edit | None:
    return with_values(node, scope, ops.RENAMED[node.op])


def _top_k(node: NodeDef, scope: Scope) -> Edit:
    # TopK has k as an attribute, TopKV2 as an input; one kernel class serves both (topk_op.cc).
    value, extra = scope.value(node, 0)
    k = constant(scope.unique(f"{node.name}/k"), node.attr["k"].i, [producer(value)])
    result = replaced(node, "TopKV2", [value, k.name])
    del result.attr["k"]
    return Edit((*extra, k, result))


REF_SELECT = Rule(frozenset({"RefSelect"}), _ref_select)
SHRINK = Rule(frozenset({"SdcaShrinkL1"}), _shrink)
FAKE_QUEUE = Rule(frozenset({"FakeQueue"}), _fake_queue)
ACCUMULATE = Rule(frozenset({"AccumulateNV2"}), _accumulate)
RENAMED = Rule(frozenset(ops.RENAMED), _renamed)
TOP_K = Rule(frozenset({"TopK"}), _top_k)
