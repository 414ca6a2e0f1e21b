"""Ref variables become resource variables; what wrote or read them follows."""

from __future__ import annotations

from migrate.graph.constant_numbers import numbers
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, attribute, data_inputs
from migrate.graph.op_table import REF_VARIABLES
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import identity, producer
from migrate.rewrite.new_nodes import DT_RESOURCE, Edit, new_node
from migrate.rewrite.op_facts import Gives, Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.rules.maybe_aliased import mixed
from migrate.rewrite.scope import Scope, with_twin, with_values

_FLOATS = frozenset({dtype_value("float16"), dtype_value("float32"), dtype_value("float64")})
"""Dtypes that have an infinity. A whole number that is divided by zero ends the process in TF1 as well."""


def _variable(node: NodeDef, scope: Scope) -> Edit:
    # VarHandleOp takes shared_name literally, where VariableV2 falls back on its own name.
    result = NodeDef(name=node.name, op="VarHandleOp", input=node.input, device=node.device)
    result.attr["dtype"].type = attribute(node, "dtype").type
    result.attr["shape"].CopyFrom(attribute(node, "shape"))
    result.attr["container"].s = attribute(node, "container").s
    result.attr["shared_name"].s = attribute(node, "shared_name").s or node.name.encode()
    root = identity(node)
    for writer in scope.aliases.writers.get(root, ()):
        if changes_shape(scope.aliases.run.graph.nodes[writer]):
            result.attr["shape"].shape.Clear()
            result.attr["shape"].shape.unknown_rank = True
    return Edit((result,))


def changes_shape(node: NodeDef) -> bool:
    """Whether a node is an Assign that may give its variable another shape."""
    return node.op == "Assign" and "validate_shape" in node.attr and not node.attr["validate_shape"].b


def _write(node: NodeDef, scope: Scope) -> Edit | Finding:
    if node.op == "ScatterDiv" and attribute(node, "T").type in _FLOATS and not _without_zeros(node, scope):
        return refusal(
            "scatter-div-by-zero",
            f"{scope.aliases.run.key}: ScatterDiv {node.name!r} may divide by zero, which gives infinity in TF1; "
            "TensorFlow 2's ResourceScatterDiv fails there",
            (node.name,),
            "export the model with an assignment of the quotient, or with divisors that are constants",
        )
    op = scope.op(node)
    edit = with_twin(node, scope)
    write = edit.nodes[-1]
    for old, new in op.renamed:
        write.attr[new].CopyFrom(write.attr[old])
        del write.attr[old]
    for name in op.dropped:
        if name in write.attr:
            del write.attr[name]
    if node.op == "Assign":
        write.attr["validate_shape"].b = not changes_shape(node)
    return Edit((*edit.nodes, scope.carrier(node, _handle(node, scope)))) if op.carried else edit


def _without_zeros(node: NodeDef, scope: Scope) -> bool:
    """Whether the divisors of a ScatterDiv of floats are a constant in which no zero is (resource_variable_ops.cc)."""
    made = scope.aliases.run.graph.nodes.get(producer(data_inputs(node)[2]))
    if made is None or made.op != "Const":
        return False
    divisors = numbers(attribute(made, "value").tensor)
    return divisors is not None and bool(divisors) and 0 not in divisors


def _strict(node: NodeDef, scope: Scope) -> Edit:
    edit = with_twin(node, scope)
    edit.nodes[-1].attr.pop("dtype", None)
    return edit


def _identity(node: NodeDef, scope: Scope) -> Edit | None:
    share = scope.share(data_inputs(node)[0])
    if share is not None and share.mixed:
        return mixed(node, scope)
    if share is None or not share.certain:
        return None
    handle = as_input(_handle(node, scope))
    if scope.aliases.is_written(share):
        return Edit((_on_handle(node, "Identity", [handle]),))
    result = NodeDef(name=node.name, op="ReadVariableOp", device=node.device)
    result.input.append(handle)
    result.input.extend(name for name in node.input if name.startswith("^"))
    result.attr["dtype"].type = share.dtype
    return Edit((result,))


def _reshape(node: NodeDef, scope: Scope) -> Edit | None:
    share = scope.share(data_inputs(node)[0])
    if share is not None and share.mixed:
        return mixed(node, scope)
    if share is None or not share.certain or not scope.aliases.is_written(share):
        return with_values(node, scope, node.op)
    # The reshaping happens after each read; here only the handle passes, when the node would have run.
    others = data_inputs(node)[1:]
    waits = [f"^{scope.followed(other).partition(':')[0]}" for other in others]
    result = _on_handle(node, "Identity", [as_input(_handle(node, scope)), *waits])
    return Edit((result,))


def _effect(node: NodeDef, scope: Scope) -> Edit | None:
    share = scope.share(data_inputs(node)[0])
    if share is not None and share.mixed:
        return mixed(node, scope)
    edit = with_values(node, scope, node.op)
    if edit is None or share is None or not share.certain or not scope.aliases.is_written(share):
        return edit
    return Edit((*edit.nodes, scope.carrier(node, _handle(node, scope))))


def _handle(node: NodeDef, scope: Scope) -> str:
    return scope.handle(data_inputs(node)[0])


def _on_handle(node: NodeDef, op: str, inputs: list[str]) -> NodeDef:
    result = new_node(op, node.name, inputs, T=DT_RESOURCE)
    result.device = node.device
    result.input.extend(name for name in node.input if name.startswith("^"))
    return result


_OPTIMIZERS = {
    "Adadelta": 3,
    "Adagrad": 2,
    "AdagradDA": 3,
    "AdagradV2": 2,
    "CenteredRMSProp": 4,
    "Ftrl": 3,
    "FtrlV2": 3,
    "Momentum": 2,
    "ProximalAdagrad": 2,
    "ProximalGradientDescent": 1,
    "RMSProp": 3,
}
"""Optimizers by name, each with how many variables an update writes; all have a form for sparse gradients."""
_DENSE_OPTIMIZERS = {"AdaMax": 3, "Adam": 3, "AddSign": 2, "GradientDescent": 1, "PowerSign": 2}
_ELEMENTWISE = frozenset({"ApplyGradientDescent", "ApplyProximalGradientDescent"})


def _written(twin: str, refs: int = 1, elementwise: bool = False) -> Op:
    """An op with the same arguments and attributes as its twin, which gives its first argument's ref."""
    return Op(twin, refs + 1, range(refs), gives=Gives.REF, carried=True, writes=True, elementwise=elementwise)


def _assigned(twin: str, elementwise: bool = False) -> Op:
    """One whose twin calls the dtype by another name, and has no use_locking: its kernels always lock."""
    return Op(
        twin,
        fewest=2,
        refs=range(1),
        gives=Gives.REF,
        carried=True,
        writes=True,
        elementwise=elementwise,
        renamed=(("T", "dtype"),),
        dropped=("use_locking",),
    )


VARIABLE = Rule(
    "variable",
    dict.fromkeys(sorted(REF_VARIABLES), Op("VarHandleOp", fewest=0, gives=Gives.VARIABLE)),
    _variable,
)
WRITE = Rule(
    "write",
    {
        "Assign": _assigned("AssignVariableOp", elementwise=True),
        "AssignAdd": _assigned("AssignAddVariableOp", elementwise=True),
        "AssignSub": _assigned("AssignSubVariableOp", elementwise=True),
        "CountUpTo": Op("ResourceCountUpTo", refs=range(1), writes=True),
        "StridedSliceAssign": _written("ResourceStridedSliceAssign"),
    }
    | {
        f"Scatter{name}": _assigned(f"ResourceScatter{name}")
        for name in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Update")
    }
    | {f"ScatterNd{name}": _written(f"ResourceScatterNd{name}") for name in ("Add", "Max", "Min", "Sub", "Update")}
    | {
        f"Apply{name}": _written(f"ResourceApply{name}", refs, f"Apply{name}" in _ELEMENTWISE)
        for name, refs in (_OPTIMIZERS | _DENSE_OPTIMIZERS).items()
    }
    | {f"SparseApply{name}": _written(f"ResourceSparseApply{name}", refs) for name, refs in _OPTIMIZERS.items()},
    _write,
    needs_refs=True,
)
"""Ops that write the variables behind their leading ref arguments."""
STRICT = Rule("strict", {"IsVariableInitialized": Op("VarIsInitializedOp", refs=range(1))}, _strict, needs_refs=True)
"""Ops that take a ref, write nothing and give no ref."""
IDENTITY = Rule(
    "identity",
    dict.fromkeys(
        ("GuaranteeConst", "Identity", "PlaceholderWithDefault", "PreventGradient", "StopGradient"),
        Op(gives=Gives.BUFFER),
    ),
    _identity,
    always=False,
)
"""Ops whose output is their input's buffer and nothing else (identity_op.cc, guarantee_const_op.cc)."""
RESHAPE = Rule(
    "reshape",
    dict.fromkeys(("Bitcast", "EnsureShape", "Squeeze"), Op(gives=Gives.RESHAPED))
    | dict.fromkeys(("ExpandDims", "Reshape"), Op(fewest=2, gives=Gives.RESHAPED)),
    _reshape,
    always=False,
)
"""Pure ops whose output is their first input's buffer under another shape or dtype (reshape_op.h, bitcast_op.cc)."""
EFFECT = Rule(
    "effect",
    dict.fromkeys(
        ("CheckNumerics", "CheckNumericsV2", "DebugGradientIdentity", "DebugIdentityV2", "Print"),
        Op(gives=Gives.BUFFER, carried=True),
    ),
    _effect,
    always=False,
)
"""Ops that look at their input when they run and give its buffer on (check_numerics_op.cc, logging_ops.cc)."""
