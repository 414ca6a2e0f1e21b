"""Models with calls that end the process or wait for ever: what can be compared is, and the rest is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

import migrate
from migrate.records import Converted, Mismatched, Options, Unverified
from migrate.verify.losses import BLOCKS
from tests.conversions import ROOT, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_WAITING = {"queue", "staging_area", "staging_map"}
_UNVERIFIED = Options(verify=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models of testdata/make_losses.py, and what they become."""
    work = tmp_path_factory.mktemp("losses")
    (work / "models").mkdir()
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'testdata')!r}); import make_losses"
    run_child(["-c", f"{program}; make_losses.make({str(work / 'models')!r})"])
    assert migrate.convert(str(work / "models"), str(work / "new"), _UNVERIFIED).ok
    return work


def _convert(models, tmp_path, name, **options):
    return migrate.convert(str(models / "models" / name), str(tmp_path / "new"), Options(**options)).models[0]


def _not_replayed(report):
    return [f.message for f in report.findings if f.code == "call-not-replayed"]


def test_a_call_that_ends_the_process_is_named_and_the_others_are_compared(models, tmp_path):
    report = _convert(models, tmp_path, "block_lstm")
    assert isinstance(report.outcome, Converted)
    assert report.verification.calls > 0 and report.verification.values > 0
    told = _not_replayed(report)
    assert told
    assert all("signature 'serving_default'(" in line and "length: int64 []" in line for line in told)
    assert all("it ends the process (SIGABRT): Check failed: " in line for line in told)


def test_a_users_call_that_ends_the_process(models, tmp_path):
    calls = [{"inputs": {"x": np.ones((2, 1, 2)).tolist(), "length": n}} for n in (1, 9, 2)]
    (tmp_path / "calls.json").write_text(json.dumps(calls))
    report = _convert(models, tmp_path, "block_lstm", inputs=str(tmp_path / "calls.json"))
    assert isinstance(report.outcome, Converted)
    assert report.verification.calls == 4
    assert len(_not_replayed(report)) == 1


def test_when_no_call_is_left_the_signature_is_named(models, tmp_path):
    calls = [{"inputs": {"x": np.ones((2, 1, 2)).tolist(), "length": 9}}]
    (tmp_path / "calls.json").write_text(json.dumps(calls))
    report = _convert(models, tmp_path, "block_lstm", inputs=str(tmp_path / "calls.json"))
    # What is left is a proof.
    assert report.verification.values == 0
    assert "it ends the process (SIGABRT)" in report.verification.skipped["serving_default"]


@pytest.fixture(scope="module")
def waiting(models):
    return migrate.convert(str(models / "models" / "blocking"), str(models / "verified"), Options()).models[0]


def test_signatures_that_wait_for_ever_are_named(waiting):
    assert isinstance(waiting.outcome, Unverified)
    # Some of them can be proved.
    assert waiting.verification.unverified and waiting.verification.unverified.keys() <= _WAITING
    assert waiting.verification.skipped.keys() == _WAITING
    assert all(BLOCKS in why for why in waiting.verification.skipped.values())
    # The other one was compared.
    assert {o.signature for o in waiting.verification.outputs if o.values} == {"serving_default"}


def test_they_are_told_once_and_no_other_calls_are_asked_for(waiting):
    assert _not_replayed(waiting) == []
    (finding,) = [f for f in waiting.findings if f.code == "unverified"]
    assert finding.hint == "publish it as it is with --allow_unverified"


def test_they_may_be_published_all_the_same(models, tmp_path):
    report = _convert(models, tmp_path, "blocking", allow_unverified=True)
    assert isinstance(report.outcome, Converted)
    # Whatever a proof says of them.
    assert report.verification.skipped.keys() == _WAITING


def _validate(models, source, candidate):
    paths = str(models / "new" / candidate), str(models / "models" / source)
    return migrate.validate(paths[0], against=paths[1]).models[0]


def _answers(report):
    return [m for m in report.verification.mismatches if m.signature and m.call >= 0]


def test_a_candidate_that_dies_where_the_source_answers_differs(models):
    report = _validate(models, "guarded_lstm", "block_lstm")
    assert isinstance(report.outcome, Mismatched)
    reasons = [m.reason for m in _answers(report)]
    assert any("signature 'serving_default'(" in why and "SIGABRT" in why for why in reasons)


def test_a_candidate_that_waits_where_the_source_answers_differs(models):
    report = _validate(models, "not_blocking", "blocking")
    assert isinstance(report.outcome, Mismatched)
    assert {m.signature for m in _answers(report)} == _WAITING
    assert any(BLOCKS in m.reason for m in _answers(report))
