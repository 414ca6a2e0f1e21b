"""What audit says of a TF1 graph: the plan that convert carries out, and what the checks find."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.checks.dangerous_ops import find_dangerous_ops
from migrate.checks.facts import facts
from migrate.checks.initializers import leave_out_initializers
from migrate.checks.missing_assets import leave_out_needless
from migrate.checks.structure import find_unreadable_structure
from migrate.checks.subject import Subject, Wanted
from migrate.checks.table import run_checks
from migrate.errors import InputError
from migrate.escapes import flag
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.contract import shape_of
from migrate.graph.dtypes import base_name
from migrate.graph.graph import Nodes, canonical
from migrate.graph.nodes import read_nodes
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto
from migrate.option_values import FUNCTIONAL
from migrate.plan.plan import make_plan, needed_names, needed_nodes
from migrate.plan.records import Plan, PlanOptions
from migrate.plan.restore import Computed, FromCheckpoint
from migrate.records import (
    Convertible,
    DangerousOp,
    Finding,
    GivenFeed,
    GivenSignature,
    Kind,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
    Severity,
    Signature,
    gravest_first,
    refusal,
)
from migrate.rewrite.custom_gradients import with_plain_gradients
from migrate.signature_flag import to_copy
from migrate.sources.saved_model_files import WARM_UP
from migrate.sources.source import Source, choose_meta_graph, training_meta_graph
from migrate.sources.tensor_values import TensorValues

if TYPE_CHECKING:
    from migrate.checks.feeds import Fed
    from migrate.sketches import Sketch
    from migrate.verify.calls import NamedRun

# What few models need is imported where it is: an audit of one model is mostly imports.


@frozen
class StudiedGraph:
    """A TF1 graph and what is to become of it.

    Attributes:
      source: the model's files.
      meta_graph: what is converted: with the user's signatures, and constants where the user feeds tensors.
      plan: of its conversion; where the user wants plain gradients, before nodes get them.
      judged: the same without these constants: what a v1 Session is asked.
      feeds: what it is fed in each call, by full tensor name.
      train: the training graph of a TF1 Hub module.
      proposed: the signature that audit has proposed and that was taken.
    """

    source: Source
    meta_graph: MetaGraphDef
    plan: Plan
    judged: MetaGraphDef
    feeds: Mapping[str, TensorProto]
    train: MetaGraphDef | None = None
    proposed: GivenSignature | None = None


@frozen
class _Signed:
    """A graph that has the signatures which the user, its form or audit gives it.

    Attributes:
      meta_graph: the graph.
      findings: what was given, and what takes the place of a signature of its own.
      proposals: what audit proposes and was not taken.
      proposed: what audit has proposed and was taken.
    """

    meta_graph: MetaGraphDef
    findings: tuple[Finding, ...]
    proposals: tuple[GivenSignature, ...] = ()
    proposed: GivenSignature | None = None


@frozen
class _Judged:
    """A graph without what it can do without.

    Attributes:
      meta_graph: the graph.
      train: the training graph of a TF1 Hub module, or None.
      findings: what was left out.
    """

    meta_graph: MetaGraphDef
    train: MetaGraphDef | None
    findings: tuple[Finding, ...]


@frozen
class _Planned:
    """A plan, with the values that the user gives tensors or that audit proposes.

    Attributes:
      meta_graph: what is planned: the source where no tensor is fed.
      plan: of its conversion.
      fed: what is fed, if anything is.
      proposed: what of that audit has proposed.
    """

    meta_graph: MetaGraphDef
    plan: Plan
    fed: Fed | None = None
    proposed: tuple[GivenFeed, ...] = ()


def study_graph(source: Source, copied: Sequence[Finding], options: Options) -> tuple[ModelReport, StudiedGraph | None]:
    """Plans the conversion of a TF1 graph and checks it.

    Args:
      source: its files.
      copied: what is said of links among the files that are copied whole.
      options: see `records.Options`.

    Returns:
      The report, and the plan; None where the graph cannot be planned.
    """
    try:
        chosen = choose_meta_graph(source, options.tags)
    except InputError as error:
        return _refused(source, (refusal("tag-set", str(error)),), dangerous_ops(source.meta_graphs)), None
    broken = find_unreadable_structure(chosen)
    if broken:
        return _refused(source, broken), None
    signed = _signed(source, chosen, options)
    if not isinstance(signed, _Signed):
        report = _refused(source, signed, dangerous_ops(source.meta_graphs))
        return dataclasses.replace(report, meta_graphs=(facts(chosen, ()),)), None
    judged = _judged(source, chosen)
    planned = _planned(judged, source, options, named_tensors(source, options.inputs))
    report = _report(source, copied, signed, judged, planned, options)
    return report, _studied(source, signed, judged, planned, options)


def _refused(source: Source, findings: tuple[Finding, ...], dangerous: tuple[DangerousOp, ...] = ()) -> ModelReport:
    """The report of a model of which no graph is planned."""
    every = tuple(facts(m, None) for m in source.meta_graphs)
    return ModelReport(source.path, None, source.kind, Refused(), findings, meta_graphs=every, dangerous_ops=dangerous)


def _signed(source: Source, chosen: MetaGraphDef, options: Options) -> _Signed | tuple[Finding, ...]:
    """Adds signatures to the chosen graph, or says why they do not fit."""
    given = (*source.signatures, *options.signature)
    proposals = () if contract.has_signatures(chosen) or given else _proposed(chosen)
    proposed = proposals[0] if options.take_proposals and proposals else None
    findings: tuple[Finding, ...] = ()
    if proposed is not None:
        given, proposals, findings = (proposed,), (), (_taken(proposed),)
    findings += tuple(_replaced(chosen, options))
    if given:
        from migrate.checks.given_signatures import add_signatures

        problems = add_signatures(chosen, given, options.overwrite_signatures)
        if problems:
            return problems
    return _Signed(chosen, findings, proposals, proposed)


def _judged(source: Source, chosen: MetaGraphDef) -> _Judged:
    train = training_meta_graph(source, chosen)
    if train is not None and find_unreadable_structure(train):
        train = None
    judged, needless = leave_out_needless(chosen, source.assets_dir)
    judged, initializers = leave_out_initializers(judged)
    return _Judged(judged, train, (*needless, *initializers))


def named_tensors(source: Source, inputs: str | None = None) -> frozenset[str]:
    """Full names of the tensors that requests feed and fetch by name: the model's own, and those of `--inputs`."""
    runs = [*_own_runs(source)]
    if inputs is not None:
        from migrate.verify.given import named_runs_in

        runs += named_runs_in(inputs)
    return frozenset(canonical(tensor) for run in runs for tensor in (*run.feeds, *run.fetches))


def _own_runs(source: Source) -> Sequence[NamedRun]:
    path = os.path.join(source.extra_dir, WARM_UP)
    if not os.path.isfile(path):
        return ()
    from migrate.sources.files import read_file
    from migrate.verify.prediction_logs import MOST_FILE_BYTES, session_runs

    try:
        return list(session_runs(path, read_file(path, MOST_FILE_BYTES, source.boundary)))
    except InputError:  # Verification says so, and the file is kept as it is.
        return ()


def _planned(judged: _Judged, source: Source, options: Options, named: frozenset[str]) -> _Planned:
    """Plans a graph."""
    meta_graph, train, wanted = judged.meta_graph, judged.train, plan_options(source.kind, options, named)
    read = TensorValues(source.checkpoint, source.boundary).read
    if not options.feed:
        plan = make_plan(meta_graph, train, wanted, read)
        if not (options.take_proposals and any(f.code == "unfed-placeholder" for f in plan.findings)):
            return _Planned(meta_graph, plan)
    from migrate.checks.feeds import Fed, apply_feeds, propose_feeds, proposed_finding

    fed = apply_feeds(meta_graph, options.feed)
    plan = make_plan(fed.meta_graph, train, wanted, read)
    unfed = [name for f in plan.findings if f.code == "unfed-placeholder" for name in f.nodes]
    proposed = propose_feeds(fed.meta_graph, dict.fromkeys(unfed)) if options.take_proposals and unfed else ()
    if proposed:
        more = apply_feeds(meta_graph, (*options.feed, *proposed))
        fed = Fed(more.meta_graph, more.values, (*more.findings, proposed_finding(proposed)))
        plan = make_plan(fed.meta_graph, train, wanted, read)
    return _Planned(fed.meta_graph, plan, fed, proposed)


def plan_options(kind: Kind, options: Options, named: frozenset[str] = frozenset()) -> PlanOptions:
    """What the user wants of the plan of a model, whose own requests name some tensors."""
    is_hub_module = kind is Kind.TF1_HUB_MODULE
    return PlanOptions(
        options.drop_signatures,
        options.variables,
        options.keep_tensor_names,
        is_hub_module,
        named,
        options.control_flow == FUNCTIONAL,
    )


def _studied(source: Source, signed: _Signed, judged: _Judged, planned: _Planned, options: Options) -> StudiedGraph:
    """What convert and validate go on with."""
    meta_graph, train, asked = planned.meta_graph, judged.train, judged.meta_graph
    if not planned.plan.refused and any(finding.code == "frozen-variable" for finding in planned.plan.findings):
        from migrate.rewrite.damaged_freeze import repair, with_values

        asked = with_values(repair(asked, read_nodes(asked)))
    if options.plain_gradients:
        meta_graph = with_plain_gradients(meta_graph)
        train = with_plain_gradients(train) if train is not None else None
    feeds = planned.fed.values if planned.fed is not None else {}
    return StudiedGraph(source, meta_graph, planned.plan, asked, feeds, train, signed.proposed)


def _report(
    source: Source, copied: Sequence[Finding], signed: _Signed, judged: _Judged, planned: _Planned, options: Options
) -> ModelReport:
    plan, meta_graph, original = planned.plan, planned.meta_graph, signed.meta_graph
    needed = needed_nodes(plan)
    found = dict.fromkeys(
        (
            *source.findings,
            *signed.findings,
            *copied,
            *_not_taken(source, (original, judged.train if plan.training and plan.training.call else None), options),
            *judged.findings,
            *(planned.fed.findings if planned.fed is not None else ()),
            *_with_proposal(plan.findings, signed.proposals, judged.meta_graph),
            *run_checks(_subject(source, planned, needed, options)),
        )
    )
    others = tuple(facts(m, None) for m in source.meta_graphs if m is not original)
    every = [meta_graph if m is original else m for m in source.meta_graphs]
    own = facts(meta_graph, None if plan.refused else needed_names(needed))
    return ModelReport(
        source.path,
        None,
        source.kind,
        Refused() if any(finding.severity is Severity.REFUSAL for finding in found) else Convertible(),
        gravest_first(found),
        meta_graphs=(own, *others),
        proposals=signed.proposals,
        dangerous_ops=dangerous_ops(every, meta_graph, plan.nodes, own.signatures),
        sketches=_sketches(plan) if options.details else (),
        proposed=_taken_options(signed.proposed, planned.proposed, options),
    )


def _subject(source: Source, planned: _Planned, needed: Collection[NodeDef], options: Options) -> Subject:
    """The planned model as the checks look at it."""
    plan = planned.plan
    wanted = tuple(
        Wanted(v.name, v.value.key, v.value.slice_spec, base_name(v.dtype), shape_of(v.shape))
        for v in plan.variables
        if isinstance(v.value, FromCheckpoint)
    )
    computed = [(v.name, v.value.reads) for v in plan.variables if isinstance(v.value, Computed)]
    wanted += tuple(Wanted(name, r.key, r.slice_spec, None, None) for name, reads in computed for r in reads)
    is_restored = bool(wanted or computed)
    called = None if plan.init is None else lambda: needed_nodes(plan, init=False)
    return Subject(source, planned.meta_graph, needed, called, len(plan.variables), wanted, is_restored, options)


def _proposed(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    from migrate.checks.proposals import propose

    return propose(meta_graph)


def _taken(proposal: GivenSignature) -> Finding:
    message = f"the graph has no signature; it was given the first proposed one, {to_copy(proposal)}"
    hint = "check that these are the inputs and outputs you want; otherwise pass --signature"
    return Finding("signature-proposed", Severity.WARNING, message, (), hint)


def _replaced(meta_graph: MetaGraphDef, options: Options) -> Iterator[Finding]:
    """Says which of the model's own signatures the user's take the place of."""
    for signature in options.signature:
        if signature.key in meta_graph.signature_def:
            message = (
                f"the signature {signature.key!r} is the one that --signature gives, as --overwrite_signatures says"
            )
            yield Finding("signature-replaced", Severity.NOTE, message)


def _sketches(plan: Plan) -> tuple[Sketch, ...]:
    from migrate.plan.sketch import sketch

    return tuple(filter(None, map(sketch, plan.runs)))


def _taken_options(
    signature: GivenSignature | None, feeds: tuple[GivenFeed, ...], options: Options
) -> ModelOptions | None:
    """What was taken of audit's proposals, as options."""
    if signature is None and not feeds:
        return None
    return ModelOptions(
        signature=None if signature is None else (signature,), feed=(*options.feed, *feeds) if feeds else None
    )


def _with_proposal(
    findings: Iterable[Finding], proposals: Sequence[GivenSignature], meta_graph: MetaGraphDef
) -> Iterator[Finding]:
    for finding in findings:
        if finding.code == "unfed-placeholder":
            from migrate.checks.feeds import with_proposals

            yield with_proposals(finding, meta_graph)
            continue
        if finding.code == "no-signature" and proposals:
            hint = f"say what to call, or give --take_proposals; for example {to_copy(proposals[0])}"
            yield dataclasses.replace(finding, hint=hint)
        else:
            yield finding


def _not_taken(source: Source, taken: Sequence[MetaGraphDef | None], options: Options) -> Iterator[Finding]:
    """Says of each MetaGraphDef that was not taken whether it could be converted."""
    wanted = PlanOptions(options.drop_signatures, options.variables)
    read = TensorValues(source.checkpoint, source.boundary).read
    for meta_graph in source.meta_graphs:
        if any(meta_graph is other for other in taken):
            continue
        tags = ",".join(sorted(meta_graph.meta_info_def.tags))
        found = find_unreadable_structure(meta_graph)
        found = found or make_plan(meta_graph, None, wanted, read).findings
        codes = sorted({finding.code for finding in found if finding.severity is Severity.REFUSAL})
        told = f"is refused ({', '.join(codes)})" if codes else "can be converted as well"
        message = f"the meta graph with the tags {{{tags.replace(',', ', ')}}} was not taken; it {told}"
        one = _tags_flag(meta_graph.meta_info_def.tags)
        hint = f"take it with {one}, or every one with --all_tags" if one else "take every one with --all_tags"
        yield Finding("other-meta-graph", Severity.NOTE, message, (), hint)


def _tags_flag(tags: Iterable[str]) -> str | None:
    """The flag for a tag set; None for one that it cannot say, since it drops the spaces around a tag."""
    if any(tag != tag.strip() or not tag for tag in tags):
        return None
    listed = ('"' + tag.replace('"', '""') + '"' if set(tag) & {",", '"'} else tag for tag in sorted(tags))
    return flag("tags", ",".join(listed))


def dangerous_ops(
    meta_graphs: Iterable[MetaGraphDef],
    planned: MetaGraphDef | None = None,
    nodes: Nodes | None = None,
    signatures: Sequence[Signature] | None = None,
) -> tuple[DangerousOp, ...]:
    """The dangerous ops of all meta graphs; nodes and signatures of the planned one may have been read."""
    found: list[DangerousOp] = []
    for meta_graph in meta_graphs:
        read, given = (nodes, signatures) if meta_graph is planned else (None, None)
        found += find_dangerous_ops(meta_graph, read_nodes(meta_graph) if read is None else read, given)
    return tuple(found)
