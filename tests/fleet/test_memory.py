"""What a run knows of a model from earlier runs, and what it leaves for later ones."""

from __future__ import annotations

import time

import pytest

from migrate.config import ConfigTable
from migrate.fleet.journal import settings, versions
from migrate.fleet.memory import Known, told
from migrate.fleet.model_options import decide
from migrate.fleet.selection import Task
from migrate.fleet.worker import Look
from migrate.records import Converted, GivenFeed, Kind, ModelOptions, ModelReport, Options, Refused, refusal
from migrate.sources.fingerprint import fingerprint

_REMEMBERED = ModelOptions(drop_signatures=True)


def _report(outcome, **fields):
    return ModelReport("m", "new", Kind.TF1_SAVED_MODEL, outcome, **fields)


@pytest.fixture
def found(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    return Look(Task("m", str(tmp_path), str(tmp_path / "new")), None, fingerprint(str(tmp_path)), ours=True)


def test_what_is_written_is_known_in_the_next_run(found):
    decision = decide(Options(drop_signatures=True), (), ModelOptions())
    entry = Known().entry(found, decision, _report(Converted()))
    assert (entry.name, entry.source, entry.versions) == ("m", found.identity, versions())
    assert entry.settings == settings(decision.options) and entry.remembered == _REMEMBERED
    assert abs(entry.time - time.time()) < 3600
    again = Look(found.task, entry, found.mark, ours=True)
    assert Known().done(again, decision).skipped
    assert Known().done(again, decide(Options(max_ulps=1), (), ModelOptions())) is None
    assert Known().done(found, decision) is None


def test_proposals_that_were_taken_are_as_if_they_were_given(found):
    proposed = ModelOptions(feed=(GivenFeed("x:0", "1.0"),))
    decision = decide(Options(take_proposals=True), (), ModelOptions())
    entry = Known().entry(found, decision, _report(Converted(), proposed=proposed))
    assert entry.proposals
    assert entry.settings == settings(Options(feed=proposed.feed)) != settings(Options())
    assert Known().entry(found, decision, _report(Refused(), proposed=proposed)).settings == settings(Options())


def test_a_report_says_what_was_remembered_and_expected():
    decision = decide(Options(), (), _REMEMBERED)
    report = told(_report(Converted()), decision)
    assert [finding.code for finding in report.findings] == ["options-remembered"]
    assert "--drop_signatures" in report.findings[0].message
    assert told(report, decision) == report
    assert told(report, decide(Options(), (), ModelOptions())).findings == ()
    refused = _report(Refused(), findings=(refusal("unknown-op", "why"),))
    assert told(refused, decide(Options(), (), ModelOptions())).expected == ""
    known = ConfigTable("*", ModelOptions(expect="refused: unknown-op"))
    assert told(refused, decide(Options(), (known,), ModelOptions())).ok
