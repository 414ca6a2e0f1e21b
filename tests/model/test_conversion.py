"""Convert and validate as steps: each way in which they end. No TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil

import pytest

from migrate.errors import InputError
from migrate.export.weights import Weights, WeightsJob
from migrate.model.conversion import Work, convert, validate
from migrate.model.steps import Taking
from migrate.records import (
    Converted,
    Convertible,
    Crashed,
    Failed,
    Finding,
    Mismatch,
    Mismatched,
    Options,
    Severity,
    TimedOut,
    Unverified,
    Validated,
)
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, PASSED, report, steps

_CANDIDATE = str(MODELS / "tf2")
_RISK = Finding("touches-files", Severity.WARNING, "it writes files", ("w",))
_RISKY = report(Convertible(), findings=(_RISK,))
_SAFE = report(Convertible())
_DIFFERS = dataclasses.replace(PASSED, mismatches=(Mismatch("s", 0, "y", "tf2", "differs"),))
_NOTHING = dataclasses.replace(PASSED, values=0, unverified={"s/y": "every answer was empty"})


def _export(staged, base, taking):
    shutil.copytree(_CANDIDATE, staged)
    return base


class _Converted:
    """One conversion: its report, which steps were taken, and whether something was published."""

    def __init__(self, tmp_path, base=_SAFE, options=None, **given):
        self.said, self.published, self.seconds = [], [], {}
        work = Work(
            steps(**{"export": _export, **given}),
            options or Options(),
            self.said.append,
            self.seconds,
            lambda _: ("", {}),
        )
        destination = str(tmp_path / "new")
        self.report = convert(work, base, destination, lambda staged: self.published.append(os.listdir(staged)))
        assert os.listdir(tmp_path) == []  # Nothing is left of the staging directory.

    @property
    def codes(self):
        return [finding.code for finding in self.report.findings]


def test_a_model_that_answers_as_its_source_is_published(tmp_path):
    done = _Converted(tmp_path)
    assert isinstance(done.report.outcome, Converted)
    assert done.report.verification == PASSED
    assert done.report.converted_signatures is None
    assert done.codes == []
    assert done.said == ["taking golden answers", "converting", "replaying the calls on the new model"]
    assert list(done.report.seconds) == ["golden", "export", "candidate", "publish"]
    assert "saved_model.pb" in done.published[0]


def test_without_verification_nothing_is_asked(tmp_path):
    done = _Converted(tmp_path, _RISKY, Options(verify=False, details=True), golden=None, replay=None)
    assert isinstance(done.report.outcome, Converted)
    assert done.report.verification is None
    assert done.said == ["converting"]
    assert [signature.key for signature in done.report.converted_signatures] == ["serving_default"]
    assert len(done.published) == 1


@pytest.mark.parametrize("ending", [Failed("no"), Crashed("golden", -9, ""), TimedOut("golden", 1.0)])
@pytest.mark.parametrize("step", ["golden", "export", "replay"])
def test_a_step_that_fails_is_the_end(tmp_path, step, ending):
    done = _Converted(tmp_path, options=Options(allow_unverified=True), **{step: lambda *_: ending})
    assert done.report.outcome == ending
    assert done.published == []


def test_a_step_that_was_begun_is_ended_whatever_happens(tmp_path):
    ended = []

    @contextlib.contextmanager
    def begin(staged):
        try:
            yield
        finally:
            ended.append(staged)

    _Converted(tmp_path, begin=begin, export=lambda *_: Failed("no"))
    assert len(ended) == 1


def _taking(damage):
    class _Running:
        def result(self):
            return damage

    return Taking(Weights({}, (), WeightsJob(())), _Running())


@pytest.mark.parametrize(
    ("golden", "found", "expected"),
    [
        (Failed("bytes"), Failed("variable 'w'"), Failed("variable 'w'")),
        (Failed("bytes"), None, Failed("bytes")),
        (TimedOut("golden", 1.0), Failed("variable 'w'"), TimedOut("golden", 1.0)),
    ],
)
def test_a_damaged_variable_is_said_in_the_place_of_wrong_bytes(tmp_path, golden, found, expected):
    begin = lambda _: contextlib.nullcontext(_taking(found))  # noqa: E731
    assert _Converted(tmp_path, golden=lambda: golden, begin=begin).report.outcome == expected


def test_a_risky_model_is_not_run(tmp_path):
    done = _Converted(tmp_path, _RISKY, golden=None, export=None)
    assert done.report.outcome == Unverified("the model was not run")
    assert done.codes == ["unverified", "touches-files"]
    assert done.published == []
    done = _Converted(tmp_path, _RISKY, Options(allow_unverified=True), golden=None, replay=None)
    assert isinstance(done.report.outcome, Converted)
    assert done.codes == ["unverified", "touches-files"]
    done = _Converted(tmp_path, _RISKY, Options(allow_side_effects=True))
    assert (done.report.verification, done.codes) == (PASSED, ["touches-files"])
    assert done.report.confinement.lifted == ("verification",)


def test_a_difference_is_never_published(tmp_path):
    for options in Options(), Options(allow_unverified=True):
        done = _Converted(tmp_path, options=options, replay=lambda *_: _DIFFERS)
        assert isinstance(done.report.outcome, Mismatched)
        assert done.report.verification == _DIFFERS
        assert done.published == []
    broken = _Converted(tmp_path, contract=lambda _: (Mismatch("s", -1, "", "contract", "is gone"),))
    assert isinstance(broken.report.outcome, Mismatched)


def test_what_was_not_compared_is_published_only_where_that_is_allowed(tmp_path):
    done = _Converted(tmp_path, replay=lambda *_: _NOTHING)
    assert isinstance(done.report.outcome, Unverified)
    assert (done.codes, done.published) == (["unverified"], [])
    done = _Converted(tmp_path, options=Options(allow_unverified=True), replay=lambda *_: _NOTHING)
    assert isinstance(done.report.outcome, Converted)
    assert (done.codes, len(done.published)) == (["unverified"], 1)


def test_an_error_of_publishing_is_the_callers_and_leaves_nothing(tmp_path):
    def finish(staged):
        raise InputError("was changed while it was converted")

    work = Work(steps(export=_export), Options(verify=False), lambda _: None, {}, lambda _: ("", {}))
    with pytest.raises(InputError, match="was changed"):
        convert(work, _SAFE, str(tmp_path / "new"), finish)
    assert os.listdir(tmp_path) == []


def _validated(base=_SAFE, options=None, **given):
    work = Work(steps(**given), options or Options(), lambda _: None, {}, lambda _: ("", {}))
    return validate(work, base, _CANDIDATE)


def test_a_candidate_is_validated():
    found = _validated(golden=lambda: dataclasses.replace(GOLDEN, loader="lenient"), options=Options(details=True))
    assert isinstance(found.outcome, Validated)
    assert [finding.code for finding in found.findings] == ["source-loaded-leniently"]
    assert [signature.key for signature in found.converted_signatures] == ["serving_default"]
    assert found.confinement.lifted == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"golden": lambda: Failed("no")}, Failed),
        ({"replay": lambda *_: TimedOut("candidate", 1.0)}, TimedOut),
        ({"replay": lambda *_: _DIFFERS}, Mismatched),
        # There is nothing to publish that could be allowed.
        ({"replay": lambda *_: _NOTHING, "options": Options(allow_unverified=True)}, Unverified),
        ({"base": _RISKY, "golden": None}, Failed),
        ({"base": _RISKY, "options": Options(allow_side_effects=True)}, Validated),
    ],
)
def test_how_a_validation_ends(given, expected):
    assert isinstance(_validated(**given).outcome, expected)
