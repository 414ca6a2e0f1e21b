"""One model's way from its directory to its report: what ends it before a step is taken. No TensorFlow."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from migrate.errors import InputError
from migrate.model import jobs
from migrate.model.jobs import convert_model, run, validate_model
from migrate.model.messages import AuditJob, ConvertJob, ValidateJob
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Failed,
    Kind,
    Mismatched,
    ModelOptions,
    Options,
    Refused,
    Unchanged,
    Unreadable,
    Validated,
)
from migrate.sources.fingerprint import fingerprint
from tests.conversions import MODELS, ROOT
from tests.model.recorded import PASSED, Runner, steps

TF2 = str(MODELS / "tf2")
OLD = str(MODELS / "simple_save")


def _convert(path, tmp_path, runner=None, **fields):
    options = fields.pop("options", Options())
    job = ConvertJob(str(path), str(tmp_path / "new"), options, **fields)
    report = convert_model(job, runner or Runner(), lambda _: None)
    assert report.destination == str(tmp_path / "new")
    return report, os.path.exists(tmp_path / "new")


def test_a_tf2_model_is_copied(tmp_path):
    report, is_there = _convert(TF2, tmp_path, identity=fingerprint(TF2).identity)
    assert (report.outcome, is_there) == (Unchanged(), True)
    assert list(report.seconds) == ["audit", "copy"]
    assert fingerprint(str(tmp_path / "new")).content == fingerprint(TF2).content


def test_a_source_that_was_changed_meanwhile_is_not_published(tmp_path):
    report, is_there = _convert(TF2, tmp_path, identity="another")
    assert isinstance(report.outcome, Failed)
    assert "was changed while it was converted; nothing was written" in report.outcome.reason
    assert not is_there


def test_what_stands_there_is_replaced_only_where_that_is_allowed(tmp_path):
    (tmp_path / "new").mkdir()
    report, _ = _convert(TF2, tmp_path)
    assert isinstance(report.outcome, Failed)
    assert "exists already" in report.outcome.reason
    assert os.listdir(tmp_path / "new") == []
    for fields in {"replace": True}, {"options": Options(overwrite=True)}:
        assert _convert(TF2, tmp_path, **fields)[0].outcome == Unchanged()


@pytest.mark.parametrize(
    ("path", "outcome", "proposed"),
    [
        (MODELS / "absent", Unreadable, None),
        (MODELS / "unknown_op", Refused, None),
        (ROOT / "testdata" / "keras" / "custom", Refused, None),
        (MODELS / "multi_tags", Refused, None),
    ],
)
def test_what_is_refused_is_never_run(tmp_path, path, outcome, proposed):
    options = Options(tags=frozenset({"nothing"})) if path.name == "multi_tags" else Options()
    report, is_there = _convert(path, tmp_path, options=options)
    assert (type(report.outcome), report.proposed, is_there) == (outcome, proposed, False)


def test_what_would_help_is_proposed(tmp_path):
    source = ROOT / "testdata" / "forms" / "saver_steps"
    report, _ = _convert(source, tmp_path)
    audited = run(AuditJob(str(source), Options()))
    assert isinstance(report.proposed, ModelOptions)
    assert (report.outcome, report.proposed) == (audited.outcome, audited.proposed)


def test_a_step_that_fails_is_the_outcome(tmp_path):
    report, is_there = _convert(OLD, tmp_path, Runner(Failed("no")))
    assert (report.outcome, is_there) == (Failed("no"), False)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_is_an_outcome(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "publish", full)
    report, is_there = _convert(TF2, tmp_path)
    assert report.outcome == Failed(f"{tmp_path / 'new'}: No space left on device")
    assert not is_there


def test_too_little_room_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    report, is_there = _convert(TF2, tmp_path)
    assert isinstance(report.outcome, Failed)
    assert "10 free; make room, or choose another destination" in report.outcome.reason
    assert not is_there


def _validate(candidate, path, runner=None):
    return validate_model(ValidateJob(str(candidate), str(path), Options()), runner or Runner(), lambda _: None)


def test_sides_with_other_names_are_not_run():
    report = _validate(TF2, MODELS / "vocabulary")
    assert isinstance(report.outcome, Mismatched)
    assert (report.is_validation, report.destination) == (True, TF2)
    assert isinstance(_validate(MODELS / "vocabulary", TF2).outcome, Mismatched)


@pytest.mark.parametrize(("verification", "outcome"), [(PASSED, Validated()), (Failed("no"), Failed("no"))])
def test_a_candidate_is_compared(monkeypatch, verification, outcome):
    monkeypatch.setattr(jobs, "tf2_steps", lambda *_: steps(replay=lambda *_: verification))
    assert _validate(TF2, TF2).outcome == outcome


def test_a_source_that_cannot_be_asked_is_the_outcome():
    assert _validate(TF2, TF2, Runner(Failed("no"))).outcome == Failed("no")


def test_a_refused_graph_is_asked_and_a_refused_keras_file_is_not_loaded():
    assert _validate(TF2, MODELS / "unknown_op", Runner(Failed("no"))).outcome == Failed("no")
    report = _validate(TF2, ROOT / "testdata" / "keras" / "custom", Runner())
    assert (report.outcome, report.is_validation) == (Refused(), True)


def test_a_candidate_that_is_no_model_is_told(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        _validate(tmp_path, TF2)


def test_each_job_is_carried_out(tmp_path, monkeypatch):
    assert run(AuditJob(TF2, Options())).outcome == AlreadyTF2()
    assert run(AuditJob(OLD, Options())).outcome == Convertible()
    assert run(ConvertJob(TF2, str(tmp_path / "new"), Options())).outcome == Unchanged()
    report = run(ValidateJob(str(tmp_path / "absent"), TF2, Options()))
    assert (report.kind, type(report.outcome), report.is_validation) == (Kind.UNKNOWN, Unreadable, True)


def test_a_mismatch_begins_with_the_flags_that_validate_was_not_given(tmp_path):
    """The candidate has one signature less, as --drop_signatures has asked for, and validate knows nothing of it."""
    new = tmp_path / "new"
    shutil.copytree(TF2, new)
    (new / "assets.extra").mkdir(exist_ok=True)
    (new / "assets.extra" / "migration.json").write_text('{"source": {}, "options": {"drop_signatures": true}}')
    report = _validate(new, MODELS / "vocabulary")
    assert isinstance(report.outcome, Mismatched)
    assert report.findings[0].code == "flags-not-given"
    assert "converted with --drop_signatures" in report.findings[0].message
