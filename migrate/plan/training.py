"""What a TF1 Hub module has for training: another graph of the same variables, update ops and regularisation losses.

TF1's users took the MetaGraphDef tagged {train}, ran the collection UPDATE_OPS beside their own training step, and
added the collection REGULARIZATION_LOSSES to their loss. A Reusable SavedModel
(tensorflow.org/hub/reusable_saved_models) has `__call__(inputs, training)`, which does the first two, and
`regularization_losses`. Where the training graph does not fit the inference graph, the module is converted for
inference alone, and a warning says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from migrate.errors import counted
from migrate.graph import contract
from migrate.graph.graph import ParsedNodes, canonical, prune, split
from migrate.graph.nodes import called_functions
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import FunctionDef, MetaGraphDef
from migrate.plan.functions import unrunnable
from migrate.plan.records import Plan, SignaturePlan, SourceGraph, TrainingPlan, VariablePlan
from migrate.plan.restore import FromCheckpoint, Restore, read_restore, restore_by_name
from migrate.plan.signatures import fed_tensors, plan_signature, unfed_placeholders
from migrate.plan.variables import plan_variables, resources_of
from migrate.records import Finding, Severity, Signature
from migrate.rewrite.aliases import identity
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.file_access import find_file_access
from migrate.rewrite.inline import inline_ref_functions
from migrate.rewrite.ordering import finding

UPDATE_OPS = "update_ops"
"""tf.compat.v1.GraphKeys.UPDATE_OPS."""
REGULARIZATION_LOSSES = "regularization_losses"
"""tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES."""

_CONTROL_FLOW = frozenset({"Switch", "Merge", "Enter", "RefSwitch", "RefMerge", "RefEnter"})


def call_key(keys: Sequence[str]) -> str | None:
    """The signature that `__call__` answers: `serving_default`, a TF1 Hub module's `default`, or the only one."""
    for key in ("serving_default", "default"):
        if key in keys:
            return key
    return keys[0] if len(keys) == 1 else None


def add_training(plan: Plan, meta_graph: MetaGraphDef, train: MetaGraphDef | None) -> Plan:
    """Adds the training branch of a TF1 Hub module to its plan.

    Args:
      plan: of the inference graph; not refused.
      meta_graph: the inference graph.
      train: the training graph, or None where the module has none; neither is changed.
    """
    key = call_key([signature.signature.key for signature in plan.signatures])
    if key is None:
        return plan
    if train is not None:
        done = _with_call(plan, key, train)
        if isinstance(done, Plan):
            return done
        plan = dataclasses.replace(plan, findings=(*plan.findings, *done))
    source = _read(meta_graph)
    losses, findings = _losses(source)
    joined = _joined(plan, source, TrainingPlan(key, None, losses)) if losses else plan
    if isinstance(joined, str):
        return dataclasses.replace(plan, findings=(*plan.findings, *findings, _loss_left_out(joined)))
    return dataclasses.replace(joined, findings=(*joined.findings, *findings))


def _read(meta_graph: MetaGraphDef) -> SourceGraph:
    ref_ops = load_ref_ops()
    meta_graph = inline_ref_functions(meta_graph, ref_ops)
    nodes = ParsedNodes(meta_graph.graph_def.node, meta_graph.graph_def.versions.producer)
    return SourceGraph(meta_graph, nodes, ref_ops)


def _collection(source: SourceGraph, key: str) -> list[str]:
    """Names of the tensors or nodes in a collection."""
    if key not in source.meta_graph.collection_def:
        return []
    return list(dict.fromkeys(source.meta_graph.collection_def[key].node_list.value))


def _with_call(plan: Plan, key: str, train: MetaGraphDef) -> Plan | list[Finding]:
    """The plan with the training graph's call, or why there is none."""
    source = _read(train)
    ours = next(s.signature for s in plan.signatures if s.signature.key == key)
    theirs = {signature.key: signature for signature in contract.signatures(source.meta_graph)}.get(key)
    if theirs is None or _form(theirs) != _form(ours):
        return [_branch_left_out(f"its signature {key!r} is not that of the inference graph")]
    updates = _updates(source, theirs)
    call = plan_signature(source, theirs, updates)
    if not isinstance(call, SignaturePlan):
        return [_branch_left_out(call[0].message, call[0].nodes)]
    losses, findings = _losses(source)
    result = _joined(plan, source, TrainingPlan(key, call, losses))
    if isinstance(result, str):
        return [_branch_left_out(result)]
    unordered = finding(f"signature {key!r} of the training graph", call.unordered)
    blocked = _control_flow(call.run, result.variables)
    if blocked:
        findings.append(
            Finding(
                "training-control-flow",
                Severity.WARNING,
                f"signature {key!r}: {len(blocked)} nodes of v1 control flow are between variables and outputs; "
                "TensorFlow has no gradient through them, so what is behind them is not trained",
                blocked[:8],
            )
        )
    findings.append(
        Finding(
            "training-branch",
            Severity.NOTE,
            f"the tag set {{{', '.join(sorted(train.meta_info_def.tags))}}} becomes __call__(inputs, training=True), "
            f"with {counted(len(updates), 'update op')} and {counted(len(losses), 'regularization term')}; "
            "verification replays inference only",
        )
    )
    return dataclasses.replace(result, findings=(*result.findings, *findings, *([unordered] if unordered else [])))


def _form(signature: Signature) -> object:
    """What a caller sees of a signature."""
    return tuple(
        {name: (spec.dtype, spec.encoding) for name, spec in specs.items()}
        for specs in (signature.inputs, signature.outputs)
    )


def _updates(source: SourceGraph, signature: Signature) -> tuple[str, ...]:
    """Names of the update ops that a call of a signature can run: those that need none of another one's inputs."""
    fed: dict[str, tuple[int, object]] = {
        tensor: (dtype, shape)
        for spec in signature.inputs.values()
        if all(split(canonical(t))[0] in source.nodes for t in spec.tensors)
        for tensor, dtype, shape in fed_tensors(source.nodes, spec)
    }
    found = []
    for name in _collection(source, UPDATE_OPS):
        node = split(name)[0]
        if node not in source.nodes:
            continue
        run = prune(source.nodes, name, fed, (), (node,))
        if not unfed_placeholders(run, name):
            found.append(node)
    return tuple(dict.fromkeys(found))


def _losses(source: SourceGraph) -> tuple[tuple[Rewritten, ...], list[Finding]]:
    """A run for each regularisation loss, and what is said of those that have none."""
    losses = []
    findings = []
    for name in _collection(source, REGULARIZATION_LOSSES):
        tensor = canonical(name)
        if split(tensor)[0] not in source.nodes:
            findings.append(_loss_left_out(f"{name!r} is not in the graph", (name,)))
            continue
        where = f"the regularization loss {name!r}"
        run = prune(source.nodes, where, {}, (tensor,), ())
        problems = unfed_placeholders(run, where) or find_file_access(run, source.library, is_load=False)
        result = problems or rewrite(run, source.ref_ops)
        if isinstance(result, Rewritten):
            problems = unrunnable(result.graph, source.library)
        if isinstance(result, Rewritten) and not problems:
            losses.append(result)
        else:
            first = problems[0] if problems else result[0]  # type: ignore[index]
            findings.append(_loss_left_out(first.message, (name, *first.nodes)))
    return tuple(losses), findings


def _joined(plan: Plan, source: SourceGraph, training: TrainingPlan) -> Plan | str:
    """The plan with the training's runs over the same variables, or why they do not fit."""
    runs = [*training.losses, *([training.call.run] if training.call else [])]
    functions = _functions(plan, source, runs)
    if isinstance(functions, str):
        return functions
    strange = sorted(set(resources_of(runs)) - set(resources_of(plan.runs)))
    if strange:
        return f"the table or queue {strange[0]!r} is in the training graph only, where nothing fills it"
    known = {variable.identity: variable for variable in plan.variables}
    theirs = {variable.identity: variable for variable in _variables(source, runs)}
    for root, variable in theirs.items():
        problem = _differs(known[root], variable) if root in known else _new(variable)
        if problem:
            return problem
    both = tuple(
        dataclasses.replace(v, trainable=v.trainable or (v.identity in theirs and theirs[v.identity].trainable))
        for v in plan.variables
    )
    added = tuple(variable for root, variable in theirs.items() if root not in known)
    return dataclasses.replace(plan, variables=(*both, *added), functions=functions, training=training)


def _variables(source: SourceGraph, runs: Sequence[Rewritten]) -> tuple[VariablePlan, ...]:
    """The variables of the training graph's runs, each with what its own checkpoint reads fill it with."""
    saver = source.meta_graph.saver_def
    if saver.restore_op_name:
        read = read_restore(source.nodes, saver)
        # What it reads from another checkpoint is nothing that this model has.
        is_own = not isinstance(read, Finding) and all(f.code != "file-outside-model" for f in read.findings)
        restore = read if isinstance(read, Restore) and is_own else None
    else:
        restore = restore_by_name(source.nodes, source.meta_graph, frozenset())
    return plan_variables(source, runs, None, restore, {})[0]


def _differs(known: VariablePlan, other: VariablePlan) -> str:
    """Why two variables of one identity are not one variable, or nothing."""
    if known.dtype != other.dtype:
        return f"the variable {known.name!r} has another dtype in the training graph"
    ranks = known.shape.unknown_rank or other.shape.unknown_rank
    if not ranks and known.shape != other.shape:
        return f"the variable {known.name!r} has another shape in the training graph"
    values = known.value, other.value
    if all(isinstance(value, FromCheckpoint) for value in values) and values[0] != values[1]:
        return f"the variable {known.name!r} is restored from another tensor in the training graph"
    return ""


def _new(variable: VariablePlan) -> str:
    """Why a variable of the training graph alone is unavailable, or nothing."""
    if isinstance(variable.value, FromCheckpoint):
        return ""
    return f"the variable {variable.name!r} is in the training graph only, and no checkpoint tensor fills it"


def _functions(plan: Plan, source: SourceGraph, runs: Sequence[Rewritten]) -> tuple[FunctionDef, ...] | str:
    """The functions that both graphs' runs call."""
    library = source.functions
    bodies = {name: function.node_def for name, function in library.items()}
    called = called_functions([node for run in runs for node in run.graph.nodes.values()], bodies)
    known = {function.signature.name: function for function in plan.functions}
    for name in called:
        if any(node.op in source.ref_ops or node.op == "VarHandleOp" for node in bodies[name]):
            return f"the function {name!r} of the training graph holds state"
        if known.get(name, library[name]) != library[name]:
            return f"the function {name!r} is another one in the training graph"
    return (*plan.functions, *(library[name] for name in called if name not in known))


def _control_flow(run: Rewritten, variables: Sequence[VariablePlan]) -> tuple[str, ...]:
    """Names of the nodes of v1 control flow on ways from trainable variables to outputs."""
    trainable = {variable.identity for variable in variables if variable.trainable}
    nodes = run.graph.nodes
    handles = {name for name, node in nodes.items() if node.op == "VarHandleOp" and identity(node) in trainable}
    forward = _reached(run.graph.successors(), handles)
    backward = _reached(run.graph.predecessors(), {split(tensor)[0] for tensor in run.fetches.values()})
    return tuple(
        name for name, node in nodes.items() if node.op in _CONTROL_FLOW and name in forward and name in backward
    )


def _reached(neighbours: Mapping[str, set[str]], starts: set[str]) -> set[str]:
    seen = set(starts)
    stack = list(starts)
    while stack:
        fresh = neighbours.get(stack.pop(), set()) - seen
        seen |= fresh
        stack.extend(fresh)
    return seen


def _branch_left_out(why: str, nodes: tuple[str, ...] = ()) -> Finding:
    message = f"the training graph is left out, and the module converted for inference only: {why}"
    return Finding("training-branch-left-out", Severity.WARNING, message, nodes)


def _loss_left_out(why: str, nodes: tuple[str, ...] = ()) -> Finding:
    return Finding("training-loss-left-out", Severity.WARNING, f"a regularization loss is left out: {why}", nodes)
