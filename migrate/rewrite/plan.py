"""The whole plan of one conversion, from a MetaGraphDef alone. Audit shows it, export carries it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.checks import contract
from migrate.checks.nodes import called_functions, locate
from migrate.checks.op_table import load_ref_ops, unavailable
from migrate.checks.operations import find_unavailable_ops
from migrate.checks.python_ops import PYTHON_OPS, find_python_ops
from migrate.checks.randomness import RANDOM_OPS
from migrate.frozen import frozen
from migrate.records import Finding, Severity, Signature, TensorSpec, refusal
from migrate.rewrite import RULED_OPS, Rewritten, initialized, ops, rewrite
from migrate.rewrite.aliases import identity
from migrate.rewrite.contexts import SWITCHES
from migrate.rewrite.damaged_freeze import repair
from migrate.rewrite.file_access import find_file_access
from migrate.rewrite.graph import PLACEHOLDERS, Graph, Nodes, Run, canonical, data_inputs, prune, read_nodes, split
from migrate.rewrite.inline import inline_ref_functions
from migrate.rewrite.ordering import Unordered, assigned, assigned_first, finding, surely_fails, unordered_outputs
from migrate.rewrite.restore import (
    FromConstant,
    Restore,
    TableFill,
    Uninitialized,
    Unset,
    Value,
    read_restore,
    restore_by_name,
)
from migrate.rewrite.variables import changes_shape
from migrate.sources.dtypes import base_name, dtype_value
from migrate.sources.protos import (
    FunctionDef,
    FunctionDefLibrary,
    GraphDef,
    MetaGraphDef,
    NodeDef,
    TensorProto,
    TensorShapeProto,
)

if TYPE_CHECKING:
    from migrate.rewrite.constants import Unfrozen


@frozen
class VariablePlan:
    """One tf.Variable of the new model.

    Attributes:
      name: name of the source's variable node (of the first one, where several share a buffer).
      identity: what makes it one variable, see `aliases.identity`.
      dtype: DataType value.
      shape: static shape of the handle.
      trainable: as in the source's TRAINABLE_VARIABLES.
      is_resource: whether the source already had it as a resource.
      value: what fills it before the init op.
    """

    name: str
    identity: str
    dtype: int
    shape: TensorShapeProto
    trainable: bool
    is_resource: bool
    value: Value


@frozen
class SignaturePlan:
    """One signature of the new model and the run that answers it.

    Attributes:
      signature: as the source has it.
      run: rewritten.
      unordered: (output name, what was found) for outputs without a defined answer.
      defaults: value of each input that a Session client may leave out (a PlaceholderWithDefault of a constant).
      fails: whether each call fails, as in TF1, for want of a value that the signature does not feed.
      drawn: names of the outputs whose values come from a random sequence that other signatures draw from, too.
    """

    signature: Signature
    run: Rewritten
    unordered: tuple[tuple[str, Unordered], ...]
    defaults: Mapping[str, TensorProto]
    fails: bool = False
    drawn: tuple[str, ...] = ()


@frozen
class TrainingPlan:
    """What a Reusable SavedModel has for training (tensorflow.org/hub/reusable_saved_models).

    Attributes:
      key: the signature that `__call__` answers.
      call: the same of the training graph, with the update ops as targets of its run, or None: inference only.
      losses: a run for each regularisation loss, which feeds nothing and fetches one tensor.
    """

    key: str
    call: SignaturePlan | None
    losses: tuple[Rewritten, ...]


@frozen
class Plan:
    """What convert will do.

    Attributes:
      tags: the tag set.
      signatures: those that can be converted.
      init: what a loader runs after restoring, or None.
      assets: (Placeholder node in `init`, file name below `assets/`) pairs.
      variables: the variables of the new model, in graph order.
      tables: what fills which table before the init op, by identity.
      restore: what the source's restore op does, or None without a SaverDef.
      functions: the function library that the runs need.
      producer: GraphDef version of the source.
      findings: everything a user should know; with a refusal among them the plan must not be carried out.
      training: what a TF1 Hub module has beside its signatures.
      nodes: the source's main graph as it was read; None where the plan has another one (a function that was inlined).
    """

    tags: tuple[str, ...]
    signatures: tuple[SignaturePlan, ...]
    init: Rewritten | None
    assets: tuple[tuple[str, str], ...]
    variables: tuple[VariablePlan, ...]
    tables: Mapping[str, TableFill]
    restore: Restore | None
    functions: tuple[FunctionDef, ...]
    producer: int
    findings: tuple[Finding, ...]
    training: TrainingPlan | None = None
    nodes: Nodes | None = None

    @property
    def refused(self) -> bool:
        """Whether some finding forbids the conversion."""
        return any(finding.severity is Severity.REFUSAL for finding in self.findings)

    @property
    def uninitialized(self) -> frozenset[str]:
        """Identities of the variables that have no value until a call assigns one."""
        return frozenset(v.identity for v in self.variables if isinstance(v.value, Uninitialized))

    @property
    def runs(self) -> tuple[Rewritten, ...]:
        """Every run of the plan."""
        more = (
            (*self.training.losses, *((self.training.call.run,) if self.training.call else ())) if self.training else ()
        )
        return (*(s.run for s in self.signatures), *more, *((self.init,) if self.init else ()))


def make_plan(meta_graph: MetaGraphDef, drop_signatures: bool = False, variables: bool = False) -> Plan:
    """Plans the conversion of one MetaGraphDef.

    Args:
      meta_graph: the source; it is not changed.
      drop_signatures: leave signatures out that cannot be converted, with a warning, instead of refusing.
      variables: make variables of constant weights.
    """
    ref_ops = load_ref_ops()
    source = meta_graph
    nodes = read_nodes(meta_graph)
    repaired = repair(meta_graph, nodes)
    meta_graph = inline_ref_functions(repaired.meta_graph, ref_ops)
    unfrozen = _unfreeze(meta_graph) if variables else None
    meta_graph = unfrozen.meta_graph if unfrozen else meta_graph
    library = meta_graph.graph_def.library
    nodes = nodes if meta_graph is source else read_nodes(meta_graph)
    findings: list[Finding] = [*repaired.findings, *(unfrozen.findings if unfrozen else ())]
    kept: list[SignaturePlan] = []
    dropped = 0
    results = [(s, plan_signature(nodes, s, ref_ops, library)) for s in contract.signatures(meta_graph)]
    answered = any(isinstance(result, SignaturePlan) for _, result in results)
    for signature, result in results:
        if answered and not drop_signatures and not isinstance(result, SignaturePlan):
            failing = plan_signature(nodes, signature, ref_ops, library, unfed=True)
            if isinstance(failing, SignaturePlan):
                findings.extend(_failing(f) for f in result)
                result = failing
        if isinstance(result, SignaturePlan):
            kept.append(result)
            findings.extend(_forgiven(nodes, signature))
            warning = finding(f"signature {signature.key!r}", result.unordered)
            findings.extend([warning] if warning else [])
        elif drop_signatures:
            dropped += 1
            findings.extend(
                dataclasses.replace(
                    f, severity=Severity.WARNING, message=f"signature {signature.key!r} dropped: {f.message}"
                )
                for f in result
            )
        else:
            findings.extend(_or_drop(f) if answered else f for f in result)
    kept, shared = _with_shared_draws(kept, library)
    findings.extend(shared)
    if not kept and (dropped or not any(f.severity is Severity.REFUSAL for f in findings)):
        findings.append(
            refusal(
                "no-signature",
                "the MetaGraphDef has no signature that could be exported",
                (),
                "say what to call with --signature",
            )
        )
    restore = None
    if meta_graph.HasField("saver_def") and meta_graph.saver_def.restore_op_name:
        read = read_restore(nodes, meta_graph.saver_def)
        if isinstance(read, Finding):
            findings.append(read)
        else:
            restore = read
    init, assets, problems = _init(nodes, meta_graph, ref_ops, restore)
    findings.extend(problems)
    if not meta_graph.saver_def.restore_op_name:
        restore = restore_by_name(nodes, meta_graph, _set_by(init))
    runs = [*(s.run for s in kept), *([init] if init else [])]
    functions, problems = _functions(meta_graph.graph_def, runs, ref_ops)
    findings.extend(problems)
    constants = {**repaired.values, **(unfrozen.values if unfrozen else {})}
    planned, problems = plan_variables(meta_graph, runs, init, restore, nodes, constants)
    findings.extend(problems)
    findings.extend([_unfrozen([v for v in planned if v.identity in unfrozen.values])] if unfrozen else [])
    return Plan(
        tuple(sorted(meta_graph.meta_info_def.tags)),
        tuple(kept),
        init,
        assets,
        planned,
        {name: restore.tables[name] for name in resources_of(runs) if name in restore.tables} if restore else {},
        restore,
        functions,
        meta_graph.graph_def.versions.producer,
        tuple(dict.fromkeys(findings)),
        nodes=nodes if meta_graph is source else None,
    )


def _with_shared_draws(
    plans: list[SignaturePlan], library: FunctionDefLibrary
) -> tuple[list[SignaturePlan], tuple[Finding, ...]]:
    """The signatures with what is known of random sequences that they share, and a warning."""
    if len(plans) < 2 or not any(p.run.graph.has(RANDOM_OPS) or library.function for p in plans):
        return plans, ()
    from migrate.rewrite import shared_draws

    drawn = shared_draws.shared_draws(
        {p.signature.key: p.run.graph for p in plans},
        {
            p.signature.key: {
                name: [p.run.fetches[canonical(t)] for t in spec.tensors] for name, spec in p.signature.outputs.items()
            }
            for p in plans
        },
        library.function,
    )
    warning = shared_draws.finding(drawn)
    if warning is None:
        return plans, ()
    found = [
        dataclasses.replace(p, drawn=tuple(d.output for d in drawn if d.signature == p.signature.key)) for p in plans
    ]
    return found, (warning,)


def needed_nodes(plan: Plan, init: bool = True) -> Collection[NodeDef]:
    """The source's nodes that the plan's runs execute, each once; a training graph may have another op of a name.

    Args:
      plan: what convert will do.
      init: whether the init op's run is one of them.
    """
    graphs = [run.run.graph for run in plan.runs if init or run is not plan.init]
    if any(graph.is_stored for graph in graphs):
        from migrate.rewrite.stored import NeededNodes

        return NeededNodes(graphs)
    seen: dict[tuple[str, str], NodeDef] = {}
    for graph in graphs:
        seen.update({(name, graph.wires[name].op): node for name, node in graph.nodes.items()})
    return list(seen.values())


def needed_names(nodes: Collection[NodeDef]) -> Collection[str]:
    """The names of what `needed_nodes` gives."""
    if isinstance(nodes, list):
        return {node.name for node in nodes}
    from migrate.rewrite.stored import NeededNames

    return NeededNames(nodes)


def _unfreeze(meta_graph: MetaGraphDef) -> Unfrozen:
    from migrate.rewrite.constants import unfreeze  # Few are asked for it.

    return unfreeze(meta_graph)


def plan_signature(
    nodes: Nodes,
    signature: Signature,
    ref_ops: frozenset[str],
    library: FunctionDefLibrary,
    targets: tuple[str, ...] = (),
    unfed: bool = False,
) -> SignaturePlan | tuple[Finding, ...]:
    """Plans one signature, or gives all refusals.

    Args:
      nodes: every node of the MetaGraphDef by name.
      signature: what is fed and fetched.
      ref_ops: every op of TensorFlow's registry that has a ref argument or result.
      library: the MetaGraphDef's functions.
      targets: names of nodes that the same call runs for their effect.
      unfed: keep placeholders that the signature does not feed; each call then fails, as in TF1.
    """
    where = f"signature {signature.key!r}"
    missing = [
        (name, tensor)
        for names in (signature.inputs, signature.outputs)
        for name, spec in names.items()
        for tensor in spec.tensors
        if split(canonical(tensor))[0] not in nodes
    ]
    if missing:
        name, tensor = missing[0]
        return (
            refusal(
                "signature-tensor-missing",
                f"{where}: {name!r} names the tensor {tensor!r}, which the graph does not have",
                tuple(tensor for _, tensor in missing),
            ),
        )
    for names in (signature.inputs, signature.outputs):
        for name, spec in names.items():
            if spec.encoding == "composite":
                return (
                    refusal(
                        "composite-tensor",
                        f"{where}: {name!r} is a composite tensor, which no TF1 Session feeds",
                        (name,),
                    ),
                )
    if not signature.outputs:
        return (refusal("signature-without-outputs", f"{where} has no outputs, so nothing answers a call"),)
    feeds: dict[str, tuple[int, object]] = {}
    for spec in signature.inputs.values():
        for tensor, dtype, shape in fed_tensors(nodes, spec):
            feeds[tensor] = (dtype, shape)
    fetches = [canonical(t) for spec in signature.outputs.values() for t in spec.tensors]
    run = prune(nodes, where, feeds, tuple(dict.fromkeys(fetches)), targets)
    folded, dead = _folded(run)
    problems = () if unfed else unfed_placeholders(run, where, dead)
    if problems:
        return problems
    problems = find_file_access(run, library, is_load=False)
    result = rewrite(folded, ref_ops)
    if not isinstance(result, Rewritten):
        return (*problems, *result, *unrunnable(folded.graph, library))
    problems = (*problems, *unrunnable(result.graph, library))
    if problems:
        return problems
    functions = {function.signature.name: function for function in library.function}
    found = {u.tensor: u for u in unordered_outputs(result.graph, result.fetches.values(), functions)}
    unordered = tuple(
        (name, found[result.fetches[canonical(t)]])
        for name, spec in signature.outputs.items()
        for t in spec.tensors
        if result.fetches[canonical(t)] in found
    )
    return SignaturePlan(signature, result, unordered, _defaults(nodes, signature), fails=unfed)


def _folded(run: Run) -> tuple[Run, frozenset[str]]:
    """A run without the branches that cannot run, and what never runs in it."""
    if not run.graph.has(SWITCHES):
        return run, frozenset()
    from migrate.rewrite.fold import fold

    result = fold(run)
    return result.run, result.dead


def _defaults(nodes: Mapping[str, NodeDef], signature: Signature) -> dict[str, TensorProto]:
    found = {}
    for name, spec in signature.inputs.items():
        node = nodes[split(canonical(spec.tensors[0]))[0]]
        if spec.encoding != "dense" or node.op != "PlaceholderWithDefault":
            continue
        source = _behind(nodes, node)
        seen = set()  # What stands behind a fed tensor is in no run, so nobody has looked at it.
        while source is not None and source.op == "Identity" and source.name not in seen:
            seen.add(source.name)
            source = _behind(nodes, source)
        if source is not None and source.op == "Const":
            found[name] = source.attr["value"].tensor
    return found


def _behind(nodes: Mapping[str, NodeDef], node: NodeDef) -> NodeDef | None:
    """The node that gives the first input of another."""
    taken = data_inputs(node)
    return nodes.get(split(taken[0])[0]) if taken else None


def unrunnable(graph: Graph, library: FunctionDefLibrary) -> tuple[Finding, ...]:
    """Refusals for ops that no TF2 model can run; the rewrite's own refusals speak of ref ops."""
    known = all(op in RULED_OPS or unavailable(op) is None for op in graph.by_op)
    if known and not library.function and not graph.has(PYTHON_OPS):
        return ()
    located = locate(graph.nodes.values(), library)
    functions = {function.signature.name for function in library.function}
    found = (*find_unavailable_ops(located, functions, RULED_OPS), *find_python_ops(located))
    return tuple(f for f in found if f.severity is Severity.REFUSAL)


def fed_tensors(nodes: Nodes, spec: TensorSpec) -> list[tuple[str, int, TensorShapeProto | None]]:
    """Full name, DataType value and shape of the tensors that a signature input feeds.

    What a placeholder says of itself wins over the TensorInfo: a v1 Session checks feeds against it.
    """
    if spec.encoding == "coo_sparse":
        values, indices, dense_shape = (canonical(t) for t in spec.components)
        return [
            (indices, *_declared(nodes, indices, _DT_INT64, None)),
            (values, *_declared(nodes, values, dtype_value(spec.dtype), None)),
            (dense_shape, *_declared(nodes, dense_shape, _DT_INT64, None)),
        ]
    tensor = canonical(spec.name)
    return [(tensor, *_declared(nodes, tensor, dtype_value(spec.dtype), _shape_proto(spec)))]


def _declared(
    nodes: Nodes, tensor: str, dtype: int, shape: TensorShapeProto | None
) -> tuple[int, TensorShapeProto | None]:
    name, output = split(tensor)
    node = nodes[name]
    if output == 0 and (node.op in PLACEHOLDERS or node.op in ("PlaceholderWithDefault", *ops.VARIABLES)):
        own = fed_shape(node, nodes.producer)
        if own is None and shape is not None and not shape.dim:
            shape = None  # Whoever wrote a TensorInfo from such a Placeholder could not tell a scalar from any shape.
        return node.attr["dtype"].type, own if own is not None else shape
    for key in ("T", "dtype", "DstT", "output_type"):
        if key in node.attr and node.attr[key].type and output == 0 and node.op in _TYPED_BY_T:
            return node.attr[key].type, shape
    return dtype, shape


def fed_shape(node: NodeDef, producer: int | None) -> TensorShapeProto | None:
    """The shape that a placeholder or variable asks of what is fed; None for any.

    Args:
      node: has an attribute `shape`, or takes any shape.
      producer: version of its GraphDef. Until 21 a Placeholder without dimensions took any shape (array_ops.cc).
    """
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return None
    shape = node.attr["shape"].shape
    is_old = producer is not None and producer <= _LAST_WITHOUT_SCALARS
    return None if is_old and node.op == "Placeholder" and not shape.dim else shape


_LAST_WITHOUT_SCALARS = 21
_TYPED_BY_T = frozenset({"Identity", "Reshape", "ExpandDims", "Squeeze", "Const", "Cast"})
_DT_INT64 = 9


def _shape_proto(spec: TensorSpec) -> TensorShapeProto | None:
    if spec.shape is None:
        return None
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=-1 if d is None else d) for d in spec.shape])


def _forgiven(nodes: Nodes, signature: Signature) -> list[Finding]:
    """What TF1 did not mind in a signature and this conversion puts right."""
    found = []
    for name, spec in signature.inputs.items():
        if spec.encoding != "dense":
            continue
        tensor, dtype, _ = fed_tensors(nodes, spec)[0]
        if base_name(dtype) != spec.dtype:
            found.append(
                Finding(
                    "tensor-info-dtype",
                    Severity.WARNING,
                    f"signature {signature.key!r}: input {name!r} says {spec.dtype}, {tensor!r} is "
                    f"{base_name(dtype)}; the new signature says the latter",
                    (tensor,),
                )
            )
        if nodes[split(tensor)[0]].op == "PlaceholderWithDefault":
            found.append(
                Finding(
                    "input-default",
                    Severity.NOTE,
                    f"signature {signature.key!r}: input {name!r} has a default; Session clients may leave it out as "
                    "before, callers of the loaded function must give it",
                    (tensor,),
                )
            )
    if not signature.method_name:
        found.append(
            Finding(
                "method-name-empty",
                Severity.NOTE,
                f"signature {signature.key!r} has an empty method name; kept",
            )
        )
    return found


def unfed_placeholders(run: Run, where: str, dead: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """A refusal of a run that needs placeholders which nobody feeds.

    Args:
      run: as the source has it.
      where: what it is for.
      dead: names of nodes that never run (`fold`).
    """
    fed = set(run.feeds.values())
    names = [name for name in run.graph.named(PLACEHOLDERS) if name not in fed and name not in dead]
    if not names:
        return ()
    from migrate.checks.feeds import can_be_fed  # Few models have such placeholders.

    others = [name for name in names if not can_be_fed(run.graph.nodes[name].attr["dtype"].type)]
    return (
        refusal(
            "unfed-placeholder",
            f"{where} needs {len(names)} placeholder(s) that it does not feed, so no call can succeed: "
            f"{', '.join(names[:3])}",
            tuple(names),
            "give them a value with --feed" if not others else f"no value can be written for {others[0]!r}",
        ),
    )


def _or_drop(problem: Finding) -> Finding:
    """A signature's refusal where another signature of the model can be answered."""
    hint = "leave this signature out with --drop_signatures"
    return dataclasses.replace(problem, hint=f"{problem.hint}, or {hint}" if problem.hint else hint)


def _failing(problem: Finding) -> Finding:
    """The warning of a signature whose every call fails."""
    return dataclasses.replace(
        problem,
        severity=Severity.WARNING,
        message=f"{problem.message}; kept, and each call of it fails with InvalidArgumentError as in TF1",
    )


def _init(
    nodes: Nodes, meta_graph: MetaGraphDef, ref_ops: frozenset[str], restore: Restore | None
) -> tuple[Rewritten | None, tuple[tuple[str, str], ...], tuple[Finding, ...]]:
    targets = contract.init_ops(meta_graph)
    if not targets:
        return None, (), ()
    missing = [name for name in targets if name not in nodes]
    if missing:
        message = f"the init op {missing[0]!r} is not in the graph, so a loader could not run it"
        return None, (), (refusal("init-op-missing", message, tuple(missing)),)
    findings = []
    if len(targets) > 1 and contract.init_key(meta_graph) != contract.TABLES_KEY:
        findings.append(
            Finding(
                "several-init-ops",
                Severity.WARNING,
                f"{len(targets)} init ops where TensorFlow's loaders take one; all are run",
                targets,
            )
        )
    files = {tensor: file for tensor, file in contract.assets(meta_graph) if split(tensor)[0] in nodes}
    feeds: dict[str, tuple[int, object]] = {tensor: (_DT_STRING, TensorShapeProto()) for tensor in files}
    run = prune(nodes, "the init op", feeds, (), targets)
    problems = unfed_placeholders(run, run.key) or find_file_access(run, meta_graph.graph_def.library, is_load=True)
    if problems:
        return None, (), (*findings, *problems)
    decided = initialized.decide(run, restore.values if restore else ())
    if isinstance(decided, Finding):
        return None, (), (*findings, decided)
    result = rewrite(decided, ref_ops)
    if not isinstance(result, Rewritten):
        return None, (), (*findings, *result)
    findings.extend(unrunnable(result.graph, meta_graph.graph_def.library))
    return result, tuple((run.feeds[tensor], file) for tensor, file in files.items()), tuple(findings)


_DT_STRING = 7


def _functions(
    graph_def: GraphDef, runs: Sequence[Rewritten], ref_ops: frozenset[str]
) -> tuple[tuple[FunctionDef, ...], tuple[Finding, ...]]:
    library = {function.signature.name: function for function in graph_def.library.function}
    if not library:
        return (), ()
    bodies = {name: function.node_def for name, function in library.items()}
    called = [library[n] for n in called_functions([n for r in runs for n in r.graph.nodes.values()], bodies)]
    findings = []
    for function in called:
        refs = [node for node in function.node_def if node.op in ref_ops]
        if refs:
            findings.append(
                refusal(
                    "ref-in-function",
                    f"function {function.signature.name!r} has the ref op {refs[0].op} in its body, and what calls it "
                    "(tf.data, a functional If, While or Case, a gradient, itself) keeps that body out of the graph; "
                    "a v1 Session may run it, but this tool has no rewrite for it",
                    tuple(node.name for node in refs),
                    "move the state out of the function",
                )
            )
        handles = [node for node in function.node_def if node.op == "VarHandleOp"]
        if handles:
            findings.append(
                refusal(
                    "variable-in-function",
                    f"function {function.signature.name!r} makes the variable {handles[0].name!r} in its body",
                    tuple(node.name for node in handles),
                )
            )
    return tuple(called), tuple(findings)


def plan_variables(
    meta_graph: MetaGraphDef,
    runs: Sequence[Rewritten],
    init: Rewritten | None,
    restore: Restore | None,
    nodes: Nodes,
    constants: Mapping[str, TensorProto],
) -> tuple[tuple[VariablePlan, ...], tuple[Finding, ...]]:
    """Plans the variables of some runs.

    Args:
      meta_graph: lists which are trainable.
      runs: all runs, the init op's among them.
      init: the init op's.
      restore: what the restore op fills them with.
      nodes: every node of the MetaGraphDef by name.
      constants: values of variables that were constants, by identity.

    Returns:
      The variables in graph order, and what a user should know of them, refusals included.
    """
    trainable = contract.trainable(meta_graph)
    dynamic = _dynamic(nodes)
    set_by_init = _set_by(init)
    found: dict[str, VariablePlan] = {}
    mixed: list[str] = []
    for run in runs:
        for name in run.graph.by_op.get("VarHandleOp", ()):
            node = run.graph.nodes[name]
            root = identity(node)
            known = found.get(root)
            shape = node.attr["shape"].shape
            if known is None:
                value: Value = restore.values.get(root, Unset()) if restore else Unset()
                if root in constants:
                    value = FromConstant(constants[root])
                if root in dynamic or name in dynamic:
                    shape = TensorShapeProto(unknown_rank=True)
                found[root] = VariablePlan(
                    name,
                    root,
                    node.attr["dtype"].type,
                    shape,
                    name in trainable,
                    nodes[name].op == "VarHandleOp",
                    value,
                )
            elif known.is_resource != (nodes[name].op == "VarHandleOp"):
                mixed.append(name)
            elif shape.unknown_rank and not known.shape.unknown_rank:
                found[root] = dataclasses.replace(known, shape=shape)
    if mixed:
        return tuple(found.values()), (
            refusal(
                "variable-of-two-kinds",
                f"{mixed[0]!r} is a resource variable, and there is a ref variable of the same name: they are two in "
                "TF1, and would be one in TF2",
                tuple(mixed),
                "give one of them another name, or a shared_name of its own",
            ),
        )
    empty = [v.identity for v in found.values() if isinstance(v.value, Unset) and v.identity not in set_by_init]
    first = [assigned_first(run.graph, empty) for run in runs] if empty else []
    unset = [found[root].name for root in empty if not all(root in assigned for assigned in first)]
    # Where a call sets it, that is how the model is used; where none does, its weights are lost.
    by_calls = frozenset[str]().union(*(assigned(run.graph) for run in runs)) if unset else frozenset()
    asked = _only_asked(runs) if unset else frozenset()
    later = [root for root in empty if found[root].name in unset and (root in by_calls or root in asked)]
    for root in later:
        found[root] = dataclasses.replace(found[root], value=Uninitialized())
    unset = [name for name in unset if name not in {found[root].name for root in later}]
    functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    filled = [root for root in empty if found[root].name not in unset]
    findings = [*_first_calls([run for run in runs if run is not init], filled, later, functions)]
    if later:
        names = tuple(found[root].name for root in later)
        findings.append(
            Finding(
                "variable-uninitialized",
                Severity.WARNING,
                f"{len(names)} variable(s) have no value until a call assigns one, as in TF1: {', '.join(names[:3])}; "
                "a call that reads one before that fails",
                names,
                "assign it before you save the loaded model again: TensorFlow cannot load a copy without the value",
            )
        )
    if unset:
        findings.append(
            refusal(
                "variable-without-value",
                f"{len(unset)} variable(s) get no value from the restore op or the init op: {', '.join(unset[:3])}",
                tuple(unset),
                "a v1 Session fails on them with 'uninitialized value'; export the model with its weights",
            )
        )
    if restore:
        findings.extend(restore.findings)
    return tuple(found.values()), tuple(findings)


def _first_calls(
    called: Sequence[Rewritten], empty: Sequence[str], later: Sequence[str], library: Mapping[str, FunctionDef]
) -> Iterator[Finding]:
    """Refuses what a model that has not been called before has no answer to.

    Args:
      called: the runs that clients call.
      empty: identities of the variables that neither the restore op nor the init op fills, but calls.
      later: those of them that some call looks at before it fills them.
      library: the functions that the runs call, by name.
    """
    fails = {run.run.key: surely_fails(run.graph, later, library) for run in called} if later else {}
    for run in called if empty else ():
        # In TF1 each op that takes a ref looks at the variable, in the rewritten run only what uses the value.
        early = assigned_first(run.graph, empty) - assigned_first(run.run.graph, empty)
        failing = surely_fails(run.graph, empty, library)
        node = surely_fails(run.run.graph, empty, library) if failing is None else None
        if early or node:
            yield refusal(
                "variable-without-value",
                f"{run.run.key}: no edge orders the first look at {node or min(early)!r} after the write in the same "
                "call that gives the variable a value; TF1 fails or not as chance has it",
                tuple([node] if node else sorted(early)),
                "give it a value in the init op, or read it after the write with read_value()",
            )
    nodes = [node for node in fails.values() if node is not None]
    if nodes and len(nodes) == len(fails):
        yield refusal(
            "variable-without-value",
            f"no call can succeed: {next(iter(fails))} fails at {nodes[0]!r}, which needs a variable that has no value "
            "until another call assigns one, and no call gets as far as that",
            tuple(nodes),
            "a v1 Session fails on them with 'uninitialized value'; export the model with its weights",
        )


def _only_asked(runs: Sequence[Rewritten]) -> frozenset[str]:
    """Identities of the variables of which every run asks no more than whether they are initialised."""
    asked: set[str] = set()
    used: set[str] = set()
    for run in runs:
        for name in run.graph.by_op.get("VarHandleOp", ()):
            consumers = [taker for taker, _ in run.graph.consumers.get(f"{name}:0", ())]
            only = all(run.graph.wires[taker].op == "VarIsInitializedOp" for taker in consumers)
            (asked if only else used).add(identity(run.graph.nodes[name]))
    return frozenset(asked - used)


def _unfrozen(variables: Sequence[VariablePlan]) -> Finding:
    """Says which variables were constants."""
    if not variables:
        message = "--variables found no constant weight that could become a variable"
        return Finding("no-constant-weights", Severity.WARNING, message)
    trained = sum(variable.trainable for variable in variables)
    message = f"{trained} constant weight(s) become trainable variables"
    if trained < len(variables):
        message += f", {len(variables) - trained} moving mean(s) and variance(s) variables that are not trained"
    return Finding("constants-to-variables", Severity.NOTE, message, tuple(variable.name for variable in variables))


def _dynamic(nodes: Nodes) -> frozenset[str]:
    """Names of variables that an Assign may give another shape anywhere in the graph."""
    return frozenset(
        nodes.wire(name).sources[0]
        for name in nodes.by_op.get("Assign", ())
        if changes_shape(nodes[name]) and nodes.wire(name).sources
    )


def resources_of(runs: Sequence[Rewritten]) -> list[str]:
    """Identities of the tables and other named resources that some runs use."""
    nodes = (run.graph.nodes[name] for run in runs for name in run.graph.named(ops.NAMED_RESOURCES))
    return list(dict.fromkeys(map(identity, nodes)))


def _set_by(init: Rewritten | None) -> frozenset[str]:
    """Identities of the variables that the init op assigns."""
    if init is None:
        return frozenset()
    wires = init.graph.wires
    result = set()
    for name in init.graph.by_op.get("AssignVariableOp", ()):
        source = wires[name].sources[0]
        while wires[source].op in ("Identity", "Switch", "Enter") and wires[source].sources:
            source = wires[source].sources[0]
        if wires[source].op == "VarHandleOp":
            result.add(identity(init.graph.nodes[source]))
    return frozenset(result)
