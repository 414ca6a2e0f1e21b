"""Frozen graphs in which ops still write or pass on what were variables.

TF1's freezer (graph_util_impl.py, convert_variables_to_constants) puts a Const in the place of each variable and an
Identity in the place of each ReadVariableOp. It leaves what else took the variable: AssignSub and RefSwitch of a batch
normalisation that was frozen while it trained, a Switch that passes a handle into a branch. No TensorFlow imports such
a graph ("was passed float ... incompatible with expected float_ref"). What it means is what the graph meant before:
such a Const is a variable again here, which starts with the frozen value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.errors import counted, first_few
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.graph import Nodes, data_inputs, split, unique_name
from migrate.graph.nodes import behind
from migrate.graph.output_dtypes import functions_of, output_dtypes
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto, copied
from migrate.records import Finding, Severity, refusal
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity

_RESOURCE = dtype_value("resource")
_REFS = frozenset({*ops.WRITES, *ops.REF_CONTROL_FLOW, *ops.STRICT_REFS, "RefSelect", "SdcaShrinkL1"})
_PASSES = frozenset({*ops.CONTROL_FLOW, "Identity"})
_WRITES = {twin: len(ops.OPS[op].refs) for op, twin in ops.WRITES.items()}
_HANDLES = {
    **_WRITES,
    **dict.fromkeys(("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarIsInitializedOp", "VariableShape"), 1),
}
"""Ops that take variables' handles first, with how many."""
_USERS = frozenset({*_REFS, *_HANDLES, *_PASSES})


@frozen
class Repaired:
    """A MetaGraphDef in which constants that are used as variables are variables.

    Attributes:
      meta_graph: the source itself where there are none.
      values: what each variable starts with, by identity.
      findings: what was done, or why it cannot be.
    """

    meta_graph: MetaGraphDef
    values: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def repair(meta_graph: MetaGraphDef, nodes: Nodes) -> Repaired:
    """Makes variables of the constants that what the signatures run uses as variables.

    Args:
      meta_graph: the source; it is not changed.
      nodes: its nodes.
    """
    users = [
        nodes[name]
        for op, names in nodes.by_op.items()
        if op in _USERS
        for name in names
        if _wants_variables(nodes[name])
    ]
    if not any(_is_suspect(nodes, user, tensor) for user in users for tensor in _wanted(user)):
        return Repaired(meta_graph)
    outputs = [t for s in contract.signatures(meta_graph) for spec in s.outputs.values() for t in spec.tensors]
    needed = behind(nodes, (*outputs, *contract.init_ops(meta_graph)))
    left_out = [user for user in users if user.name not in needed and _writes_a_constant(nodes, user)]
    findings = [_left_out(left_out)] if left_out else []
    return _repaired(meta_graph, _with_handles(nodes, [u for u in users if u.name in needed]), needed, findings)


def _repaired(
    meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef], needed: Collection[str], findings: Sequence[Finding]
) -> Repaired:
    users = [node for name, node in nodes.items() if name in needed and _wants_variables(node)]
    as_ref, as_handle = _roots(nodes, users, is_ref=True), _roots(nodes, users, is_ref=False)
    problems = [
        *_unclear(nodes, as_ref.keys() & as_handle.keys()),
        *_no_handles(meta_graph, nodes, as_handle),
    ]
    if problems:
        return Repaired(meta_graph, {}, tuple(problems))
    roots = [name for name, node in nodes.items() if node.op == "Const" and (name in as_ref or name in as_handle)]
    if not roots:
        return Repaired(meta_graph, {}, tuple(findings))
    refs = {name for name in roots if name in as_ref}
    shared = {identity(node) for node in nodes.values() if _is_variable(node)}
    variables = {name: _variable(nodes[name], name in refs, shared) for name in roots}
    made = {**variables, **_reads(nodes, set(roots) - refs, needed)}
    result = copied(meta_graph)
    del result.graph_def.node[:]
    result.graph_def.node.extend(made.get(name, node) for name, node in nodes.items())
    result.graph_def.node.extend(node for name, node in made.items() if name not in nodes)
    values = {identity(node): nodes[name].attr["value"].tensor for name, node in variables.items()}
    return Repaired(result, values, (_told(roots, users), *findings))


def with_values(repaired: Repaired) -> MetaGraphDef:
    """The MetaGraphDef whose init op gives the variables their values: what a v1 Session can be asked."""
    result = copied(repaired.meta_graph)
    nodes = result.graph_def.node
    taken = {node.name for node in nodes}
    assigns = []
    for node in [node for node in nodes if _is_variable(node) and identity(node) in repaired.values]:
        value = nodes.add(name=unique_name(f"{node.name}/frozen", taken), op="Const")
        value.attr["value"].tensor.CopyFrom(repaired.values[identity(node)])
        value.attr["dtype"].type = value.attr["value"].tensor.dtype
        assign = nodes.add(name=unique_name(f"{node.name}/thaw", taken), input=[node.name, value.name])
        assign.op = "AssignVariableOp" if node.op == "VarHandleOp" else "Assign"
        assign.attr["dtype" if node.op == "VarHandleOp" else "T"].type = value.attr["dtype"].type
        assigns.append(assign.name)
    init = contract.init_ops(result)[:1]
    first = next((node for node in nodes if node.name in init), None)
    if first is not None:
        first.input.extend(f"^{name}" for name in assigns)
    else:
        result.collection_def[contract.TABLES_KEY].node_list.value.extend(assigns)
    return result


def _is_variable(node: NodeDef) -> bool:
    return node.op in ops.VARIABLES or node.op == "VarHandleOp"


def _wants_variables(node: NodeDef) -> bool:
    op = node.op
    return op in _REFS or op in _HANDLES or (op in _PASSES and "T" in node.attr and node.attr["T"].type == _RESOURCE)


def _wanted(node: NodeDef) -> list[str]:
    """The tensors that a node takes as variables, refs or handles, if it does."""
    taken = data_inputs(node)
    if node.op in _REFS:
        return [taken[p] for p in ops.OPS[node.op].taken(len(taken))]
    if node.op in _HANDLES:
        return taken[: _HANDLES[node.op]]
    return taken if node.op == "Merge" else taken[:1]


_GIVERS = frozenset(
    {
        *ops.VARIABLES, "VarHandleOp", *_REFS, *_PASSES - {"Identity"}, *ops.NAMED_RESOURCES, *ops.HANDLES,
        *ops.OTHER_HANDLES, "StackV2", "TensorArrayGradV3", "TensorArrayV3",
    }
)  # fmt: skip
"""Ops that give a variable or a handle, or that are looked at themselves."""


def _is_suspect(nodes: Mapping[str, NodeDef], user: NodeDef, tensor: str) -> bool:
    """Whether what a node takes as a variable may be none."""
    source = nodes.get(split(tensor)[0])
    if source is None:
        return False
    return source.op not in _GIVERS or (source.op in _PASSES and user.op not in _REFS and not _wants_variables(source))


_RETYPED = frozenset({"Enter", "Exit", "NextIteration", "Switch"})
"""Ops between a variable and a read of it to which the freezer of TF 1.14 and later gives the variable's dtype."""


def _with_handles(nodes: Mapping[str, NodeDef], users: Iterable[NodeDef]) -> dict[str, NodeDef]:
    """The nodes, where all that passes on a constant which some op takes as a handle passes on a handle again."""
    known: dict[str, str] = {}
    carriers = {_behind_passes(nodes, t, known) for user in users if user.op not in _REFS for t in _wanted(user)}
    carriers = {name for name in carriers if name in nodes and nodes[name].op == "Const"}
    result = dict(nodes)
    takers: dict[str, list[str]] = {}
    for name, node in nodes.items() if carriers else ():
        if node.op in _RETYPED and (taken := data_inputs(node)):
            takers.setdefault(split(taken[0])[0], []).append(name)
    pending = list(carriers)
    while pending:
        for name in takers.get(pending.pop(), ()):
            if name not in carriers:
                carriers.add(name)
                pending.append(name)
                result[name] = NodeDef.FromString(nodes[name].SerializeToString())
                result[name].attr["T"].type = _RESOURCE
    return result


def _behind_passes(nodes: Mapping[str, NodeDef], tensor: str, known: dict[str, str]) -> str:
    """Name of the node that gives a tensor, behind what may have lost the type of a handle.

    Args:
      nodes: of the graph.
      tensor: its full name.
      known: what was found for the nodes that were passed; it grows.
    """
    seen: dict[str, None] = {}
    name = split(tensor)[0]
    while name not in known and name not in seen and name in nodes and nodes[name].op in _RETYPED:
        taken = data_inputs(nodes[name])
        if not taken:
            break
        seen[name] = None
        name = split(taken[0])[0]
    name = known.get(name, name)
    known.update(dict.fromkeys(seen, name))
    return name


def _writes_a_constant(nodes: Mapping[str, NodeDef], user: NodeDef) -> bool:
    """Whether a node, other than an initialiser, writes what is a constant now."""
    if user.op in ("Assign", "AssignVariableOp") or (user.op not in ops.WRITES and user.op not in _WRITES):
        return False
    seen = set[str]()
    node: NodeDef | None = user
    while node is not None and node.name not in seen and _is_looked_through(node):
        seen.add(node.name)
        taken = _wanted(node)
        node = nodes.get(split(taken[0])[0]) if taken else None
    return node is not None and node.op == "Const"


def _is_looked_through(node: NodeDef) -> bool:
    return node.op in _RETYPED or _wants_variables(node)


def _left_out(writers: Sequence[NodeDef]) -> Finding:
    message = (
        f"in this frozen graph {counted(len(writers), 'op')} would write what are constants now "
        f"({', '.join(sorted({node.op for node in writers}))}); no signature runs them any more, so they are left out"
    )
    hint = "if the graph was frozen while it trained, a call no longer updates its statistics"
    return Finding("frozen-write-left-out", Severity.WARNING, message, tuple(node.name for node in writers), hint)


def _roots(nodes: Mapping[str, NodeDef], users: Iterable[NodeDef], is_ref: bool) -> dict[str, NodeDef]:
    """What gives the tensors that nodes take as variables, with one of these nodes."""
    found: dict[str, NodeDef] = {}
    for user in users:
        if (user.op in _REFS) is not is_ref:
            continue
        for tensor in _wanted(user):
            source = nodes.get(split(tensor)[0])
            # What passes a variable on is a user itself.
            if source is not None and (not _wants_variables(source) or (source.op in _REFS) is not is_ref):
                found.setdefault(source.name, user)
    return found


def _unclear(nodes: Mapping[str, NodeDef], names: Iterable[str]) -> list[Finding]:
    """Refusals of constants that some ops take for a ref variable and some for a resource variable."""
    return [
        refusal(
            "frozen-variable-unclear",
            f"the constant {name!r} is used as a ref variable by some ops and as a resource variable by others",
            (name,),
            "freeze the graph again, for inference",
        )
        for name in sorted(names)
        if nodes[name].op == "Const"
    ]


def _no_handles(
    meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef], roots: Mapping[str, NodeDef]
) -> Iterable[Finding]:
    """Refusals of ops that need a handle and get a value that is no constant."""
    functions = functions_of(meta_graph.graph_def.library)
    for name, user in roots.items():
        if nodes[name].op == "Const":
            continue
        dtypes = output_dtypes(nodes[name], functions)
        given = {split(tensor)[1] for tensor in _wanted(user) if split(tensor)[0] == name}
        wrong = [dtypes[k] for k in given if dtypes is not None and k < len(dtypes) and dtypes[k] != _RESOURCE]
        if wrong:
            yield refusal(
                "frozen-variable-unclear",
                f"{user.op} {user.name!r} needs a variable's handle, and {nodes[name].op} {name!r} gives "
                f"{base_name(wrong[0])}",
                (user.name, name),
                "the graph was damaged when it was frozen; freeze it again, for inference",
            )


def _variable(constant: NodeDef, is_ref: bool, shared: set[str]) -> NodeDef:
    tensor = constant.attr["value"].tensor
    # A constant that waits for others keeps doing so; VariableV2 and VarHandleOp have no data inputs either.
    node = NodeDef(name=constant.name, op="VariableV2" if is_ref else "VarHandleOp", device=constant.device)
    node.input.extend(constant.input)
    node.attr["dtype"].type = tensor.dtype
    node.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
    key = unique_name(constant.name, shared)
    shared.add(key)
    node.attr["container"].s = b""
    node.attr["shared_name"].s = key.encode()
    return node


def _reads(nodes: Mapping[str, NodeDef], roots: Iterable[str], needed: Collection[str]) -> dict[str, NodeDef]:
    """The nodes that take the value of a variable that is behind a handle now, as they read it before freezing."""
    dtypes = {f"{name}:0": nodes[name].attr["value"].tensor.dtype for name in roots}
    passing: dict[str, list[NodeDef]] = {}
    for node in (nodes[name] for name in needed):
        if node.op in _PASSES and _wants_variables(node):
            for tensor in _wanted(node):
                passing.setdefault(tensor, []).append(node)
    pending = list(dtypes)
    while pending:
        tensor = pending.pop()
        for node in passing.get(tensor, ()):
            passed = [f"{node.name}:{output}" for output in range(2 if node.op == "Switch" else 1)]
            pending += [output for output in passed if output not in dtypes]
            dtypes.update((output, dtypes[tensor]) for output in passed if output not in dtypes)
    made: dict[str, NodeDef] = {}
    for node in nodes.values():
        taken = data_inputs(node)
        as_values = [t for t in taken if t in dtypes and not (_wants_variables(node) and t in _wanted(node))]
        if not as_values:
            continue
        if node.op == "Identity":
            made[node.name] = _read(node.name, node.input, dtypes[as_values[0]], node.device)
            continue
        new = NodeDef.FromString(node.SerializeToString())
        for number, tensor in enumerate(dict.fromkeys(as_values)):
            waits = [name for name in node.input if name.startswith("^")]
            name = unique_name(f"{node.name}/ReadVariableOp_{number}", nodes)
            made[name] = _read(name, [tensor, *waits], dtypes[tensor], node.device)
            for position, given_name in enumerate(taken):
                if given_name == tensor:
                    new.input[position] = name
        made[node.name] = new
    return made


def _read(name: str, inputs: Iterable[str], dtype: int, device: str) -> NodeDef:
    node = NodeDef(name=name, op="ReadVariableOp", input=inputs, device=device)
    node.attr["dtype"].type = dtype
    return node


def _told(roots: Sequence[str], users: Sequence[NodeDef]) -> Finding:
    uses = sorted({user.op for user in users})
    message = (
        f"this frozen graph uses {counted(len(roots), 'constant')} as variables, by {first_few(uses, 4)}, and no "
        f"TensorFlow loads it so; they are variables again, with the frozen values: {first_few(roots, 3)}"
    )
    if any(user.op in ops.WRITES or user.op in _WRITES for user in users):
        message += "; a call that writes them changes what later calls see, as before freezing"
    hint = "golden answers come from the repaired graph; to leave such writes out, freeze the graph for inference"
    return Finding("frozen-variable", Severity.WARNING, message, tuple(roots), hint)
