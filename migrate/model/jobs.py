"""Audits, converts or validates one model, from its directory to its `ModelReport`. Every ending is a value.

`run` does so as a job for a child process: reading, planning and comparing take their time in Python, so each model
has a process for itself, which forks again for what needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil

from migrate.errors import InputError
from migrate.events import called
from migrate.export.provenance import sign
from migrate.export.publish import check_destination, publish, staging
from migrate.model.conversion import Progress, Work, convert, validate
from migrate.model.destination_names import renamed
from migrate.model.file_checks import check_candidate_files, refuse_links
from migrate.model.graph_steps import graph_steps
from migrate.model.inputs_template import calls_of
from migrate.model.judgement import judged
from migrate.model.keras_steps import keras_steps
from migrate.model.messages import AuditJob, ConvertJob, ValidateJob
from migrate.model.steps import Steps
from migrate.model.study import Studied, audit_model, study, timed
from migrate.model.tf2_steps import differing_names, signatures_of, tf2_steps, unsafe
from migrate.processes import warm_import
from migrate.processes.channel import Counted
from migrate.processes.forks import Forks, Runner, say
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Failed,
    Kind,
    Mismatched,
    ModelReport,
    Options,
    Unchanged,
    Unreadable,
)
from migrate.sources.copies import copy_tree, tree_bytes
from migrate.sources.fingerprint import fingerprint


def run(job: ConvertJob | AuditJob | ValidateJob) -> ModelReport:
    """Carries a job out, in a process of its own."""
    say("reading")
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
            _check_space(studied, destination)
            if isinstance(base.outcome, AlreadyTF2) and studied.place is not None:
                progress("copying")
                with timed(seconds, "copy"), staging(destination) as staged:
                    copy_tree(studied.place.file, staged, studied.place.boundary)
                    finish(staged)
                return dataclasses.replace(base, outcome=Unchanged(), seconds=seconds)
            if not isinstance(base.outcome, Convertible):
                return judged(base, options)
            steps = _steps(studied, path, options, nursery)
            if steps is None:
                return base
            work = Work(steps, options, progress, seconds, functools.partial(calls_of, studied))
            return convert(work, base, destination, finish)
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


def validate_model(job: ValidateJob, nursery: Runner, progress: Progress) -> ModelReport:
    """Replays the source's answers on a candidate that is on the disk.

    Args:
      job: what to compare.
      nursery: makes the child processes.
      progress: told what is being done.

    Raises:
      InputError: the candidate is no model, links in it lead out of it, or it has a pipe in the place of a file.
    """
    candidate, source, options = job.candidate, job.path, job.options
    check_candidate_files(candidate, options)
    with study(source, options, is_whole=True) as studied:
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
        if stop is not None:
            return dataclasses.replace(base, outcome=stop)
        if steps is None:
            return base
        work = Work(steps, options, progress, dict(base.seconds), functools.partial(calls_of, studied))
        return validate(work, base, candidate)


def _steps(studied: Studied, path: str, options: Options, nursery: Runner) -> Steps | None:
    if studied.keras is not None:
        # What a Keras file would import or run is never loaded against a refusal.
        convertible = isinstance(studied.report.outcome, Convertible)
        return keras_steps(studied.keras, path, options, nursery) if convertible else None
    return None if studied.graph is None else graph_steps(studied.graph, path, options, nursery)


def _os_reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
