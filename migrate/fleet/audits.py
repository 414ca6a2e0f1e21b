"""Audits of many models: which of them, with which options each, one after the other or side by side."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence

from migrate.errors import InputError
from migrate.events import Began, Finished, Listener, Step
from migrate.fleet.model_options import Decision, decide, with_config, with_expectation
from migrate.fleet.selection import Task, select_to_read, shared_destinations
from migrate.model.judgement import judged
from migrate.model.study import audit_model
from migrate.records import Finding, ModelOptions, ModelReport, Options, gravest_first
from migrate.sources.discover import find_models


def audit_fleet(paths: Sequence[str], options: Options, listen: Listener) -> tuple[ModelReport, ...]:
    """Audits models and trees of models.

    Args:
      paths: each a model or a tree.
      options: `include`, `exclude` and `only_latest_version` choose models of trees; `jobs` more than one has that many
        processes work side by side, which pays for models that take seconds.
      listen: told which model is read, and what became of it.

    Raises:
      InputError: a path holds no model, the options choose none, or the config is wrong.
    """
    tasks, told = _tasks(paths, options)
    work = [(task, decide(options, task.tables, ModelOptions())) for task in tasks]
    jobs = max(1, min(options.jobs or 1, len(work)))
    listen(Began(len(work), jobs))
    reports = []
    found = _one_by_one(work, listen) if jobs < 2 else _side_by_side(work, jobs, listen)
    for task, report in zip(tasks, found, strict=True):
        if task.path in told:
            report = dataclasses.replace(report, findings=gravest_first((*report.findings, told[task.path])))
        reports.append(report)
        listen(Finished(0, report, len(reports), len(work)))
    return tuple(reports)


def decisions(source: str, options: Options, journal: str | None) -> tuple[Decision, ...]:
    """Decides which options apply to each model of a tree; see `migrate.api.options_of_models`."""
    from migrate.fleet.journal import no_journal, read_journal

    tasks, _ = _tasks([source], options)
    known = no_journal() if journal is None else read_journal(journal)
    remembered = {task.name: known.get(task.name) for task in tasks}
    return tuple(
        dataclasses.replace(
            decide(options, task.tables, ModelOptions() if entry is None else entry.remembered), model=task.path
        )
        for task, entry in zip(tasks, remembered.values(), strict=True)
    )


def _tasks(paths: Sequence[str], options: Options) -> tuple[tuple[Task, ...], dict[str, Finding]]:
    """The models of all paths that the options choose, each once, and what is to be said of some, by path."""
    found: dict[str, Task] = {}
    told: dict[str, Finding] = {}
    none: InputError | None = None
    every = {path: find_models(path) for path in dict.fromkeys(paths)}
    for path, models in every.items():
        try:
            tasks = select_to_read(path, models, options)
        except InputError as error:
            none = none or error  # Another path may have what the patterns are for.
            continue
        for task in tasks:
            found.setdefault(task.path, task)
        told.update(shared_destinations(tasks))
    if none is not None and not found:
        raise none
    return with_config(tuple(found.values()), every, options), told


def _one_by_one(work: Sequence[tuple[Task, Decision]], listen: Listener) -> Iterator[ModelReport]:
    for task, decision in work:
        listen(Step(0, task.path, "reading"))
        report = judged(audit_model(task.path, decision.options), decision.options)
        yield with_expectation(report, decision.expect)


def _side_by_side(work: Sequence[tuple[Task, Decision]], jobs: int, listen: Listener) -> Iterator[ModelReport]:
    """Has child processes work, for which a crash or an end of memory costs one model alone."""
    from concurrent.futures import ThreadPoolExecutor

    from migrate.fleet.worker import Look
    from migrate.fleet.worker import work as carry_out
    from migrate.model.messages import JOBS
    from migrate.processes.nursery import Nursery

    lock = threading.Lock()

    def one(item: tuple[Task, Decision]) -> ModelReport:
        task, decision = item
        with lock:
            listen(Step(0, task.path, "reading"))
        look = Look(task, None, None, ours=False)
        report = carry_out(look, dataclasses.replace(decision.options, dry_run=True), nursery, lambda _: None)
        return with_expectation(report, decision.expect)

    with Nursery((JOBS,), work[0][1].options.memory_limit_bytes) as nursery, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, item) for item in work]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            with contextlib.suppress(Exception):
                nursery.close()
            raise
