"""One model of a tree: what is known of it before, and the child process that does it."""

from __future__ import annotations

import dataclasses
import errno

import pytest

from migrate.fleet.journal import Entry
from migrate.fleet.selection import Task
from migrate.fleet.worker import Look, ask, is_by_another_version, look, work
from migrate.model.messages import AuditJob, ConvertJob
from migrate.records import (
    Converted,
    Crashed,
    Failed,
    Kind,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
    TimedOut,
    Unchanged,
)
from migrate.sources.fingerprint import fingerprint

_VERSIONS, _SETTINGS = "these", "digest"


@pytest.fixture
def task(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "saved_model.pb").write_bytes(b"graph")
    return Task("m", str(tmp_path / "source"), str(tmp_path / "new"))


def _known(task, outcome, ours=True, **fields):
    mark = fingerprint(task.path)
    report = ModelReport("old place", "old new", Kind.TF1_SAVED_MODEL, outcome)
    entry = dataclasses.replace(Entry("m", mark.identity, _SETTINGS, report, _VERSIONS), **fields)
    return Look(task, entry, mark, ours)


def _done(found, **options):
    return found.done(Options(**options), _SETTINGS, _VERSIONS)


@pytest.mark.parametrize(("outcome", "ours"), [(Converted(), True), (Refused(), False), (Unchanged(), True)])
def test_what_would_end_in_the_same_way_is_not_done_again(outcome, ours, task):
    report = _done(_known(task, outcome, ours))
    assert report.skipped and report.outcome == outcome
    assert (report.source, report.destination) == (task.path, task.destination)


@pytest.mark.parametrize(
    ("outcome", "ours", "fields"),
    [
        (Converted(), False, {}),  # Somebody has changed the new model.
        (Failed("disk"), True, {}),
        (Converted(), True, {"source": "other"}),
        (Converted(), True, {"source": None}),
        (Converted(), True, {"settings": "other"}),
        (Converted(), True, {"versions": "other"}),  # It was not verified.
        (Refused(), False, {"versions": "other"}),
    ],
)
def test_anything_else_is_done_again(outcome, ours, fields, task):
    assert _done(_known(task, outcome, ours, **fields)) is None
    assert _done(look(task, None)) is None


def test_what_another_version_has_verified_is_kept_and_told_unless_it_is_to_be_done_again(task):
    found = _known(task, Unchanged(), versions="other")
    report = _done(found)
    assert is_by_another_version(report) and "(other)" in report.findings[0].message
    assert _done(found, reconvert=True) is None
    assert not is_by_another_version(_done(_known(task, Unchanged())))


def test_what_is_known_of_files_that_are_gone(task):
    gone = look(dataclasses.replace(task, path="/no/such/model"), None)
    assert (gone.identity, gone.ours, gone.remembered) == (None, False, ModelOptions())
    remembered = ModelOptions(max_ulps=1)
    assert _known(task, Converted(), remembered=remembered).remembered == remembered


class _Nursery:
    """Gives one answer, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, step, module, job, kind, seconds, say):
        self.asked = (step, job, seconds)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def test_a_model_is_converted_with_the_tags_of_its_task(task):
    nursery = _Nursery(ModelReport("named by the child", "too", Kind.FROZEN_GRAPH, Converted()))
    tagged = dataclasses.replace(task, tags=frozenset({"serve"}))
    report = work(look(tagged, None), Options(timeout=10.0, all_tags=True), nursery, print)
    step, job, seconds = nursery.asked
    assert (step, type(job), seconds) == ("convert", ConvertJob, 40.0)
    assert job.options.tags == {"serve"} and not job.options.all_tags
    assert (report.source, report.destination, report.bytes) == (task.path, task.destination, 5)


def test_a_dry_run_audits(task):
    nursery = _Nursery(ModelReport("m", None, Kind.FROZEN_GRAPH, Converted()))
    assert work(look(task, None), Options(dry_run=True), nursery, print).destination is None
    assert type(nursery.asked[1]) is AuditJob


@pytest.mark.parametrize(
    "answer", [Crashed("convert", -9, ""), TimedOut("convert", 1.0), OSError(errno.EMFILE, "many")]
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_child_without_a_report_is_how_the_model_ended(answer, dry_run, task):
    report = work(look(task, None), Options(dry_run=dry_run), _Nursery(answer), print)
    expected = Failed("the job cannot be handed to a child process: many") if isinstance(answer, OSError) else answer
    assert (report.outcome, report.kind) == (expected, Kind.UNKNOWN)
    assert report.destination == (None if dry_run else task.destination)


def test_what_ends_the_command_is_not_kept_back(task):
    with pytest.raises(KeyboardInterrupt):
        ask(_Nursery(KeyboardInterrupt()), "audit", AuditJob(task.path, Options()), print)
