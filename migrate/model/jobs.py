"""Audits, converts or validates one model, from its directory to its `ModelReport`. Every ending is a value.

`run` does so as a job for a child process: reading, planning and comparing take their time in Python, so each model
has a process for itself, which forks again for what needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os

from migrate.checks.side_effects import RISKS
from migrate.errors import InputError
from migrate.events import called
from migrate.export.provenance import sign
from migrate.export.publish import check_destination, publish, staging
from migrate.graph.attr_defaults import encoded_defaults
from migrate.graph.large_constants import constant_bytes
from migrate.graph.op_table import load_in_place_ops, load_ref_ops
from migrate.model.conversion import GoldenFile, Progress, Work, convert, validate
from migrate.model.destination_names import renamed
from migrate.model.file_checks import check_candidate_files, refuse_links
from migrate.model.flags_of_candidate import with_flags_not_given
from migrate.model.graph_steps import graph_steps
from migrate.model.inputs_template import calls_of
from migrate.model.judgement import judged
from migrate.model.keras_steps import keras_steps
from migrate.model.messages import AuditJob, ConvertJob, ValidateJob
from migrate.model.room import check_disk, check_graph, check_memory, written_bytes
from migrate.model.steps import Steps
from migrate.model.study import Studied, audit_model, study, timed
from migrate.model.tf2_steps import differing_names, signatures_of, tf2_steps, unsafe
from migrate.model.verdict import contract, judge, without_calls
from migrate.processes import warm_import
from migrate.processes.channel import Counted
from migrate.processes.confinement import in_force
from migrate.processes.forks import Forks, Runner, say
from migrate.processes.sparing import Sparing
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Failed,
    Kind,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Unchanged,
    Unreadable,
    Validated,
)
from migrate.sources.copies import copy_tree
from migrate.sources.fingerprint import fingerprint
from migrate.verify.memory import LARGE


def prepare() -> None:
    """Reads the tables that every job needs, so that its forks share them."""
    load_ref_ops()
    load_in_place_ops()
    encoded_defaults("Identity")


def run(job: ConvertJob | AuditJob | ValidateJob) -> ModelReport:
    """Carries a job out, in a process of its own."""
    say("reading")
    if not job.options.libraries:
        return _run(job)
    from migrate.model.op_libraries import libraries_in_force

    with libraries_in_force(job.options):
        return _run(job)


def _run(job: ConvertJob | AuditJob | ValidateJob) -> ModelReport:
    if isinstance(job, AuditJob):
        return judged(audit_model(job.path, job.options), job.options)
    with _runner(job.options, lambda call, calls: say(called(call, calls))) as nursery:
        if isinstance(job, ValidateJob):
            try:
                return validate_model(job, nursery, say)
            except InputError as error:
                outcome = Unreadable(str(error))
                return ModelReport(job.path, job.candidate, Kind.UNKNOWN, outcome, is_validation=True)
        return convert_model(job, nursery, say)


def _runner(options: Options, counted: Counted) -> contextlib.AbstractContextManager[Runner]:
    """What runs the steps: a fork that has been importing TensorFlow meanwhile, where there is one."""
    found = warm_import.place()
    limit = options.memory_limit_bytes
    if found is None:
        return contextlib.nullcontext(Forks(limit, counted))
    return warm_import.WarmImport(found, limit, counted)


def convert_model(job: ConvertJob, nursery: Runner, progress: Progress) -> ModelReport:
    """Converts one model.

    Args:
      job: what to convert; the source is only read.
      nursery: makes the child processes.
      progress: told what is being done.

    Returns:
      The report. Only after the outcomes `Converted` and `Unchanged` there is a model at the destination.
    """
    path, destination, options = job.path, job.destination, job.options
    overwrite = job.replace or options.overwrite

    def finish(staged: str) -> None:
        files = fingerprint(path)
        if job.identity is not None and (None if files is None else files.identity) != job.identity:
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
            held = _constant_bytes(studied)
            in_graph, in_variables = (0, 0) if studied.graph is None or not held else written_bytes(studied.graph.plan)
            _check_space(studied, destination, in_graph + in_variables)
            if isinstance(base.outcome, AlreadyTF2) and studied.place is not None:
                golden_file = _golden_of_tf2(studied, path, options, nursery)
                progress("copying")
                with timed(seconds, "copy"), staging(destination) as staged:
                    copy_tree(studied.place.file, staged, studied.place.boundary)
                    if golden_file is not None:
                        outcome, verification = judge(golden_file(staged))
                        base = dataclasses.replace(base, verification=verification)
                        if outcome is not None:
                            return dataclasses.replace(base, outcome=outcome, seconds=seconds)
                    finish(staged)
                return dataclasses.replace(base, outcome=Unchanged(), seconds=seconds)
            if not isinstance(base.outcome, Convertible):
                return judged(base, options)
            check_memory(held, _mapped_bytes(studied), path, options)
            check_graph(in_graph, path, options)
            nursery = _sparing(nursery, held)
            steps = _steps(studied, path, options, nursery)
            if steps is None:
                return base
            calls = functools.partial(calls_of, studied)
            golden_file = _golden_file(studied, steps, options, nursery)
            work = Work(steps, options, progress, seconds, calls, golden_file)
            return convert(work, base, destination, finish)
        except InputError as error:
            return dataclasses.replace(base, outcome=Failed(str(error)), seconds=seconds)
        except OSError as error:
            return dataclasses.replace(base, outcome=Failed(f"{destination}: {_os_reason(error)}"), seconds=seconds)


def _sparing(nursery: Runner, held: int) -> Runner:
    """Runs the steps with as little memory in this process as may be, where the constants have so many bytes."""
    return Sparing(nursery) if held >= LARGE else nursery


def _constant_bytes(studied: Studied) -> int:
    """Bytes of the constants of the source's graph; 0 for a model without one."""
    return 0 if studied.graph is None else constant_bytes(studied.graph.judged)


def _mapped_bytes(studied: Studied) -> int:
    """Bytes of those of them that are mapped while the model is asked."""
    if studied.graph is None:
        return 0
    from migrate.verify.mapped_constants import mapped_bytes

    return mapped_bytes(studied.graph.judged)


def _check_space(studied: Studied, destination: str, written: int) -> None:
    """Says before the work that there is no room for what is written. The weights' space is reserved by itself.

    Raises:
      InputError: more is needed than is free.
    """
    place, graph = studied.place, studied.graph
    if not isinstance(studied.report.outcome, (AlreadyTF2, Convertible)) or place is None:
        return
    parent = os.path.dirname(os.path.abspath(destination))
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    folder = place.file if graph is None else graph.source.extra_dir
    check_disk(folder, place.boundary, parent, destination, written)


def validate_model(job: ValidateJob, nursery: Runner, progress: Progress) -> ModelReport:
    """Replays the source's answers on a candidate that is on the disk.

    Args:
      job: what to compare.
      nursery: makes the child processes.
      progress: told what is being done.

    Raises:
      InputError: the candidate is no model, links in it lead out of it, or it has a pipe in the place of a file.
    """
    check_candidate_files(job.candidate, job.options)
    return with_flags_not_given(_validated(job, nursery, progress), job.candidate, job.options)


def _validated(job: ValidateJob, nursery: Runner, progress: Progress) -> ModelReport:
    candidate, source, options = job.candidate, job.path, job.options
    with study(source, options, is_whole=True) as studied:
        held = _constant_bytes(studied)
        nursery = _sparing(nursery, held)
        base = dataclasses.replace(studied.report, destination=candidate, is_validation=True)
        stop: Failed | Mismatched | None = None
        if isinstance(base.outcome, AlreadyTF2) and studied.place is not None:
            wanted = signatures_of(studied.place, source, options)
            stop = unsafe(base, options) or differing_names(wanted, base.kind, candidate, options)
            steps: Steps | None = None if stop is not None else tf2_steps(studied.place, source, options, nursery)
        else:
            if isinstance(base.outcome, Convertible) and studied.graph is not None:
                wanted = {part.signature.key: part.signature for part in studied.graph.plan.signatures}
                stop = differing_names(wanted, base.kind, candidate, options)
            steps = None if stop is not None else _steps(studied, source, options, nursery)
        if isinstance(stop, Mismatched):
            told = without_calls(_told(studied, candidate, options, nursery))
            return dataclasses.replace(base, outcome=stop, verification=told)
        if stop is not None:
            return dataclasses.replace(base, outcome=stop)
        if steps is None:
            return base
        try:
            check_memory(held, _mapped_bytes(studied), source, options)
        except InputError as error:
            return dataclasses.replace(base, outcome=Failed(str(error)))
        calls = functools.partial(calls_of, studied)
        golden_file = _golden_file(studied, steps, options, nursery)
        work = Work(steps, options, progress, dict(base.seconds), calls, golden_file)
        return validate(work, base, candidate)


def validate_with_golden(candidate: str, options: Options, nursery: Runner, progress: Progress) -> ModelReport:
    """Makes the calls of `options.golden` to a candidate, and compares; the model that has answered is not here.

    Args:
      candidate: directory of the new model.
      options: see `records.Options`.
      nursery: makes the child process.
      progress: told what is being done.

    Raises:
      InputError: the candidate is no TF2 SavedModel, or the file is no golden file, or one of another model.
    """
    assert options.golden is not None
    from migrate.model.golden_file import check_candidate, read_golden, replay

    check_candidate_files(candidate, options)
    with study(candidate, options, is_whole=True) as studied:
        base = dataclasses.replace(
            studied.report, source=options.golden, destination=candidate, is_validation=True, bytes=None
        )
        if isinstance(base.outcome, Unreadable):
            raise InputError(base.outcome.reason)
        if not isinstance(base.outcome, AlreadyTF2) or studied.place is None:
            raise InputError(
                f"{candidate}: is not a TF2 SavedModel; validate takes the new model, and convert --golden makes one"
            )
        signatures = signatures_of(studied.place, candidate, options)
        recorded = read_golden(options.golden, tuple(signatures.values()))
        found = check_candidate(options.golden, recorded, candidate, tuple(signatures.values()))
        base = dataclasses.replace(base, findings=(*base.findings, *found))
        stop = unsafe(base, options)
        if stop is not None:
            return dataclasses.replace(base, outcome=stop)
        progress("replaying the calls")
        seconds = dict(base.seconds)
        lifted = ("verification",) if options.allow_side_effects else ()
        with timed(seconds, "candidate"):
            result = replay(recorded, options, nursery, signatures.values())(candidate)
        outcome, verification = judge(result)
        return dataclasses.replace(
            base,
            outcome=outcome or Validated(),
            verification=verification,
            seconds=seconds,
            confinement=in_force(writes=False, lifted=lifted),
        )


def check_golden(path: str, options: Options, nursery: Runner) -> None:
    """Reads `options.golden` for its faults alone, before anything is written or run.

    Raises:
      InputError: it is no golden file, or one of another model than the one at `path`.
    """
    assert options.golden is not None
    with study(path, options) as studied:
        if isinstance(studied.report.outcome, AlreadyTF2):
            _golden_of_tf2(studied, path, options, nursery)
        elif isinstance(studied.report.outcome, Convertible):
            steps = _steps(studied, path, options, nursery)
            if steps is not None:
                _golden_file(studied, steps, options, nursery)


def _golden_file(studied: Studied, steps: Steps, options: Options, nursery: Runner) -> GoldenFile | None:
    """What compares a new model with golden answers from elsewhere; None where none were given.

    Raises:
      InputError: the file is no golden file, or one of another model.
    """
    if options.golden is None or studied.place is None:
        return None
    from migrate.model.golden_file import check_source, read_golden, replay, without

    keras = None if studied.report.keras is None else studied.report.keras.signature
    if studied.graph is not None:
        plan = studied.graph.plan
        signatures = tuple(part.signature for part in plan.signatures)
        # One whose calls all fail, as in TF1, may have no answer anywhere.
        wanted = tuple(part.signature for part in plan.signatures if not part.fails)
        dropped = frozenset(studied.graph.judged.signature_def) - {signature.key for signature in signatures}
        file = studied.graph.source.file
    else:
        signatures = () if keras is None else (keras,)
        wanted, dropped, file = signatures, frozenset(), studied.place.file
    recorded = read_golden(options.golden, signatures)
    check_source(options.golden, recorded, steps.digest(), file, studied.place.boundary)
    return replay(without(recorded, dropped), options, nursery, wanted, steps.undefined)


def _golden_of_tf2(studied: Studied, path: str, options: Options, nursery: Runner) -> GoldenFile | None:
    """The same for a TF2 SavedModel that is copied."""
    if options.golden is None or studied.place is None:
        return None
    from migrate.model.golden_file import check_source, read_golden, replay

    signatures = signatures_of(studied.place, path, options)
    recorded = read_golden(options.golden, tuple(signatures.values()))
    steps = tf2_steps(studied.place, path, options, nursery)
    file = os.path.join(studied.place.file, recorded.model.file if recorded.model is not None else "")
    check_source(options.golden, recorded, steps.digest(), file, studied.place.boundary)
    return replay(recorded, options, nursery, signatures.values())


def _told(studied: Studied, candidate: str, options: Options, nursery: Runner) -> tuple[Mismatch, ...]:
    """The differences by their codes of a candidate whose signatures are not the source's."""
    steps = _steps(studied, candidate, options, nursery)
    if steps is None and studied.place is not None:
        steps = tf2_steps(studied.place, studied.report.source, options, nursery)
    return () if steps is None else contract(steps, candidate, options)


def steps_of(studied: Studied, path: str, options: Options, nursery: Runner) -> Steps | None:
    """The steps of a model that is asked and not converted; None for what is refused or answers no calls."""
    if isinstance(studied.report.outcome, AlreadyTF2) and studied.place is not None:
        steps = tf2_steps(studied.place, path, options, nursery)
        stop = unsafe(studied.report, options)
        return steps if stop is None else dataclasses.replace(steps, golden=lambda: stop)
    return _steps(studied, path, options, nursery)


def _steps(studied: Studied, path: str, options: Options, nursery: Runner) -> Steps | None:
    if studied.keras is not None:
        # What a Keras file would import or run is never loaded against a refusal.
        convertible = isinstance(studied.report.outcome, Convertible)
        return keras_steps(studied.keras, path, options, nursery) if convertible else None
    is_listed = not any(finding.code in RISKS for finding in studied.report.findings)
    return None if studied.graph is None else graph_steps(studied.graph, path, options, nursery, is_listed)


def _os_reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
