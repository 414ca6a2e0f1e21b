"""Many models side by side, each in a process of its own, and each one's ending on the disk before it is reported.

One model is a fleet of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
import time
from concurrent.futures import CancelledError, Future

from migrate.errors import InputError
from migrate.events import Began, Listener, Warned, event_of
from migrate.export.publish import check_destination, check_writable
from migrate.fleet.existing import copy_model, done_before, is_ours
from migrate.fleet.journal import Journal, damage, no_journal, open_journal, read_journal
from migrate.fleet.memory import Known, told
from migrate.fleet.model_options import decide, with_config
from migrate.fleet.selection import Task, select
from migrate.fleet.side_by_side import side_by_side
from migrate.fleet.worker import Look, is_by_another_version, look, work
from migrate.frozen import frozen
from migrate.levels import REPLAY, reaches
from migrate.model.messages import EXPORTING, JOBS, PRELOAD, VERIFYING
from migrate.processes.forks import cores
from migrate.processes.nursery import Nursery
from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    Failed,
    ModelReport,
    Options,
    Report,
    Space,
)
from migrate.sources.discover import find_models
from migrate.sources.fingerprint import same_files


def convert_fleet(source: str, destination: str, options: Options, listen: Listener) -> Report:
    """Converts a model, or those of a tree that the options choose; see `migrate.convert`.

    Raises:
      InputError: the source holds no model, the destination cannot be written, or another run writes to it.
    """
    models = find_models(source)
    tasks = with_config(select(source, models, destination, options), {source: models}, options)
    alone = tasks[0].name == os.curdir
    if alone:
        before = None if options.dry_run or options.overwrite else done_before(source, destination, options)
        if before is not None:
            return Report((before,))
        ours = options.reconvert and is_ours(destination, source, None, None)
        check_destination(source, destination, options.overwrite or ours)
    else:
        # Models that are there already fail one by one; the tree itself may exist.
        check_destination(source, os.path.join(destination, "model"), overwrite=True, tree=destination)
    if not options.dry_run:
        check_writable(destination)
    jobs = min(len(tasks), options.jobs or cores())
    listen(Began(len(tasks), jobs))
    if options.dry_run:
        journal: contextlib.AbstractContextManager[Journal] = contextlib.nullcontext(read_journal(destination))
    else:
        journal = contextlib.nullcontext(no_journal()) if alone else open_journal(destination)
    # One model, or a look at many, does not wait for an import that it may not need.
    one = len(tasks) == 1
    preload = (JOBS,) if one or options.dry_run else PRELOAD
    ahead = (
        () if not one or options.dry_run or cores() < 2 else VERIFYING if reaches(options.verify, REPLAY) else EXPORTING
    )
    with journal as opened, Nursery(preload, options.memory_limit_bytes, ahead) as nursery:
        if ahead:
            nursery.start()
        if warning := damage(destination, opened):
            listen(Warned(warning))
        fleet = _Fleet(options, opened, nursery, listen)
        found = fleet.run(tasks, jobs)
    space = _space(found, destination) if options.dry_run else None
    return Report(tuple(found), not_started=len(tasks) - len(found), space=space, whole_tree=options.takes_all)


@frozen
class _Copies:
    """A model among those with the same bytes, and its report once it is there."""

    found: Look
    report: Future[ModelReport]


class _Fleet:
    """What the threads of one command share."""

    def __init__(self, options: Options, journal: Journal, nursery: Nursery, listen: Listener) -> None:
        self._options = options
        self._known = Known()
        self._journal = journal
        self._nursery = nursery
        self._listen = listen
        self._lock = threading.Lock()
        self._firsts: dict[tuple[str, frozenset[str] | None, str], _Copies] = {}

    def run(self, tasks: tuple[Task, ...], jobs: int) -> list[ModelReport]:
        """Takes every model its way; see `side_by_side`."""
        return side_by_side(
            tasks, self._report, jobs, self._nursery, self._listen, self._options.fail_fast, not self._options.dry_run
        )

    def _report(self, task: Task, worker: int) -> ModelReport:
        self._say(worker, task, "looking at its files")
        found = look(task, self._journal.get(task.name))
        decision = decide(self._options, task.tables, found.remembered)
        own, first = self._first(found, self._known.settings(decision.options))
        try:
            report = self._known.done(found, decision)
            if report is None:
                report = self._copied(own, first, worker) or self._worked(found, decision.options, worker)
                report = told(report, decision)
                if not self._options.dry_run:
                    self._journal.add(self._known.entry(found, decision, report))
            elif not self._options.dry_run and (entry := self._known.expected_otherwise(found, decision)):
                self._journal.add(entry)
            own.report.set_result(report)
            return report
        finally:
            own.report.cancel()  # Those who wait for it must not wait for ever; one that is set stays.

    def _worked(self, found: Look, options: Options, worker: int) -> ModelReport:
        return work(found, options, self._nursery, lambda text: self._say(worker, found.task, text))

    def _first(self, found: Look, settings: str) -> tuple[_Copies, _Copies | None]:
        """A model's own place, and that of the first model with the same bytes and options, if there is one."""
        own = _Copies(found, Future())
        if found.mark is None:
            return own, None
        with self._lock:
            there = self._firsts.setdefault((found.mark.content, found.task.tags, settings), own)
        return own, there if there is not own else None

    def _copied(self, own: _Copies, first: _Copies | None, worker: int) -> ModelReport | None:
        """Copies the new model of another source that has the same bytes; None where there is none to copy."""
        if first is None or own.found.mark is None or first.found.mark is None:
            return None
        task, other = own.found.task, first.found.task
        self._say(worker, task, f"has the same files as {other.name}, which comes first")
        try:
            done = first.report.result()
        except CancelledError:
            return None
        if not isinstance(done.outcome, (Converted, Convertible)) or is_by_another_version(done):
            return None
        if not same_files(task.path, own.found.mark, other.path, first.found.mark):
            return None
        report = dataclasses.replace(done, source=task.path, seconds={}, skipped=False, duplicate_of=other.path)
        if self._options.dry_run:
            return report
        report = dataclasses.replace(report, destination=task.destination)
        overwrite = own.found.ours or self._options.overwrite
        start = time.perf_counter()
        try:
            check_destination(task.path, task.destination, overwrite)
            copy_model(other.destination, task.destination, task.path, self._options.checkpoint, overwrite)
        except InputError as error:
            return dataclasses.replace(report, outcome=Failed(str(error)), verification=None)
        except OSError as error:
            reason = f"{task.destination}: {error.strerror or error}"
            return dataclasses.replace(report, outcome=Failed(reason), verification=None)
        return dataclasses.replace(report, seconds={"copy": time.perf_counter() - start})

    def _say(self, worker: int, task: Task, text: str) -> None:
        self._listen(event_of(worker, task.path, text))


def _space(reports: list[ModelReport], destination: str) -> Space:
    """What a dry run's models take: what is not there yet, each as large as its source.

    That is more than is written where weights are linked, and less where several signatures need a large constant.
    """
    needed = sum(
        report.bytes or 0
        for report in reports
        if isinstance(report.outcome, (Convertible, AlreadyTF2)) and not report.skipped
    )
    parent = os.path.abspath(destination)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    return Space(needed, shutil.disk_usage(parent).free)
