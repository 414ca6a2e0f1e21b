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
    GoldenFile,
    Mismatch,
    Mismatched,
    NearOutput,
    Options,
    Severity,
    Structure,
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
_PROVED = Structure(("s/y", "s/z"), 2, 1, 1)
_HALF = Structure(("s/y",), 2, 1, 1, {"s/z": "an op that nobody knows"})
_OTHER = Structure(("s/z",), 2, 1, 1, {"s/y": "an op that nobody knows"})
_NOTHING = dataclasses.replace(PASSED, values=0, unverified={"s/y": "every answer was empty"})


def _export(staged, base, taking):
    shutil.copytree(_CANDIDATE, staged)
    return base


class _Converted:
    """One conversion: its report, which steps were taken, and whether something was published."""

    def __init__(self, tmp_path, base=_SAFE, options=None, golden_file=None, **given):
        self.said, self.published, self.seconds = [], [], {}
        work = Work(
            steps(**{"export": _export, **given}),
            options or Options(),
            self.said.append,
            self.seconds,
            lambda _: ("", {}),
            golden_file,
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


_FILE = GoldenFile("g.npz", "TensorFlow 1.4.1", 1, 0.0, 0.0, (NearOutput("s", "y", 2, 2, True, 0.0, 0.0),))
_NEAR = dataclasses.replace(PASSED, golden=_FILE)


def test_a_golden_file_is_compared_beside_the_source(tmp_path):
    done = _Converted(tmp_path, golden_file=lambda _: _NEAR)
    assert isinstance(done.report.outcome, Converted) and done.codes == []
    assert done.report.verification == dataclasses.replace(PASSED, golden=_FILE)
    done = _Converted(tmp_path, golden_file=lambda _: dataclasses.replace(_NEAR, mismatches=_DIFFERS.mismatches))
    assert isinstance(done.report.outcome, Mismatched) and not done.published


@pytest.mark.parametrize("ending", [Failed("no GPU"), TimedOut("golden", 5), Crashed("golden", -11, "")])
def test_a_golden_file_stands_in_for_a_source_that_gives_no_answers(ending, tmp_path):
    done = _Converted(tmp_path, golden=lambda: ending, golden_file=lambda _: _NEAR)
    assert isinstance(done.report.outcome, Converted) and done.published
    assert done.codes == ["golden-file-alone"] and done.report.verification.golden == _FILE
    nothing = dataclasses.replace(_NEAR, values=0, golden=dataclasses.replace(_FILE, outputs=()))
    done = _Converted(tmp_path, golden=lambda: ending, golden_file=lambda _: nothing)
    assert isinstance(done.report.outcome, Unverified) and not done.published
    assert _Converted(tmp_path, golden=lambda: ending).report.outcome == ending


@pytest.mark.parametrize("ending", [Failed("why"), TimedOut("candidate", 5), Crashed("candidate", -11, "")])
def test_a_new_model_that_ends_the_calls_of_a_golden_file(ending, tmp_path):
    done = _Converted(tmp_path, golden_file=lambda _: ending)
    assert done.report.outcome == ending and not done.published


def test_a_golden_file_stands_in_for_a_risky_source_that_is_not_run(tmp_path):
    done = _Converted(tmp_path, _RISKY, golden=lambda: 1 / 0, golden_file=lambda _: _NEAR)
    assert isinstance(done.report.outcome, Converted) and done.published
    assert done.codes == ["touches-files", "golden-file-alone"]
    assert "(not run: it writes files)" in done.report.findings[-1].message
    unsafe = Failed("the candidate was not loaded: it writes files")
    done = _Converted(tmp_path, _RISKY, golden=lambda: 1 / 0, golden_file=lambda _: unsafe)
    assert done.report.outcome == unsafe and not done.published


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


def test_a_risky_model_is_published_where_it_is_proved(tmp_path):
    asked = []

    def prove(candidate, is_run):
        asked.append(is_run)
        return _PROVED

    done = _Converted(tmp_path, _RISKY, golden=None, replay=None, prove=prove)
    assert isinstance(done.report.outcome, Converted)
    assert (done.report.verification.passed, done.report.verification.structure) == (True, _PROVED)
    assert (asked, done.codes) == ([False], ["touches-files"])


def test_a_risky_model_of_which_something_is_not_proved_is_not_published(tmp_path):
    done = _Converted(tmp_path, _RISKY, golden=None, replay=None, prove=lambda *_: _HALF)
    assert done.report.outcome == Unverified(
        "the model was not run, and it is not proved of 's/z' (an op that nobody knows)"
    )
    assert (done.codes, done.published) == (["unverified", "touches-files"], [])
    done = _Converted(
        tmp_path, _RISKY, Options(allow_unverified=True), golden=None, replay=None, prove=lambda *_: _HALF
    )
    assert isinstance(done.report.outcome, Converted)
    assert not done.report.verification.passed


_UNASKED = Finding("unverified", Severity.WARNING, "the model was not run: TensorFlow 2 has no Dead", ("Dead",), "do")


def test_a_source_that_nobody_here_can_be_asked_for_is_proved_or_unverified(tmp_path):
    given = {"golden": lambda: 1 / 0, "replay": None, "unasked": _UNASKED}
    done = _Converted(tmp_path, prove=lambda *_: _PROVED, **given)
    assert isinstance(done.report.outcome, Converted) and not done.codes
    done = _Converted(tmp_path, prove=lambda *_: _HALF, **given)
    assert isinstance(done.report.outcome, Unverified) and not done.published
    assert done.report.findings == (_UNASKED,)
    done = _Converted(tmp_path, prove=lambda *_: _HALF, golden_file=lambda _: _NEAR, **given)
    assert done.codes == ["golden-file-alone"]
    assert "(the model was not run: TensorFlow 2 has no Dead)" in done.report.findings[0].message


@pytest.mark.parametrize(("shown", "outcome"), [(_PROVED, Validated), (_HALF, Unverified)])
def test_validate_of_a_source_that_nobody_here_can_be_asked_for(shown, outcome):
    taken = steps(golden=lambda: 1 / 0, replay=None, unasked=_UNASKED, prove=lambda *_: shown)
    found = validate(Work(taken, Options(), lambda _: None, {}, lambda _: ("", {})), _SAFE, _CANDIDATE)
    assert isinstance(found.outcome, outcome)
    assert (_UNASKED in found.findings) == (outcome is Unverified)


def test_a_proof_alone_runs_nothing(tmp_path):
    options = Options(verify="proof")
    done = _Converted(tmp_path, options=options, golden=None, replay=None, prove=lambda *_: _PROVED)
    assert isinstance(done.report.outcome, Converted)
    assert done.report.verification.level == "proof"
    done = _Converted(tmp_path, options=options, golden=None, replay=None, prove=lambda *_: _HALF)
    assert isinstance(done.report.outcome, Unverified)
    done = _Converted(tmp_path, options=options, golden=None, replay=None)
    assert done.report.outcome == Unverified("the source has no graph, of which something could be proved")


def test_a_broken_contract_is_a_difference_though_all_is_proved(tmp_path):
    broken = Mismatch("s", -1, "", "contract", "the method name differs")
    options = Options(verify="proof")
    done = _Converted(tmp_path, options=options, prove=lambda *_: _PROVED, contract=lambda _: (broken,))
    assert isinstance(done.report.outcome, Mismatched)


def test_what_no_call_compares_may_be_proved(tmp_path):
    done = _Converted(tmp_path, replay=lambda *_: _NOTHING, prove=lambda *_: _PROVED)
    assert isinstance(done.report.outcome, Converted)
    done = _Converted(tmp_path, replay=lambda *_: _NOTHING, prove=lambda *_: _OTHER)
    assert isinstance(done.report.outcome, Unverified)


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


def test_a_candidate_that_cannot_be_loaded_is_told_before_the_source_is_asked():
    broken = Mismatch("", -1, "f", "contract", "calls itself", "graph-unloadable")
    found = _validated(contract=lambda _: (broken,), golden=None)
    assert isinstance(found.outcome, Mismatched), found
    assert found.verification.mismatches == (broken,) and found.verification.calls == 0


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
