"""Reads and judges one model: what audit reports is the plan that convert carries out. Starts no TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.checks import contract
from migrate.checks.checkpoint import Wanted, check_entries
from migrate.checks.contract import assets, shape_of
from migrate.checks.dangerous_ops import find_dangerous_ops
from migrate.checks.devices import find_device_pins
from migrate.checks.facts import facts
from migrate.checks.forgiven import find_forgiven
from migrate.checks.initializers import leave_out_initializers
from migrate.checks.missing_assets import leave_out_needless
from migrate.checks.nodes import Located, locate
from migrate.checks.randomness import find_random_ops
from migrate.checks.side_effects import find_side_effects
from migrate.checks.structure import find_unreadable_structure
from migrate.errors import InputError
from migrate.escapes import flag
from migrate.frozen import frozen
from migrate.records import (
    AlreadyTF2,
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
    Unreadable,
    gravest_first,
    refusal,
)
from migrate.rewrite.custom_gradients import find_custom_gradients, with_plain_gradients
from migrate.rewrite.graph import Nodes, read_nodes
from migrate.rewrite.plan import Plan, make_plan, needed_names, needed_nodes
from migrate.rewrite.restore import Computed, FromCheckpoint
from migrate.signature_flag import to_copy
from migrate.sources.boundary import Boundary, boundary_of
from migrate.sources.bundle import check_shards, index_file, read_bundle
from migrate.sources.copies import Kind as EntryKind
from migrate.sources.copies import entries
from migrate.sources.discover import Place
from migrate.sources.dtypes import base_name
from migrate.sources.links import find_copied, find_links
from migrate.sources.protos import MetaGraphDef, NodeDef, TensorProto
from migrate.sources.read import KERAS_FORMS, chosen_among, opened, read_source
from migrate.sources.size import stored_bytes
from migrate.sources.sniff import Form, is_v1_checkpoint
from migrate.sources.source import Source, choose_meta_graph, training_meta_graph
from migrate.sources.watch import OWN_BYTES, Watch

_SHARDS_TOLD = 10

_TF2 = frozenset({Kind.TF2_SAVED_MODEL, Kind.KERAS_SAVED_MODEL})

if TYPE_CHECKING:
    from migrate.checks.feeds import Fed
    from migrate.sketches import Sketch
    from migrate.sources.keras import KerasSource  # What few models need is imported where they come.


@frozen
class Studied:
    """A model that was found and judged.

    Attributes:
      report: what audit says.
      place: where it lies; None where nothing could be found.
      graph: the source and its plan, or None: it is unreadable, TF2, a Keras file, has no such tag set or no graph.
      keras: a Keras file's content, or None for anything else.
    """

    report: ModelReport
    place: Place | None = None
    graph: StudiedGraph | None = None
    keras: KerasSource | None = None


@frozen
class StudiedGraph:
    """A TF1 graph and what is to become of it.

    Attributes:
      source: the model's files.
      meta_graph: what is converted: with the user's signatures, and constants where the user feeds tensors.
      plan: of its conversion.
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


def audit_model(path: str, options: Options) -> ModelReport:
    """Says what one model is and whether `convert_model` would convert it."""
    with study(path, options) as studied:
        return studied.report


def tag_sets(path: str, options: Options) -> tuple[frozenset[str], ...]:
    """The tag sets of a TF1 model with several MetaGraphDefs, each once; none for any other model or what is none."""
    try:
        watch = watch_over(options)
        with opened(path, options.follow_links, watch) as place:
            if place.form is not Form.SAVED_MODEL:
                return ()
            with watch.running(path):
                source = read_source(place, path)
    except InputError:
        return ()
    if source.kind in _TF2 or len(source.meta_graphs) < 2:
        return ()
    return tuple(dict.fromkeys(frozenset(m.meta_info_def.tags) for m in source.meta_graphs))


@contextlib.contextmanager
def study(path: str, options: Options, is_whole: bool = False) -> Iterator[Studied]:
    """Reads a model and plans its conversion. Its files, which may be an archive's, stay until the block ends.

    Args:
      path: what the user calls it.
      options: what the user wants.
      is_whole: see `Watch`.
    """
    seconds: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        with timed(seconds, "audit"):
            size = None
            place = None
            try:
                watch = watch_over(options, is_whole)
                place = stack.enter_context(opened(path, options.follow_links, watch))
                size = stored_bytes(path, place)
                with watch.running(path):
                    studied = _within_bounds(place, path, options, watch)
                    watch.check()
                    _check_report(studied.report, watch)
            except InputError as error:
                studied = Studied(ModelReport(path, None, Kind.UNKNOWN, Unreadable(str(error))))
            if place is not None and place.unpacked is not None:
                studied = dataclasses.replace(studied, report=_in_archive(studied.report, place.unpacked))
        report = dataclasses.replace(studied.report, seconds=seconds, bytes=size)
        yield dataclasses.replace(studied, report=report)


def watch_over(options: Options, is_whole: bool = False) -> Watch:
    """The watch over an audit, which begins."""
    changes = options.feed or options.variables or options.plain_gradients or options.keep_tensor_names
    return Watch(
        options.graph_memory_bytes, options.audit_seconds, options.unpacked_bytes, not changes, is_whole=is_whole
    )


def _within_bounds(place: Place, path: str, options: Options, watch: Watch) -> Studied:
    links = link_findings(place, path, options)
    if any(finding.severity is Severity.REFUSAL for finding in links):
        return Studied(ModelReport(path, None, Kind.UNKNOWN, Refused(), links), place)
    watch.check()
    return _with_findings(_studied(place, path, options), links)


def _check_report(report: ModelReport, watch: Watch) -> None:
    """Sees to it that what is said of a model takes no more memory than reading it may.

    Raises:
      InputError: it takes more.
    """
    _check_values(_values(report), report.source, watch)


def _check_signatures(source: Source, watch: Watch) -> None:
    """Refuses signatures whose report would be refused, before each of them is planned.

    Raises:
      InputError: they are too many.
    """
    found = 0
    for meta_graph in source.meta_graphs:
        for definition in meta_graph.signature_def.values():
            found += _VALUES_A_SIGNATURE + _VALUES_A_TENSOR * (len(definition.inputs) + len(definition.outputs))
    _check_values(found, source.path, watch)


def _check_values(values: int, path: str, watch: Watch) -> None:
    taken = _REPORT_BYTES * values
    if taken > watch.bytes_allowed - OWN_BYTES:
        raise InputError(f"{path}: {watch.memory_message(f'at least {taken >> 20:,} MB for its report')}")


_VALUES_A_SIGNATURE, _VALUES_A_TENSOR = 5, 7
"""What `_values` counts of a signature without tensors, and of a tensor of unknown shape, at least."""


_REPORT_BYTES = 600
"""Of each value in a report, once it is written as JSON (measured: 450 to 520)."""


def _values(report: ModelReport) -> int:
    """How many values a report has; a long text counts as several."""
    found = 0
    pending: list[object] = [report]
    while pending:
        value = pending.pop()
        found += 1
        if isinstance(value, str):
            found += len(value) >> 6
        elif isinstance(value, (tuple, frozenset)):
            pending += value
        elif isinstance(value, Mapping):
            found += len(value)
            pending += value.values()
        elif dataclasses.is_dataclass(value):
            pending += vars(value).values()
    return found


def link_findings(place: Place, path: str, options: Options) -> tuple[Finding, ...]:
    """What is to be said of links among a model's files; a refusal means that none of them was opened."""
    return tuple(find_links(place, _own_boundary(place, path), options.follow_links))


def _own_boundary(place: Place, path: str) -> Boundary:
    """Where a model's own files are, whether links may lead elsewhere or not."""
    if place.boundary is not None:
        return place.boundary
    return boundary_of(path if place.unpacked is None else place.unpacked)


def refuse_links(path: str, options: Options) -> None:
    """Looks again whether links lead out of a model.

    Raises:
      InputError: they do, or there is no model.
    """
    with _without_links(path, options):
        pass


@contextlib.contextmanager
def _without_links(path: str, options: Options) -> Iterator[Place]:
    """A model in which no link leads out of it.

    Raises:
      InputError: one does, or there is no model.
    """
    with opened(path, options.follow_links, watch_over(options)) as place:
        for finding in link_findings(place, path, options):
            if finding.severity is Severity.REFUSAL:
                raise InputError(f"{path}: {finding.message}; {finding.hint}")
        yield place


def check_candidate_files(path: str, options: Options) -> None:
    """Looks at the files of a candidate before TensorFlow opens them: it would wait for the writer of a pipe.

    Raises:
      InputError: links lead out of it, one of its files is no regular file, or there is no model.
    """
    with _without_links(path, options) as place:
        if not os.path.isdir(place.file):
            return
        for entry in entries(place.file, None if options.follow_links else _own_boundary(place, path)):
            if entry.kind is EntryKind.NOT_COPIED:
                raise InputError(f"{path}: {entry.name} {entry.target}; put a file in its place or remove it")


def _with_findings(studied: Studied, found: Sequence[Finding]) -> Studied:
    findings = gravest_first(dict.fromkeys((*found, *studied.report.findings)))
    return dataclasses.replace(studied, report=dataclasses.replace(studied.report, findings=findings))


def _in_archive(report: ModelReport, directory: str) -> ModelReport:
    """Calls files by the archive's name: the directory that it was unpacked into is gone when the report is read."""

    def spell(text: str) -> str:
        return text.replace(directory, report.source)

    outcome = report.outcome
    if isinstance(outcome, Unreadable):
        outcome = Unreadable(spell(outcome.reason))
    findings = tuple(
        dataclasses.replace(f, message=spell(f.message), nodes=tuple(map(spell, f.nodes)), hint=spell(f.hint))
        for f in report.findings
    )
    return dataclasses.replace(report, outcome=outcome, findings=findings)


def _studied(place: Place, path: str, options: Options) -> Studied:
    if place.form in KERAS_FORMS or place.form is Form.TABLE:
        from migrate.fleet.keras_study import study_keras

        keras = study_keras(place, path, options)
        if keras is not None:
            return Studied(keras[0], place, keras=keras[1])
        return Studied(_checkpoint_alone(place, path), place)
    source = dataclasses.replace(read_source(place, path), path=path)
    if place.watch is not None:
        _check_signatures(source, place.watch)
    report = ModelReport(path, None, source.kind, AlreadyTF2())
    copied = tuple(find_copied(place, _copied(source, place), _own_boundary(place, path), options.follow_links))
    if source.kind in _TF2:
        report = dataclasses.replace(report, dangerous_ops=_dangerous_ops(source.meta_graphs))
        every = tuple(facts(m, {n.name for n in m.graph_def.node}) for m in source.meta_graphs)
        copied += tuple(_signatures_of_tf2(source, options))
        refused = any(finding.severity is Severity.REFUSAL for finding in copied)
        outcome = Refused() if refused else AlreadyTF2()
        return Studied(dataclasses.replace(report, outcome=outcome, findings=copied, meta_graphs=every), place)
    try:
        chosen = choose_meta_graph(source, options.tags)
    except InputError as error:
        every = tuple(facts(m, ()) for m in source.meta_graphs)
        report = dataclasses.replace(report, dangerous_ops=_dangerous_ops(source.meta_graphs))
        findings = (refusal("tag-set", str(error)),)
        return Studied(dataclasses.replace(report, outcome=Refused(), findings=findings, meta_graphs=every), place)
    broken = find_unreadable_structure(chosen)
    if broken:
        every = tuple(facts(m, ()) for m in source.meta_graphs)
        return Studied(dataclasses.replace(report, outcome=Refused(), findings=broken, meta_graphs=every), place)
    given = (*source.signatures, *options.signature)
    proposals = () if contract.has_signatures(chosen) or given else _proposed(chosen)
    proposed = None
    if options.take_proposals and proposals:
        proposed = proposals[0]
        given, proposals = proposals[:1], ()
        source = dataclasses.replace(source, findings=(*source.findings, _taken(given[0])))
    replaced = tuple(_replaced(chosen, options))
    problems = _add_signatures(chosen, given, options.overwrite_signatures) if given else ()
    if problems:
        report = dataclasses.replace(
            report,
            outcome=Refused(),
            findings=problems,
            meta_graphs=(facts(chosen, ()),),
            dangerous_ops=_dangerous_ops(source.meta_graphs),
        )
        return Studied(report, place)
    original = chosen
    judged, left_out = leave_out_needless(chosen, source.assets_dir)
    judged, no_init = leave_out_initializers(judged)
    chosen, plan, fed, values = _planned(judged, options)
    if not plan.refused and any(finding.code == "frozen-variable" for finding in plan.findings):
        from migrate.rewrite.damaged_freeze import repair, with_values

        judged = with_values(repair(judged, read_nodes(judged)))
    train = training_meta_graph(source, original)
    if train is not None and find_unreadable_structure(train):
        train = None
    if source.kind is Kind.TF1_HUB_MODULE and not plan.refused:
        from migrate.rewrite.training import add_training

        plan = add_training(plan, chosen, train)
    needed = needed_nodes(plan)
    names = needed_names(needed)
    others = tuple(facts(m, ()) for m in source.meta_graphs if m is not original)
    kept = _kept_names(chosen, plan) if options.keep_tensor_names and not plan.refused else ()
    found = dict.fromkeys(
        (
            *source.findings,
            *replaced,
            *copied,
            *_others(source, (original, train) if plan.training and plan.training.call else (original,), options),
            *left_out,
            *no_init,
            *(fed.findings if fed is not None else ()),
            *_with_proposal(plan.findings, proposals, judged),
            *kept,
            *_checks(chosen, plan, needed, options),
            *_files(source, chosen, plan),
        )
    )
    refused = any(finding.severity is Severity.REFUSAL for finding in found)
    report = dataclasses.replace(
        report,
        outcome=Refused() if refused else Convertible(),
        findings=gravest_first(found),
        meta_graphs=(facts(chosen, names), *others),
        proposals=proposals,
        dangerous_ops=_dangerous_ops([chosen if m is original else m for m in source.meta_graphs], chosen, plan.nodes),
        sketches=_sketches(plan) if options.details else (),
        proposed=_taken_options(proposed, values, options),
    )
    if options.plain_gradients:
        chosen, train = with_plain_gradients(chosen), with_plain_gradients(train) if train is not None else None
    return Studied(
        report,
        place,
        StudiedGraph(source, chosen, plan, judged, fed.values if fed is not None else {}, train, proposed),
    )


# What few models need is imported where it is: an audit of one model is mostly imports.


def _copied(source: Source, place: Place) -> str:
    """The directory of a source that is copied whole."""
    return place.file if source.kind in _TF2 else source.extra_dir


def _signatures_of_tf2(source: Source, options: Options) -> Iterator[Finding]:
    """Refuses `--signature` for what is copied as it is."""
    if not options.signature:
        return
    keys = tuple(signature.key for signature in options.signature)
    message = "a TF2 SavedModel is copied as it is, and --signature names tensors of a graph, which its functions hide"
    hint = (
        "in Python: model = tf.saved_model.load(PATH); tf.saved_model.save(model, NEW, signatures={**model.signatures, "
        "NAME: a tf.function with an input_signature that calls what the model has})"
    )
    if source.kind is Kind.KERAS_SAVED_MODEL:
        hint = (
            "in Python: model = tf_keras.models.load_model(PATH); tf_keras.Model(model.inputs, "
            'model.get_layer(LAYER).output).save(NEW, save_format="tf") is a model of what a layer gives'
        )
    yield refusal("tf2-signature", message, keys, hint)


def _proposed(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    from migrate.checks.proposals import propose

    return propose(meta_graph)


def _taken(proposal: GivenSignature) -> Finding:
    message = f"the graph has no signature; it was given the first proposed one, {to_copy(proposal)}"
    hint = "look whether these are the inputs and outputs that are wanted, else give it another one"
    return Finding("signature-proposed", Severity.WARNING, message, (), hint)


def _add_signatures(meta_graph: MetaGraphDef, given: Sequence[GivenSignature], overwrite: bool) -> tuple[Finding, ...]:
    from migrate.checks.given_signatures import add_signatures

    return add_signatures(meta_graph, given, overwrite)


def _replaced(meta_graph: MetaGraphDef, options: Options) -> Iterator[Finding]:
    """Says which of the model's own signatures the user's take the place of."""
    for signature in options.signature:
        if signature.key in meta_graph.signature_def:
            message = (
                f"the signature {signature.key!r} is the one that --signature gives, as --overwrite_signatures says"
            )
            yield Finding("signature-replaced", Severity.NOTE, message)


def _kept_names(meta_graph: MetaGraphDef, plan: Plan) -> tuple[Finding, ...]:
    from migrate.rewrite.tensor_names import keep_tensor_names

    return keep_tensor_names(meta_graph, plan).findings


def _sketches(plan: Plan) -> tuple[Sketch, ...]:
    from migrate.rewrite.sketch import sketch

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


def _planned(
    meta_graph: MetaGraphDef, options: Options
) -> tuple[MetaGraphDef, Plan, Fed | None, tuple[GivenFeed, ...]]:
    """Plans a MetaGraphDef with the values that the user gives its tensors, or that audit proposes.

    Returns:
      What is planned: the source where no tensor is fed; the plan; what is fed, if anything is; and what of that audit
      has proposed.
    """
    if not options.feed:
        plan = make_plan(meta_graph, options.drop_signatures, options.variables)
        if not (options.take_proposals and any(f.code == "unfed-placeholder" for f in plan.findings)):
            return meta_graph, plan, None, ()
    from migrate.checks.feeds import Fed, apply_feeds, propose_feeds, proposed_finding

    fed = apply_feeds(meta_graph, options.feed)
    plan = make_plan(fed.meta_graph, options.drop_signatures, options.variables)
    unfed = [name for f in plan.findings if f.code == "unfed-placeholder" for name in f.nodes]
    proposed = propose_feeds(fed.meta_graph, dict.fromkeys(unfed)) if options.take_proposals and unfed else ()
    if proposed:
        more = apply_feeds(meta_graph, (*options.feed, *proposed))
        fed = Fed(more.meta_graph, more.values, (*more.findings, proposed_finding(proposed)))
        plan = make_plan(fed.meta_graph, options.drop_signatures, options.variables)
    return fed.meta_graph, plan, fed, proposed


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


def _others(source: Source, taken: Sequence[MetaGraphDef | None], options: Options) -> Iterator[Finding]:
    """Says of each MetaGraphDef that was not taken whether it could be converted."""
    for meta_graph in source.meta_graphs:
        if any(meta_graph is other for other in taken):
            continue
        tags = ",".join(sorted(meta_graph.meta_info_def.tags))
        found = find_unreadable_structure(meta_graph)
        found = found or make_plan(meta_graph, options.drop_signatures, options.variables).findings
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


def _checkpoint_alone(place: Place, path: str) -> ModelReport:
    """Describes a checkpoint without a graph.

    Raises:
      InputError: it cannot be read.
    """
    from migrate.checks.checkpoint_facts import of_bundle, of_v1

    checkpoint = place.checkpoint or place.path
    findings: tuple[Finding, ...] = ()
    if is_v1_checkpoint(checkpoint):
        from migrate.sources.v1_checkpoint import read_v1_checkpoint

        known = of_v1(read_v1_checkpoint(checkpoint, place.boundary))
    else:
        bundle = read_bundle(checkpoint, place.boundary)
        known, findings = of_bundle(bundle), check_shards(bundle, place.boundary)
    if known.object_based:
        from migrate.sources.keras import WEIGHTED_LAYER

        message = "an object-based checkpoint without its objects: values by the attributes of a Python program"
        hint = "build the model with its own code, restore it with tf.train.Checkpoint, and save it as a SavedModel"
        if any(WEIGHTED_LAYER in tensor.name for tensor in known.tensors):
            own = "put the model's JSON (Model.to_json) beside them, or pass its path with --architecture=FILE"
            hint = f"{own}; or {hint}"
    else:
        message = "a checkpoint without a graph: values by name, and nothing that says what to compute with them"
        hint = "bring its .meta file along, or build the graph with the model's code and save it with tf.train.Saver"
    if os.path.basename(os.path.dirname(place.path)) == "variables":
        message += "; the saved_model.pb that belongs to it is missing"
    from migrate.sources.keras_files import unfit_beside

    unfit = unfit_beside(checkpoint, place.boundary)
    if unfit:
        message = f"{message.partition(':')[0]}; {unfit}"
    alone = refusal("checkpoint-without-graph", message, (place.path,), hint)
    findings = (*chosen_among(place), alone, *findings)
    return ModelReport(path, None, Kind.CHECKPOINT, Refused(), findings, checkpoint=known)


def _dangerous_ops(
    meta_graphs: Iterable[MetaGraphDef], planned: MetaGraphDef | None = None, nodes: Nodes | None = None
) -> tuple[DangerousOp, ...]:
    """The dangerous ops of all meta graphs; the nodes of the planned one may have been read."""
    found: list[DangerousOp] = []
    for meta_graph in meta_graphs:
        read = nodes if meta_graph is planned else None
        found += find_dangerous_ops(meta_graph, read_nodes(meta_graph) if read is None else read)
    return tuple(found)


def _checks(meta_graph: MetaGraphDef, plan: Plan, needed: Collection[NodeDef], options: Options) -> Iterator[Finding]:
    library = meta_graph.graph_def.library
    located = locate(needed, library)

    def called() -> Collection[Located]:
        return locate(needed_nodes(plan, init=False), library)

    yield from find_forgiven(meta_graph, needed)
    functions = frozenset(function.signature.name for function in library.function)
    yield from find_side_effects(located, functions, called if plan.init is not None else None)
    yield from find_random_ops(located)
    yield from find_device_pins(located)
    yield from find_custom_gradients(located, options.plain_gradients)


def _files(source: Source, meta_graph: MetaGraphDef, plan: Plan) -> Iterator[Finding]:
    """Findings about the files beside the proto: checkpoint and assets."""
    for _, file in assets(meta_graph):
        path = os.path.normpath(os.path.join(source.assets_dir, file))
        if not path.startswith(os.path.normpath(source.assets_dir) + os.sep) or os.path.isabs(file):
            yield refusal("asset-escapes", f"the asset {file!r} lies outside the model's assets/ directory", (file,))
        elif not os.path.isfile(path):
            yield refusal("asset-missing", f"the asset {path} is missing, and the init op names it", (file,))
    wanted = []
    for variable in plan.variables:
        dtype, shape = base_name(variable.dtype), shape_of(variable.shape)
        if isinstance(variable.value, FromCheckpoint):
            wanted.append(Wanted(variable.name, variable.value.key, variable.value.slice_spec, dtype, shape))
    reads = bool(wanted) or any(isinstance(v.value, Computed) for v in plan.variables)
    if not reads:
        return
    if source.checkpoint is None:
        return
    try:
        if is_v1_checkpoint(source.checkpoint):
            from migrate.sources.v1_checkpoint import read_v1_checkpoint

            old = read_v1_checkpoint(source.checkpoint, source.boundary)
            for file in old.missing[:_SHARDS_TOLD]:  # Each says how many there are; a name may promise 99,999.
                message = (
                    f"{file}: no such file; {len(old.files)} of {len(old.files) + len(old.missing)} shards are there"
                )
                yield refusal("checkpoint-shard-missing", message, (file,), "Copy all shards of the checkpoint.")
            if not old.missing:
                yield from check_entries(wanted, old.tensors, source.checkpoint)
            return
        bundle = read_bundle(source.checkpoint, source.boundary)
    except InputError as error:
        yield refusal(
            "checkpoint-unreadable",
            str(error),
            hint=f"{len(plan.variables)} variable(s) get their values from it; bring the checkpoint along",
        )
        return
    yield from check_shards(bundle, source.boundary)
    yield from check_entries(wanted, bundle.entries, index_file(bundle.prefix))


@contextlib.contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Adds the wall time of a block to `seconds`, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start
