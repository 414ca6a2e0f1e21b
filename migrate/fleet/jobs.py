"""One model's way through the house, from its directory to its `ModelReport`. Every ending is a value.

`run` is that way as a job for a child process: reading, planning and comparing take their time in Python, so each model
has a process for itself, which forks again for what needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from migrate import ahead
from migrate.checks.contract import assets, signatures
from migrate.checks.side_effects import RISKS
from migrate.confinement import in_force
from migrate.errors import InputError
from migrate.escapes import quoted
from migrate.events import called
from migrate.export.job import Exported, ExportJob, checkpoint_in
from migrate.export.publish import check_destination, publish, staging
from migrate.export.weights import Done, put, take_over
from migrate.export.weights import run as carry_weights
from migrate.fleet import confined
from migrate.fleet.job import AuditJob, ConvertJob, ValidateJob
from migrate.fleet.judgement import judged
from migrate.fleet.keras import keras_way
from migrate.fleet.provenance import digest, provenance
from migrate.fleet.selection import renamed
from migrate.fleet.session_answers import SessionAnswers
from migrate.fleet.standing import sign, source_digest
from migrate.fleet.study import (
    Studied,
    StudiedGraph,
    audit_model,
    check_candidate_files,
    refuse_links,
    study,
    timed,
    watch_over,
)
from migrate.fleet.template import calls_of
from migrate.fleet.tf2 import differing_names, signatures_of, tf2_way, unsafe
from migrate.fleet.way import Taking, Way
from migrate.forks import Counted, Forks, Runner, say
from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    Crashed,
    Failed,
    Finding,
    Kind,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Severity,
    Signature,
    Unchanged,
    Unreadable,
    Unverified,
    Validated,
    Verification,
)
from migrate.rewrite.plan import SignaturePlan
from migrate.rewrite.restore import FromCheckpoint
from migrate.signature_flag import to_copy
from migrate.sources.boundary import boundary_of
from migrate.sources.bundle import index_file
from migrate.sources.copies import copy_tree, tree_bytes
from migrate.sources.fingerprint import digest_of, fingerprint
from migrate.sources.protos import MetaGraphDef
from migrate.sources.saved_model import read_saved_model
from migrate.sources.sniff import is_v1_checkpoint
from migrate.sources.source import Source
from migrate.verify import RANDOM, Ending
from migrate.verify.calls import SPARSE_PARTS, Golden
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.contract import Asked, Candidate, Files, contract_differences

Progress = Callable[[str], None]
"""Takes one line that says what is being done now."""
Calls = Callable[[ModelReport], tuple[str, Mapping[str, str]]]
"""Makes a file with calls to begin with, see `template.calls_of`."""

_TEMPLATE_LINES, _TEMPLATE_BYTES = 60, 4000
"""A file with calls that is larger is not shown in a report."""

_WEIGHTS = "weights"
"""Directory beside the staged model, for data files whose names are not known yet."""

_MOST_DATA_FILES = 99_999  # Their names have five digits (tensor_bundle, naming.cc).


def run(job: ConvertJob | AuditJob | ValidateJob) -> ModelReport:
    """Carries a job out, in a process of its own."""
    say("reading")
    if isinstance(job, AuditJob):
        return judged(audit_model(job.path, job.options), job.options)
    with _runner(job.options, lambda call, calls: say(called(call, calls))) as nursery:
        if isinstance(job, ValidateJob):
            try:
                return validate_model(job.candidate, job.path, job.options, nursery, say)
            except InputError as error:
                outcome = Unreadable(str(error))
                return ModelReport(job.path, job.candidate, Kind.UNKNOWN, outcome, is_validation=True)
        return convert_model(
            job.path, job.destination, job.options, nursery, say, replace=job.replace, identity=job.identity
        )


def _runner(options: Options, counted: Counted) -> contextlib.AbstractContextManager[Runner]:
    """What runs the steps: a fork that has been importing TensorFlow meanwhile, where there is one."""
    found = ahead.place()
    limit = options.memory_limit_bytes
    return contextlib.nullcontext(Forks(limit, counted)) if found is None else ahead.Ahead(found, limit, counted)


def convert_model(
    path: str,
    destination: str,
    options: Options,
    nursery: Runner,
    progress: Progress,
    *,
    replace: bool = False,
    identity: str | None = None,
) -> ModelReport:
    """Converts one model.

    Args:
      path: the source's directory; it is only read.
      destination: directory that the new model is to have.
      options: see `records.Options`.
      nursery: makes the child processes.
      progress: told what is being done.
      replace: see `ConvertJob`; so does `options.overwrite`.
      identity: see `ConvertJob`.

    Returns:
      The report. Only with the outcomes `Converted` and `Unchanged` something stands at the destination.
    """
    overwrite = replace or options.overwrite

    def finish(staged: str) -> None:
        files = fingerprint(path)
        if identity is not None and (None if files is None else files.identity) != identity:
            raise InputError(f"{path}: was changed while it was converted; nothing was written, convert it again")
        if not options.follow_links:
            refuse_links(path, options)
        sign(staged, files)
        publish(staged, destination, overwrite)

    with study(path, options, is_whole=True) as studied:
        findings = (*studied.report.findings, *renamed(path, destination))
        base = dataclasses.replace(studied.report, destination=destination, findings=findings)
        seconds = dict(base.seconds)
        try:
            check_destination(path, destination, overwrite)
            _check_space(studied, destination)
            if isinstance(base.outcome, AlreadyTF2) and studied.place is not None:
                progress("copying")
                with timed(seconds, "copy"), staging(destination) as staged:
                    copy_tree(studied.place.file, staged, studied.place.boundary)
                    finish(staged)
                return dataclasses.replace(base, outcome=Unchanged(), seconds=seconds)
            if not isinstance(base.outcome, Convertible):
                return judged(base, options)
            way = _way(studied, path, options, nursery)
            return (
                base
                if way is None
                else _convert(
                    way, base, destination, options, progress, seconds, finish, functools.partial(calls_of, studied)
                )
            )
        except InputError as error:
            return dataclasses.replace(base, outcome=Failed(str(error)), seconds=seconds)
        except OSError as error:
            return dataclasses.replace(base, outcome=Failed(f"{destination}: {_os_reason(error)}"), seconds=seconds)


def _check_space(studied: Studied, destination: str) -> None:
    """Says before the work that there is no room for what is copied whole. The weights' space is reserved by itself.

    Raises:
      InputError: more is needed than is free.
    """
    place = studied.place
    folder = studied.graph.source.extra_dir if studied.graph is not None else place.file if place is not None else ""
    if not isinstance(studied.report.outcome, (AlreadyTF2, Convertible)) or place is None or not os.path.isdir(folder):
        return
    parent = os.path.dirname(os.path.abspath(destination))
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    needed, free = tree_bytes(folder, place.boundary), shutil.disk_usage(parent).free
    if needed > free:
        raise InputError(
            f"{destination}: the copy of {folder} takes {needed:,} bytes, and {parent} has {free:,} free; make room, "
            "or choose another destination"
        )


def validate_model(candidate: str, source: str, options: Options, nursery: Runner, progress: Progress) -> ModelReport:
    """Replays the source's answers on a candidate that stands on the disk already.

    Raises:
      InputError: the candidate is no model, links in it lead out of it, or it has a pipe in the place of a file.
    """
    check_candidate_files(candidate, options)
    with study(source, options, is_whole=True) as studied:
        base = dataclasses.replace(studied.report, destination=candidate, is_validation=True)
        stop: Failed | Mismatched | None = None
        if isinstance(base.outcome, AlreadyTF2) and studied.place is not None:
            wanted = signatures_of(studied.place, source, options)
            stop = unsafe(base, options) or differing_names(wanted, base.kind, candidate, options)
            way: Way | None = None if stop is not None else tf2_way(studied.place, source, options, nursery)
        else:
            if isinstance(base.outcome, Convertible) and studied.graph is not None:
                wanted = {part.signature.key: part.signature for part in studied.graph.plan.signatures}
                stop = differing_names(wanted, base.kind, candidate, options)
            way = None if stop is not None else _way(studied, source, options, nursery)
        if stop is not None:
            return dataclasses.replace(base, outcome=stop)
        if way is None:
            return base
        return _validate(way, base, candidate, options, progress, functools.partial(calls_of, studied))


def _way(studied: Studied, path: str, options: Options, nursery: Runner) -> Way | None:
    if studied.keras is not None:
        # What a Keras file would import or run is never loaded against a refusal.
        convertible = isinstance(studied.report.outcome, Convertible)
        return keras_way(studied.keras, path, options, nursery) if convertible else None
    if studied.graph is None:
        return None
    graph = studied.graph

    def export(staged: str, report: ModelReport, taking: Taking | None) -> ModelReport | Ending:
        assert taking is not None  # That is what `begin` gives.
        exported = _export(graph, staged, taking, options, nursery)
        return report if isinstance(exported, Exported) else exported

    def contract(candidate: Candidate) -> tuple[Mismatch, ...]:
        kept = {s.signature.key for s in graph.plan.signatures}
        asked = Asked(
            options.drop_signatures,
            frozenset(graph.judged.signature_def.keys() - kept),
            options.keep_tensor_names,
            graph.feeds,
            graph.train,
        )
        files = Files(graph.source.assets_dir, graph.source.extra_dir)
        return contract_differences(graph.judged, files, candidate, asked)

    answers = _session_answers(graph)
    return Way(
        path,
        lambda: answers.golden(options, nursery),
        lambda staged: _taking(graph, staged, options, nursery),
        export,
        lambda golden, candidate: answers.replay(golden, candidate, options, nursery),
        contract,
        lambda: digest_of(graph.source.file, graph.source.boundary),
    )


def _validate(
    way: Way, base: ModelReport, candidate: str, options: Options, progress: Progress, calls: Calls
) -> ModelReport:
    seconds = dict(base.seconds)
    risk = _risk(base, options)
    if risk:
        return dataclasses.replace(base, outcome=Failed(f"not run: {risk.message}; allow it with --allow_side_effects"))
    lifted = ("verification",) if options.allow_side_effects else ()
    base = dataclasses.replace(base, confinement=in_force(writes=False, lifted=lifted))
    progress("taking golden answers")
    with timed(seconds, "golden"):
        golden = way.golden()
    if not isinstance(golden, Golden):
        return dataclasses.replace(base, outcome=golden, seconds=seconds)
    base = dataclasses.replace(base, findings=(*base.findings, *_forgiven(golden), *_made_of(candidate, way)))
    progress("replaying the calls")
    with timed(seconds, "candidate"):
        result = _compared(way, golden, candidate, options)
    outcome, verification = _judge(result)
    if isinstance(outcome, Unverified):
        told = _unverified(outcome, verification, base, options, calls)
        base = dataclasses.replace(base, findings=(*base.findings, told))
    if options.details:
        base = dataclasses.replace(base, converted_signatures=_signatures(candidate))
    return dataclasses.replace(base, outcome=outcome or Validated(), verification=verification, seconds=seconds)


def _convert(
    way: Way,
    base: ModelReport,
    destination: str,
    options: Options,
    progress: Progress,
    seconds: dict[str, float],
    finish: Callable[[str], None],
    calls: Calls,
) -> ModelReport:
    lifted = ("verification",) if options.verify and options.allow_side_effects else ()
    base = dataclasses.replace(base, confinement=in_force(lifted=lifted))
    with staging(destination) as staged, way.begin(staged) as taking:
        verification: Verification | None = None
        golden: Golden | None = None
        risk = _risk(base, options) if options.verify else None
        if risk:
            base = dataclasses.replace(base, findings=(_not_run(risk), *base.findings))
            if not options.allow_unverified:
                return dataclasses.replace(base, outcome=Unverified("the model was not run"), seconds=seconds)
        elif options.verify:
            progress("taking golden answers")
            with timed(seconds, "golden"):
                answers = way.golden()
            if not isinstance(answers, Golden):
                # TensorFlow says that bytes are wrong; the checksums say of which variable.
                damage = taking.damage() if isinstance(answers, Failed) and taking is not None else None
                return dataclasses.replace(base, outcome=damage or answers, seconds=seconds)
            golden = answers
            base = dataclasses.replace(base, findings=(*base.findings, *_forgiven(golden)))
        progress("converting")
        with timed(seconds, "export"):
            exported = way.export(staged, base, taking)
        if not isinstance(exported, ModelReport):
            return dataclasses.replace(base, outcome=exported, seconds=seconds)
        base = exported
        if golden is not None:
            progress("replaying the calls on the new model")
            with timed(seconds, "candidate"):
                result = _compared(way, golden, staged, options)
            trouble, verification = _judge(result)
            if isinstance(trouble, Unverified):
                told = _unverified(trouble, verification, base, options, calls)
                base = dataclasses.replace(base, findings=(*base.findings, told))
            if trouble is not None and not (isinstance(trouble, Unverified) and options.allow_unverified):
                return dataclasses.replace(base, outcome=trouble, verification=verification, seconds=seconds)
        if options.details:
            base = dataclasses.replace(base, converted_signatures=_signatures(staged))
        with timed(seconds, "publish"):
            finish(staged)
    return dataclasses.replace(base, outcome=Converted(), verification=verification, seconds=seconds)


def _signatures(path: str) -> tuple[Signature, ...] | None:
    """The signatures of a model on the disk, for the report alone."""
    try:
        return signatures(read_saved_model(path).meta_graphs[0])
    except InputError:
        return None


def _made_of(candidate: str, way: Way) -> tuple[Finding, ...]:
    """Says that a candidate calls another file its source. What it says otherwise is not believed."""
    said = source_digest(candidate)
    digest = way.digest() if said is not None else None
    if said == digest:
        return ()
    message = f"assets.extra/migration.json says that the candidate was made of a file of SHA-256 {said}, not {digest}"
    return (Finding("provenance-differs", Severity.WARNING, message, (), "pass the source that it was made of"),)


def _not_run(risk: Finding) -> Finding:
    return Finding(
        "unverified",
        Severity.WARNING,
        f"the model was not run: {risk.message}",
        risk.nodes,
        "run it with --allow_side_effects, or publish it unverified with --allow_unverified",
    )


def _unverified(
    ending: Unverified, verification: Verification | None, report: ModelReport, options: Options, calls: Calls
) -> Finding:
    """Says what was not compared; with a file of calls to begin with, where other calls may show more."""
    unverified = verification.unverified if verification is not None else {}
    publish = "publish it as it is with --allow_unverified"
    is_helped = any(what != "variables" and why not in _WHATEVER_IS_CALLED for what, why in unverified.items())
    text = calls(report)[0] if is_helped and options.inputs is None else ""
    if not is_helped and unverified:
        hint = publish
    elif not text:
        hint = f"give calls of your own with --inputs, or {publish}"
    elif len(text) > _TEMPLATE_BYTES or text.count("\n") > _TEMPLATE_LINES:
        source = quoted(report.source) if report.source.isprintable() else "MODEL"
        hint = f"give calls of your own with --inputs=calls.json (migrate inputs {source} > calls.json), or {publish}"
        text = ""
    else:
        hint = f"give calls of your own with --inputs=calls.json, a file like the one below, or {publish}"
    return Finding("unverified", Severity.WARNING, ending.reason, tuple(unverified), hint, text)


def _forgiven(golden: Golden) -> tuple[Finding, ...]:
    if golden.loader != "lenient":
        return ()
    return (
        Finding(
            "source-loaded-leniently",
            Severity.NOTE,
            "TensorFlow's own loader refuses the source for what TF1 forgave; golden answers come from a v1 Session on "
            "its graph, restored and initialised as TF1 did",
        ),
    )


def _session_answers(studied: StudiedGraph) -> SessionAnswers:
    plan = studied.plan
    variables = {
        v.name: (v.value.key, v.value.slice_spec) for v in plan.variables if isinstance(v.value, FromCheckpoint)
    }
    undefined = {
        (s.signature.key, part): why
        for s in plan.signatures
        for names, why in ((s.drawn, _DRAWN), ([name for name, _ in s.unordered], _UNORDERED))
        for name in names
        for part in _parts(s, name)
    }
    return SessionAnswers(
        studied.source,
        studied.judged,
        [s.signature for s in plan.signatures],
        variables,
        undefined,
        studied.feeds,
        {s.signature.key for s in plan.signatures if s.fails},
    )


_DRAWN = "in TF1 it draws from one random sequence with other signatures"
_UNORDERED = "TF1 gives it no defined answer"
_WHATEVER_IS_CALLED = (_DRAWN, _UNORDERED, RANDOM)
"""Reasons for which no value is compared, whatever the calls are."""


def _parts(plan: SignaturePlan, output: str) -> tuple[str, ...]:
    """The names by which an answer has an output: a sparse one's in three parts (`verify.calls.Answer`)."""
    dense = plan.signature.outputs[output].encoding == "dense"
    return (output,) if dense else tuple(f"{output}/{part}" for part in SPARSE_PARTS)


@contextlib.contextmanager
def _taking(studied: StudiedGraph, staged: str, options: Options, nursery: Runner) -> Iterator[Taking]:
    """Takes the weights over beside the steps that need TensorFlow."""
    check = options.verify or options.checkpoint != "link"
    directory = os.path.join(os.path.dirname(staged), _WEIGHTS)
    weights = take_over(
        studied.plan, studied.source.checkpoint or "", directory, options.checkpoint, check, studied.source.boundary
    )
    if not weights.job.moves:
        yield Taking(weights, None)
        return
    if weights.job.is_little:
        done = carry_weights(weights.job)
        if isinstance(done, Failed):
            raise InputError(done.reason)
        yield Taking(weights, None)
        return
    running = nursery.begin("weights", "migrate.export.weights", weights.job, Done | Failed, options.timeout)
    try:
        yield Taking(weights, running)
    finally:
        running.stop()


def _export(studied: StudiedGraph, staged: str, taking: Taking, options: Options, nursery: Runner) -> Exported | Ending:
    source = studied.source
    job = ExportJob(
        studied.meta_graph.SerializeToString(),
        source.checkpoint,
        source.assets_dir,
        options.drop_signatures,
        staged,
        taking.weights.taken,
        _provenance(studied, options),
        options.keep_tensor_names,
        options.variables,
        source.kind is Kind.TF1_HUB_MODULE,
        studied.train.SerializeToString() if studied.train is not None else None,
        _digest(source, studied.meta_graph, options),
    )
    exporting = confined.exporting(nursery, source, staged)
    if os.path.isdir(source.extra_dir):  # Here, because a confined process may set neither modes nor times.
        copy_tree(source.extra_dir, os.path.join(staged, "assets.extra"), source.boundary)
    result: Exported | Ending = exporting.run("export", "migrate.export.job", job, Exported | Failed, options.timeout)
    if not isinstance(result, Exported):
        return result
    if taking.running is not None:
        done: Done | Ending = taking.running.result()
        if not isinstance(done, Done):
            return done
    if not len(taking.weights.files) <= result.data_files <= _MOST_DATA_FILES:
        return Crashed("export", 0, f"{result.data_files:,} data files make no sense")
    # Where it is to stand is known here; a process that has run TensorFlow is not asked.
    put(taking.weights, checkpoint_in(staged), result.data_files)
    return result


def _digest(source: Source, meta_graph: MetaGraphDef, options: Options) -> str:
    """What tells what a source's graph, weights and assets become from any other model, wherever they are."""
    files = [source.file]
    if source.checkpoint is not None and is_v1_checkpoint(source.checkpoint):
        from migrate.sources.v1_checkpoint import read_v1_checkpoint

        files += read_v1_checkpoint(source.checkpoint, source.boundary).files
    elif source.checkpoint is not None:
        files.append(index_file(source.checkpoint))  # Which has a checksum of each tensor.
    files += sorted(os.path.join(source.assets_dir, file) for _, file in assets(meta_graph))
    parts = [digest_of(file, source.boundary) if os.path.isfile(file) else "" for file in files]
    return digest([*sorted(meta_graph.meta_info_def.tags), *parts], options)


def _provenance(studied: StudiedGraph, options: Options) -> Mapping[str, Any]:
    source = studied.source
    described = {
        "path": os.path.abspath(source.path),
        "file": os.path.basename(source.file),
        "sha256": digest_of(source.file, source.boundary),
        "tags": list(studied.plan.tags),
    }
    proposed = None if studied.proposed is None else to_copy(studied.proposed)
    return {**provenance(described, options), "proposed_signature": proposed}


def _compared(way: Way, golden: Golden, directory: str, options: Options) -> Verification | Ending:
    """What calls show of a candidate, and before it what no call shows.

    Raises:
      InputError: the candidate cannot be read.
    """
    result = way.replay(golden, directory)
    if not isinstance(result, Verification):
        return result
    watch = watch_over(options)
    with watch.running(directory):
        boundary = None if options.follow_links else boundary_of(directory)
        candidate = Candidate(directory, read_saved_model(directory, boundary, watch).meta_graphs)
        return dataclasses.replace(result, mismatches=(*way.contract(candidate), *result.mismatches))


def _judge(
    result: Verification | Ending,
) -> tuple[Mismatched | Unverified | Ending | None, Verification | None]:
    """What a replay means: an outcome other than success, or None."""
    if not isinstance(result, Verification):
        return result, None
    if result.mismatches:
        return Mismatched(_differs(result.mismatches)), result
    if not result.passed:
        return Unverified(_not_compared(result)), result
    return None, result


_SHOWN = 3


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _not_compared(result: Verification) -> str:
    """Of what no value was compared, the first of them with the reason."""
    named = _some([f"{what!r} ({why})" for what, why in result.unverified.items()])
    if result.values:
        return f"nothing differs, and no value was compared of {named}"
    return f"no value was compared: {named or 'every signature is one that no TF1 Session answers'}"


def _differs(mismatches: Sequence[Mismatch]) -> str:
    """What of the contract is broken, the wrong variables, since they explain wrong outputs, and how many answers."""
    contract = [m for m in mismatches if m.path == CONTRACT]
    rest = [m for m in mismatches if m.path != CONTRACT]
    variables = [repr(mismatch.output) for mismatch in rest if not mismatch.signature and mismatch.call < 0]
    answers = len({(m.call, m.output) for m in rest if m.signature or m.call >= 0})
    named = f"the variable(s) {_some(variables)}" if variables else ""
    values = " and ".join(filter(None, [named, f"{answers} answer(s)" if answers else ""]))
    told = [f"{values} differ from the source's"] if values else []
    if contract:
        more = f" and {len(contract) - 1} more" if len(contract) > 1 else ""
        told.insert(0, f"clients of the source cannot rely on it: {_place(contract[0])}{contract[0].reason}{more}")
    return "; ".join(told)


def _place(mismatch: Mismatch) -> str:
    places = [f"signature {mismatch.signature!r}"] if mismatch.signature else []
    places += [repr(mismatch.output)] if mismatch.output else []
    return f"{', '.join(places)}: " if places else ""


def _risk(report: ModelReport, options: Options) -> Finding | None:
    if options.allow_side_effects:
        return None
    return next((finding for finding in report.findings if finding.code in RISKS), None)


def _os_reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
