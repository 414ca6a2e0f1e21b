"""One model of a tree, wherever it is worked on: what is known of it before, and the child process that does it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable

from migrate.export.publish import clear_staging
from migrate.fleet.existing import is_ours
from migrate.fleet.journal import Entry
from migrate.fleet.selection import Task
from migrate.frozen import frozen
from migrate.model.messages import JOBS, AuditJob, ConvertJob, ValidateJob
from migrate.processes.nursery import Nursery
from migrate.records import (
    GOOD_OUTCOMES,
    Crashed,
    Failed,
    Finding,
    Kind,
    ModelOptions,
    ModelReport,
    Options,
    Severity,
    TimedOut,
    gravest_first,
)
from migrate.sources.fingerprint import Fingerprint, fingerprint

_STEPS = 4
"""A model takes so many steps, each of which has the whole time limit; a model that takes longer hangs elsewhere."""
_DYING_SECONDS = 2.0


@frozen
class Look:
    """What there is before anything is done.

    Attributes:
      task: the model.
      entry: what became of it the last time, or None.
      mark: its files, or None where they cannot be read.
      ours: whether a new model is at the destination which nobody has touched since it was written.
    """

    task: Task
    entry: Entry | None
    mark: Fingerprint | None
    ours: bool

    @property
    def identity(self) -> str | None:
        """Of the source's files."""
        return None if self.mark is None else self.mark.identity

    @property
    def remembered(self) -> ModelOptions:
        """What the journal says of the model's options."""
        return ModelOptions() if self.entry is None else self.entry.remembered

    def done(self, options: Options, settings: str, versions: str) -> ModelReport | None:
        """The last report, where doing the model again would end in the same way.

        What another version of this program or of TensorFlow has converted and verified stays as it is, too, unless
        `options.reconvert` says otherwise.

        Args:
          options: of this model.
          settings: their digest (`journal.settings`).
          versions: see `journal.versions`.
        """
        entry = self.entry
        if entry is None or not entry.is_final or entry.source != self.identity or not entry.is_of(settings, options):
            return None
        if isinstance(entry.report.outcome, GOOD_OUTCOMES) and not self.ours:
            return None
        report = entry.report
        if entry.versions != versions:
            if options.reconvert or not entry.is_verified:
                return None
            report = _by_another_version(report, entry.versions)
        destination = report.destination and self.task.destination
        return dataclasses.replace(report, source=self.task.path, destination=destination, skipped=True)


def _by_another_version(report: ModelReport, versions: str) -> ModelReport:
    found = Finding(
        "made-by-another-version",
        Severity.NOTE,
        f"the new model was made and verified by other versions ({versions}), and is kept",
        (),
        "--reconvert converts it again",
    )
    return dataclasses.replace(report, findings=gravest_first((*report.findings, found)))


def is_by_another_version(report: ModelReport) -> bool:
    """Whether an earlier run's new model was kept that other versions have made."""
    return any(finding.code == "made-by-another-version" for finding in report.findings)


def look(task: Task, entry: Entry | None) -> Look:
    """Reads the files of a model, and what is at its destination."""
    mark = fingerprint(task.path)
    ours = os.path.lexists(task.destination) and is_ours(task.destination, task.path, entry, mark)
    return Look(task, entry, mark, ours)


def work(found: Look, options: Options, nursery: Nursery, say: Callable[[str], None]) -> ModelReport:
    """Has a child process convert a model or, in a dry run, audit it.

    Raises:
      ClosedError: the nursery was closed meanwhile.
    """
    task = found.task
    if task.tags is not None:
        options = dataclasses.replace(options, tags=task.tags, all_tags=False)
    job: ConvertJob | AuditJob
    if options.dry_run:
        step, job = "audit", AuditJob(task.path, options)
    else:
        step, job = "convert", ConvertJob(task.path, task.destination, options, found.ours, found.identity)
    result: ModelReport | Crashed | TimedOut | Failed | None = None
    try:
        result = ask(nursery, step, job, say)
    finally:
        if not isinstance(result, ModelReport) and not options.dry_run:
            _clear(task.destination)
    if not isinstance(result, ModelReport):
        destination = None if options.dry_run else task.destination
        result = ModelReport(task.path, destination, Kind.UNKNOWN, result)
    # Which model it was is known here; the child, which has read the model's files, is not asked.
    return dataclasses.replace(
        result,
        source=task.path,
        destination=None if result.destination is None else task.destination,
        bytes=result.bytes if found.mark is None else found.mark.bytes,
    )


def ask(
    nursery: Nursery, step: str, job: ConvertJob | AuditJob | ValidateJob, say: Callable[[str], None]
) -> ModelReport | Crashed | TimedOut | Failed:
    """Has a child process do a job about one model.

    Raises:
      ClosedError: the nursery was closed meanwhile.
    """
    try:
        limit = _STEPS * job.options.timeout
        result: ModelReport | Crashed | TimedOut | Failed = nursery.run(step, JOBS, job, ModelReport, limit, say)
    except OSError as error:
        return Failed(f"the job cannot be handed to a child process: {error.strerror or error}")
    return result


def _clear(destination: str) -> None:
    """Removes what a child process that was killed has built. What it forked dies with it, but not at once."""
    deadline = time.monotonic() + _DYING_SECONDS
    while not clear_staging(destination) and time.monotonic() < deadline:
        time.sleep(0.05)
