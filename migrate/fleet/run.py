"""Many models side by side, each in a process of its own, and each one's ending on the disk before it is told.

One model is a fleet of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed

from migrate.children import TENSORFLOW, Nursery
from migrate.errors import InputError
from migrate.export.publish import check_destination, clear_staging
from migrate.fleet.jobs import AuditJob, ConvertJob
from migrate.fleet.journal import Entry, Journal, no_journal, open_journal, read_journal, settings
from migrate.fleet.selection import Task, select
from migrate.fleet.standing import copy_model, is_ours
from migrate.records import (
    GOOD_OUTCOMES,
    AlreadyTF2,
    Began,
    Converted,
    Convertible,
    Crashed,
    Event,
    Failed,
    Finished,
    Kind,
    ModelReport,
    Options,
    Report,
    Space,
    Step,
    TimedOut,
)
from migrate.sources.discover import find_models
from migrate.sources.fingerprint import Fingerprint, fingerprint, same_files

PRELOAD = (
    *TENSORFLOW,
    "migrate.fleet.jobs",
    "migrate.export.job",
    "migrate.export.checkpoint",
    "migrate.export.module",
    "migrate.export.patch",
    "migrate.export.values",
    "migrate.verify.replay",
)
"""What the server imports once for all models; importing these runs no op."""

_JOBS = "migrate.fleet.jobs"
_STEPS = 4
"""A model takes so many steps, each of which has the whole time limit; a model that takes longer hangs elsewhere."""
_DYING_SECONDS = 2.0

Listener = Callable[[Event], None]


def convert_fleet(source: str, destination: str, options: Options, listen: Listener) -> Report:
    """Converts a model, or those of a tree that the options choose; see `migrate.convert`.

    Raises:
      InputError: the source holds no model, the destination cannot be written, or another run writes to it.
    """
    models = find_models(source)
    tasks = select(source, models, destination, options)
    alone = tasks[0].name == os.curdir
    if alone:
        check_destination(source, destination, options.overwrite)
    else:
        # Models that stand there already fail one by one; the tree itself may exist.
        check_destination(source, os.path.join(destination, "model"), overwrite=True)
    jobs = min(len(tasks), options.jobs or _cores())
    listen(Began(len(tasks), jobs))
    if options.dry_run:
        journal: contextlib.AbstractContextManager[Journal] = contextlib.nullcontext(read_journal(destination))
    else:
        journal = contextlib.nullcontext(no_journal()) if alone else open_journal(destination)
    # One model, or a look at many, does not wait for an import that it may not need.
    preload = (_JOBS,) if len(tasks) == 1 or options.dry_run else PRELOAD
    with journal as opened, Nursery(preload, options.memory_limit_bytes) as nursery:
        fleet = _Fleet(options, opened, nursery, listen, len(tasks))
        found = fleet.run(tasks, jobs)
    space = _space(found, destination) if options.dry_run else None
    return Report(tuple(found), not_started=len(tasks) - len(found), space=space)


@dataclasses.dataclass(frozen=True)
class _Place:
    """A model among those with the same bytes, and its report once it is there."""

    task: Task
    mark: Fingerprint | None
    report: Future[ModelReport]


class _Fleet:
    """The threads of one command. Each drives one model at a time; the work is done in child processes."""

    def __init__(self, options: Options, journal: Journal, nursery: Nursery, listen: Listener, models: int) -> None:
        self._options = options
        self._settings = settings(options)
        self._journal = journal
        self._nursery = nursery
        self._listen = listen
        self._models = models
        self._done = 0
        self._lock = threading.Lock()
        self._firsts: dict[str, _Place] = {}

    def run(self, tasks: tuple[Task, ...], jobs: int) -> list[ModelReport]:
        """Takes every model its way; gives their reports in the order of the tasks.

        An exception, which is an interruption or a journal that cannot be written, ends all of it at once.
        """
        workers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for worker in range(jobs):
            workers.put(worker)
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="migrate-worker")
        futures = [pool.submit(self._take, task, workers) for task in tasks]
        try:
            for future in as_completed(futures):
                good = isinstance(future.result().outcome, GOOD_OUTCOMES)
                if self._options.fail_fast and not good:
                    break  # What has begun is finished.
        except BaseException:
            for future in futures:
                future.cancel()
            self._nursery.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return [future.result() for future in futures if not future.cancelled()]

    def _take(self, task: Task, workers: queue.SimpleQueue[int]) -> ModelReport:
        """One model's way, in a thread."""
        worker = workers.get()
        try:
            report = self._report(task, worker)
            with self._lock:
                self._done += 1
                self._listen(Finished(worker, report, self._done, self._models))
            return report
        finally:
            workers.put(worker)

    def _report(self, task: Task, worker: int) -> ModelReport:
        entry = self._journal.get(task.name)
        self._say(worker, task, "looking at its files")
        mark = fingerprint(task.path)
        stands = os.path.lexists(task.destination)
        ours = stands and not self._options.dry_run and is_ours(task.destination, task.path, entry, mark)
        own, first = self._first(task, mark)
        try:
            if entry is not None and self._is_done(entry, mark, stands, ours):
                destination = entry.report.destination and task.destination
                report = dataclasses.replace(entry.report, source=task.path, destination=destination, skipped=True)
            else:
                report = self._copied(own, first, ours, worker) or self._worked(task, mark, ours, worker)
                report = dataclasses.replace(report, bytes=None if mark is None else mark.bytes)
                if not self._options.dry_run:
                    identity = None if mark is None else mark.identity
                    self._journal.add(Entry(task.name, identity, self._settings, report))
            own.report.set_result(report)
            return report
        finally:
            own.report.cancel()  # Those who wait for it must not wait for ever; one that is set stays.

    def _is_done(self, entry: Entry, mark: Fingerprint | None, stands: bool, ours: bool) -> bool:
        """Whether an earlier run has done what this one would do."""
        same = mark is not None and entry.source == mark.identity and entry.settings == self._settings
        if not same or not entry.is_final:
            return False
        written = isinstance(entry.report.outcome, GOOD_OUTCOMES)
        return not written or (stands and (ours or self._options.dry_run))

    def _first(self, task: Task, mark: Fingerprint | None) -> tuple[_Place, _Place | None]:
        """A model's own place, and that of the model with the same bytes which came first, if there is one."""
        own = _Place(task, mark, Future())
        if mark is None:
            return own, None
        with self._lock:
            there = self._firsts.setdefault(mark.content, own)
        return own, there if there is not own else None

    def _copied(self, own: _Place, first: _Place | None, ours: bool, worker: int) -> ModelReport | None:
        """Copies the new model of another source that has the same bytes; None where there is none to copy."""
        if first is None or own.mark is None or first.mark is None:
            return None
        task = own.task
        self._say(worker, task, f"has the same files as {first.task.name}, which comes first")
        try:
            done = first.report.result()
        except CancelledError:
            return None
        if not isinstance(done.outcome, (Converted, Convertible)):
            return None
        if not same_files(task.path, own.mark, first.task.path, first.mark):
            return None
        report = dataclasses.replace(done, source=task.path, seconds={}, skipped=False, duplicate_of=first.task.path)
        if self._options.dry_run:
            return report
        report = dataclasses.replace(report, destination=task.destination)
        overwrite = ours or self._options.overwrite
        start = time.perf_counter()
        try:
            check_destination(task.path, task.destination, overwrite)
            copy_model(first.task.destination, task.destination, task.path, self._options.checkpoint, overwrite)
        except InputError as error:
            return dataclasses.replace(report, outcome=Failed(str(error)), verification=None)
        except OSError as error:
            reason = f"{task.destination}: {error.strerror or error}"
            return dataclasses.replace(report, outcome=Failed(reason), verification=None)
        return dataclasses.replace(report, seconds={"copy": time.perf_counter() - start})

    def _worked(self, task: Task, mark: Fingerprint | None, ours: bool, worker: int) -> ModelReport:
        """The report of a model after a child process has converted it, or looked at it."""
        job: ConvertJob | AuditJob
        if self._options.dry_run:
            job = AuditJob(task.path, self._options)
        else:
            identity = None if mark is None else mark.identity
            job = ConvertJob(task.path, task.destination, self._options, ours, identity)
        limit = _STEPS * self._options.timeout_seconds
        step = "audit" if self._options.dry_run else "convert"
        result: object = None
        try:
            result = self._nursery.run(step, _JOBS, job, limit, lambda text: self._say(worker, task, text))
        except OSError as error:
            result = Failed(f"the job cannot be handed to a child process: {error.strerror or error}")
        finally:
            if not isinstance(result, ModelReport) and not self._options.dry_run:
                _clear(task.destination)
        if isinstance(result, ModelReport):
            return result
        assert isinstance(result, (Crashed, TimedOut, Failed))
        return ModelReport(task.path, None if self._options.dry_run else task.destination, Kind.UNKNOWN, result)

    def _say(self, worker: int, task: Task, text: str) -> None:
        self._listen(Step(worker, task.path, text))


def _clear(destination: str) -> None:
    """Removes what a child process that was killed has built. What it forked dies with it, but not at once."""
    deadline = time.monotonic() + _DYING_SECONDS
    while not clear_staging(destination) and time.monotonic() < deadline:
        time.sleep(0.05)


def _space(reports: list[ModelReport], destination: str) -> Space:
    """What a dry run's models take at most: what is not there yet, each as large as its source."""
    needed = sum(
        report.bytes or 0
        for report in reports
        if isinstance(report.outcome, (Convertible, AlreadyTF2)) and not report.skipped
    )
    parent = os.path.abspath(destination)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    return Space(needed, shutil.disk_usage(parent).free)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
