"""A tree of candidates, each compared with the source of the same name. A journal beside the report says what was done.

Nothing is written in either tree.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Sequence

from migrate.errors import InputError, first_few
from migrate.events import Began, Listener, Warned, event_of
from migrate.fleet.journal import Entry, Journal, damage, no_journal, open_journal, settings, versions
from migrate.fleet.model_options import decide, with_config
from migrate.fleet.selection import Task, select
from migrate.fleet.side_by_side import side_by_side
from migrate.fleet.worker import ask
from migrate.model.messages import PRELOAD, ValidateJob
from migrate.processes.forks import cores
from migrate.processes.nursery import Nursery
from migrate.records import Kind, ModelOptions, ModelReport, Options, Report
from migrate.sources.discover import find_models
from migrate.sources.fingerprint import fingerprint


def validate_fleet(candidate: str, source: str, options: Options, listen: Listener, directory: str | None) -> Report:
    """Validates the candidates of a tree that have a source of the same name.

    Args:
      candidate: the tree of candidates.
      source: the tree of sources.
      options: see `records.Options`; `include`, `exclude` and `only_latest_version` choose among the sources.
      listen: told what is being done.
      directory: where the journal is, so that the same command goes on where one has ended; None for no journal.

    Raises:
      InputError: no candidate has a source, or the journal cannot be written.
    """
    pairs = _pairs(candidate, source, options, listen)
    jobs = min(len(pairs), options.jobs or cores())
    listen(Began(len(pairs), jobs))
    opened = contextlib.nullcontext(no_journal()) if directory is None else open_journal(directory)
    with opened as journal, Nursery(PRELOAD, options.memory_limit_bytes) as nursery:
        if directory is not None and (warning := damage(directory, journal)):
            listen(Warned(warning))
        found = _Validation(options, journal, nursery, listen, goes_on=directory is not None).run(pairs, jobs)
    return Report(tuple(found), not_started=len(pairs) - len(found), whole_tree=options.takes_all)


def _pairs(candidate: str, source: str, options: Options, listen: Listener) -> tuple[Task, ...]:
    """The sources that have a candidate, which is a task's destination; the others are reported."""
    root = candidate.rstrip(os.sep) or os.sep
    candidates = {os.path.normpath(path) for path in find_models(root)}
    models = find_models(source)
    tasks = with_config(select(source, models, root, options), {source: models}, options)
    pairs = tuple(task for task in tasks if os.path.normpath(task.destination) in candidates)
    if not pairs:
        raise InputError(
            f"{candidate} and {source} have no model of the same name: {_some(candidates, root)} and "
            f"{first_few([task.name for task in tasks], 3)}"
        )
    alone = len(tasks) - len(pairs)
    if alone:
        paired = {task.name for task in pairs}
        names = [task.name for task in tasks if task.name not in paired]
        are = "is" if alone == 1 else "are"
        told = f"{alone:,} of {len(tasks):,} models of {source} {are} not in {candidate}"
        listen(Warned(f"{told}: {first_few(names, 3)}"))
    left = candidates - {os.path.normpath(task.destination) for task in tasks}
    if left and options.takes_all:
        noun, have = ("model", "has") if len(left) == 1 else ("models", "have")
        told = f"{len(left):,} {noun} of {candidate} {have} no source in {source}"
        listen(Warned(f"{told}: {_some(left, root)}"))
    return pairs


def _some(paths: set[str], root: str) -> str:
    return first_few(sorted(os.path.relpath(path, root) for path in paths), 3)


class _Validation:
    """What the threads of one command share; each has one pair at a time compared in child processes."""

    def __init__(self, options: Options, journal: Journal, nursery: Nursery, listen: Listener, goes_on: bool) -> None:
        self._options = options
        self._settings = functools.lru_cache(maxsize=None)(settings)
        self._journal = journal
        self._nursery = nursery
        self._listen = listen
        self._goes_on = goes_on

    def run(self, pairs: Sequence[Task], jobs: int) -> list[ModelReport]:
        """Compares every pair; see `side_by_side`."""
        return side_by_side(
            pairs, self._report, jobs, self._nursery, self._listen, self._options.fail_fast, self._goes_on
        )

    def _report(self, pair: Task, worker: int) -> ModelReport:
        identity = _identity(pair)
        decision = decide(self._options, pair.tables, ModelOptions())
        mark = f"validate {self._settings(decision.options)} {versions()}"
        entry = self._journal.get(pair.name)
        if entry is not None and entry.is_final and (entry.source, entry.settings) == (identity, mark):
            return dataclasses.replace(entry.report, source=pair.path, destination=pair.destination, skipped=True)
        report = self._validated(pair, decision.options, worker)
        self._journal.add(Entry(pair.name, identity, mark, report, time=time.time()))
        return report

    def _validated(self, pair: Task, options: Options, worker: int) -> ModelReport:
        options = options if pair.tags is None else dataclasses.replace(options, tags=pair.tags)
        job = ValidateJob(pair.destination, pair.path, options)

        def say(text: str) -> None:
            self._listen(event_of(worker, pair.destination, text))

        result = ask(self._nursery, "validate", job, say)
        if not isinstance(result, ModelReport):
            result = ModelReport(pair.path, pair.destination, Kind.UNKNOWN, result, is_validation=True)
        return dataclasses.replace(result, source=pair.path, destination=pair.destination)


def _identity(pair: Task) -> str | None:
    """Of the files of both; None where those of one cannot be read."""
    marks = [fingerprint(path) for path in (pair.path, pair.destination)]
    if None in marks:
        return None
    return hashlib.sha256(" ".join(mark.identity for mark in marks if mark is not None).encode()).hexdigest()
