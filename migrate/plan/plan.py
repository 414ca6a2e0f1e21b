"""The whole plan of one conversion, from a MetaGraphDef alone. Audit shows it, export carries it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.errors import count_words
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.dtypes import dtype_value
from migrate.graph.function_calls import BRANCHES
from migrate.graph.graph import prune, split
from migrate.graph.nodes import read_nodes
from migrate.graph.op_table import NETWORKS, load_ref_ops
from migrate.graph.output_dtypes import missing_tensor
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto, TensorShapeProto
from migrate.made_variables import LARGE
from migrate.plan.functions import plan_functions, unrunnable
from migrate.plan.records import Plan, PlanOptions, SourceGraph, VariablePlan
from migrate.plan.resource_kinds import RESOURCES, Read
from migrate.plan.restore import Restore, read_restore, restore_by_name
from migrate.plan.signatures import plan_signatures, unfed_placeholders
from migrate.plan.variables import plan_variables, resources_of, set_by
from migrate.records import Finding, Severity, refusal
from migrate.rewrite import initialized
from migrate.rewrite.damaged_freeze import repair
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.file_access import find_file_access
from migrate.rewrite.inline import inline_ref_functions

_AS_IT_IS = PlanOptions()


@frozen
class _Prepared:
    """A graph in which what no rule can rewrite where it is has been changed.

    Attributes:
      source: the graph.
      is_as_read: whether it is the one that was read.
      constants: values of variables that are constants in the source, by identity.
      unfrozen: identities of those that are variables for the user's sake; None where the user does not ask.
      findings: what was done, and what was not.
    """

    source: SourceGraph
    is_as_read: bool
    constants: Mapping[str, TensorProto]
    unfrozen: Collection[str] | None
    findings: tuple[Finding, ...]


@frozen
class _Init:
    """What a loader runs after restoring.

    Attributes:
      run: None where there is nothing to run, or a refusal.
      assets: (Placeholder node in `run`, file name below `assets/`) pairs.
      findings: what a user should know of it.
    """

    run: Rewritten | None = None
    assets: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()


def make_plan(
    meta_graph: MetaGraphDef,
    train: MetaGraphDef | None = None,
    options: PlanOptions = _AS_IT_IS,
    read: Read | None = None,
) -> Plan:
    """Plans the conversion of one MetaGraphDef.

    Args:
      meta_graph: the source; it is not changed.
      train: the training graph of a TF1 Hub module, or None; it is not changed.
      options: what the user wants.
      read: gives tensors of the checkpoint, of which few models need one before they are converted.
    """
    plan = _plan(meta_graph, options, read)
    # What few models need is imported where it is.
    if options.is_hub_module and not plan.refused:
        from migrate.plan.training import add_training

        plan = add_training(plan, meta_graph, train)
    if (options.keep_tensor_names or options.named_tensors) and not plan.refused:
        from migrate.plan.tensor_names import keep_tensor_names

        names = keep_tensor_names(meta_graph, plan, None if options.keep_tensor_names else options.named_tensors)
        plan = dataclasses.replace(plan, kept=names.tensors, findings=(*plan.findings, *names.findings))
    if options.functional and not plan.refused:
        from migrate.graph.undifferentiated import undifferentiated
        from migrate.plan.control_flow import with_functions

        graphs = (meta_graph,) if train is None else (meta_graph, train)
        plan = with_functions(plan, frozenset().union(*map(undifferentiated, graphs)))
    if not plan.refused and any(node.op in BRANCHES for function in plan.functions for node in function.node_def):
        from migrate.plan.control_flow import with_outer_reads

        plan = with_outer_reads(plan)
    return plan


def _no_signature(dropped: int) -> Finding:
    """Says that there is nothing to call, where so many signatures would be left out."""
    if dropped:
        which = "the only signature" if dropped == 1 else f"all {dropped} signatures"
        message = f"--drop_signatures would leave out {which}, so that nothing could be called"
        return refusal("no-signature", message, (), "mend what blocks one of them, or give one more with --signature")
    message = "the MetaGraphDef has no signature that could be exported"
    return refusal("no-signature", message, (), "say what to call with --signature")


def _plan(meta_graph: MetaGraphDef, options: PlanOptions, read: Read | None) -> Plan:
    """The plan of what every kind of model has."""
    prepared = _prepare(meta_graph, options.variables, read)
    source = prepared.source
    signatures = plan_signatures(source, options.drop_signatures)
    findings = [*prepared.findings, *signatures.findings]
    if not signatures.plans and (signatures.dropped or not any(f.severity is Severity.REFUSAL for f in findings)):
        findings.append(_no_signature(signatures.dropped))
    restore = _read_restore(source)
    if isinstance(restore, Finding):
        findings.append(restore)
        restore = None
    init = _init(source, restore)
    if not source.meta_graph.saver_def.restore_op_name:
        restore = restore_by_name(source.nodes, source.meta_graph, set_by(init.run))
    called = [signature.run for signature in signatures.plans]
    runs = [*called, *([init.run] if init.run else [])]
    functions, stateful = plan_functions(source, runs)
    variables, problems = plan_variables(source, called, init.run, restore, prepared.constants)
    findings += (
        *init.findings,
        *stateful,
        *problems,
        *_made_variables(variables, prepared.unfrozen, options.variables == LARGE),
    )
    tables = {} if restore is None else restore.tables
    return Plan(
        tags=tuple(sorted(source.meta_graph.meta_info_def.tags)),
        signatures=signatures.plans,
        init=init.run,
        assets=init.assets,
        variables=variables,
        tables={name: tables[name] for name in resources_of(runs) if name in tables},
        restore=restore,
        functions=functions,
        producer=source.meta_graph.graph_def.versions.producer,
        findings=tuple(dict.fromkeys(findings)),
        nodes=source.nodes if prepared.is_as_read else None,
    )


def _prepare(meta_graph: MetaGraphDef, variables: bool | str, read: Read | None) -> _Prepared:
    """Changes what no rule can rewrite where it is.

    Args:
      meta_graph: the source; it is not changed.
      variables: see `records.Options`.
      read: gives tensors of the checkpoint.
    """
    ref_ops = load_ref_ops()
    nodes = read_nodes(meta_graph)
    repaired = repair(meta_graph, nodes)
    changed = inline_ref_functions(repaired.meta_graph, ref_ops)
    constants, findings = dict(repaired.values), repaired.findings
    if read is not None and not nodes.by_op.keys().isdisjoint(RESOURCES):
        from migrate.plan.contents import with_contents  # Few models have such.

        contents = with_contents(changed, nodes if changed is meta_graph else read_nodes(changed), read)
        changed, findings = contents.meta_graph, (*findings, *contents.findings)
    if not nodes.by_op.keys().isdisjoint(NETWORKS):
        from migrate.plan.cudnn import with_known_weights  # Few models have such.

        changed = with_known_weights(changed, nodes if changed is meta_graph else read_nodes(changed))
    unfrozen = None
    if variables:
        from migrate.rewrite.constants import unfreeze  # Few are asked for it.

        result = unfreeze(changed, variables == LARGE)
        changed, unfrozen = result.meta_graph, result.values.keys()
        constants.update(result.values)
        findings += result.findings
    is_as_read = changed is meta_graph
    source = SourceGraph(changed, nodes if is_as_read else read_nodes(changed), ref_ops)
    return _Prepared(source, is_as_read, constants, unfrozen, findings)


def _read_restore(source: SourceGraph) -> Restore | Finding | None:
    """What the SaverDef's restore op does; None without one."""
    saver = source.meta_graph.saver_def
    return read_restore(source.nodes, saver) if saver.restore_op_name else None


def _init(source: SourceGraph, restore: Restore | None) -> _Init:
    """Plans the init op."""
    meta_graph, nodes = source.meta_graph, source.nodes
    targets = contract.init_ops(meta_graph)
    if not targets:
        return _Init()
    missing = [name for name in targets if name not in nodes]
    if missing:
        message = f"the init op {missing[0]!r} is not in the graph, so a loader could not run it"
        return _Init(findings=(refusal("init-op-missing", message, tuple(missing)),))
    findings = tuple(_several(meta_graph, targets))
    files = {tensor: file for tensor, file in contract.assets(meta_graph) if split(tensor)[0] in nodes}
    for tensor, file in files.items():
        why = missing_tensor(tensor, nodes, source.functions)
        if why:
            message = f"the asset {file!r} names the tensor {tensor!r}, {why}, so no loader could feed its path"
            return _Init(findings=(refusal("asset-tensor-missing", message, (tensor,)),))
    feeds: dict[str, tuple[int, object]] = {tensor: (_DT_STRING, TensorShapeProto()) for tensor in files}
    run = prune(nodes, "the init op", feeds, (), targets)
    problems = unfed_placeholders(run, run.key) or find_file_access(run, source.library, is_load=True)
    if problems:
        return _Init(findings=(*findings, *problems))
    decided = initialized.decide(run, restore.values if restore else ())
    if isinstance(decided, Finding):
        return _Init(findings=(*findings, decided))
    result = rewrite(decided, source.ref_ops)
    if not isinstance(result, Rewritten):
        return _Init(findings=(*findings, *result))
    assets = tuple((run.feeds[tensor], file) for tensor, file in files.items())
    if not assets and all(node.op == "NoOp" for node in result.graph.nodes.values()):
        return _Init(findings=findings)  # Exporters write a tf.group() of what a model does not have.
    return _Init(result, assets, (*findings, *unrunnable(result.graph, source.library)))


_DT_STRING = dtype_value("string")


def _several(meta_graph: MetaGraphDef, targets: tuple[str, ...]) -> Iterator[Finding]:
    if len(targets) > 1 and contract.init_key(meta_graph) != contract.TABLES_KEY:
        message = f"{len(targets)} init ops where TensorFlow's loaders take one; all are run"
        yield Finding("several-init-ops", Severity.WARNING, message, targets)


def _made_variables(
    variables: Sequence[VariablePlan], unfrozen: Collection[str] | None, large: bool
) -> Iterator[Finding]:
    """Says which variables were constants, where the user asks for such."""
    if unfrozen is None:
        return
    made = [variable for variable in variables if variable.identity in unfrozen]
    if not made:
        kind = "float constant of a megabyte or more" if large else "constant weight"
        message = f"--variables found no {kind} that could become a variable"
        yield Finding("no-constant-weights", Severity.WARNING, message)
        return
    names = tuple(variable.name for variable in made)
    if large:
        message = f"variables that are not trained replace {count_words(len(made), 'large constant')}"
        yield Finding("constants-to-variables", Severity.NOTE, message, names)
        return
    trained = sum(variable.trainable for variable in made)
    message = f"trainable variables replace {count_words(trained, 'constant weight')}"
    if trained < len(made):
        message += f", and ones that are not trained {count_words(len(made) - trained, 'moving statistic')}"
    yield Finding("constants-to-variables", Severity.NOTE, message, names)


def needed_nodes(plan: Plan, init: bool = True) -> Collection[NodeDef]:
    """The source's nodes that the plan's runs execute, each once; a training graph may have another op of a name.

    Args:
      plan: what convert will do.
      init: whether the init op's run is one of them.
    """
    graphs = [run.run.graph for run in plan.runs if init or run is not plan.init]
    if any(graph.is_stored for graph in graphs):
        from migrate.graph.stored import NeededNodes

        return NeededNodes(graphs)
    seen: dict[tuple[str, str], NodeDef] = {}
    for graph in graphs:
        seen.update({(name, graph.wires[name].op): node for name, node in graph.nodes.items()})
    return list(seen.values())


def needed_names(nodes: Collection[NodeDef]) -> Collection[str]:
    """The names of what `needed_nodes` gives."""
    if isinstance(nodes, list):
        return {node.name for node in nodes}
    from migrate.graph.stored import NeededNames

    return NeededNames(nodes)
