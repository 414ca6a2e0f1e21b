"""What the calls on a candidate mean, in outcomes and in words. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.model.steps import DRAWN
from migrate.model.verdict import compared, forgiven, judge, made_of, not_run, risk_of, unverified
from migrate.records import (
    Convertible,
    Failed,
    Finding,
    Mismatch,
    Mismatched,
    Options,
    Severity,
    Unverified,
)
from migrate.verify import RANDOM, replay_candidate
from migrate.verify.calls import Answer, Call, Fingerprint, Golden
from migrate.verify.messages import PATHS, CandidateResult
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, PASSED, report, steps


class _Candidate:
    """Answers each call with ones, and has other variables."""

    def __init__(self, variables):
        self.variables = variables

    def run(self, step, module, job, kind, timeout_seconds):
        ones = Answer({f"y{n}": np.ones(2, np.float32) for n in range(3)})
        return CandidateResult(dict.fromkeys(PATHS, (ones,) * len(job.calls)), self.variables)


def _verify(names):
    calls = (Call("s", {"x": np.zeros(1, np.float32)}),) * 2
    zeros = (Answer({f"y{n}": np.zeros(2, np.float32) for n in range(3)}),) * 2
    known = {name: Fingerprint("float32", (2,), "one") for name in names}
    golden = Golden(calls, zeros, zeros, {}, known, "tensorflow", "2.21.0")
    found = {name: Fingerprint("float32", (2,), "other") for name in names}
    return replay_candidate(_Candidate(found), golden, "new")


def test_variables_come_first():
    verification = _verify(["kernel", "bias"])
    assert [m.output for m in verification.mismatches[:2]] == ["kernel", "bias"]
    assert len(verification.mismatches) > 12


def test_the_reason_names_them():
    for names, told in (
        (["kernel"], "the variable(s) 'kernel' and "),
        (["a", "b", "c", "d", "e"], "the variable(s) 'a', 'b', 'c' and 2 more and "),
    ):
        outcome, _ = judge(_verify(names))
        assert outcome.reason.startswith(told), outcome.reason
        assert outcome.reason.endswith("answer(s) differ from the source's")
    outcome, _ = judge(_verify([]))
    # Two calls of three outputs, however many ways of loading the model they differ in.
    assert outcome.reason.startswith("6 answer(s) differ"), outcome.reason


_CONTRACT = Mismatch("s", -1, "y", "contract", "expected the dtype int64, found int32")


def _with(*mismatches):
    return dataclasses.replace(PASSED, mismatches=mismatches)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (PASSED, (None, PASSED)),
        (Failed("no"), (Failed("no"), None)),
        (
            _with(_CONTRACT),
            (
                Mismatched(
                    "clients of the source cannot rely on it: signature 's', 'y': expected the dtype int64, found int32"
                ),
                _with(_CONTRACT),
            ),
        ),
    ],
)
def test_what_a_replay_means(result, expected):
    assert judge(result) == expected


def test_the_contract_comes_before_values():
    outcome, _ = judge(_with(Mismatch("s", 0, "y", "tf2", "differs"), _CONTRACT, _CONTRACT))
    assert outcome.reason.startswith("clients of the source cannot rely on it: signature 's', 'y': expected the dtype")
    assert outcome.reason.endswith("found int32 and 1 more; 1 answer(s) differ from the source's")


def test_of_what_no_value_was_compared():
    for values, named, told in (
        (4, {"s/y": "every answer was empty"}, "nothing differs, and no value was compared of 's/y' (every answer "),
        (0, {"s": "it fails"}, "no value was compared: 's' (it fails)"),
        (0, {}, "no value was compared: every signature is one that no TF1 Session answers"),
    ):
        outcome, _ = judge(dataclasses.replace(PASSED, values=values, unverified=named))
        assert isinstance(outcome, Unverified)
        assert outcome.reason.startswith(told)


def test_the_contract_is_looked_at_where_calls_were_answered():
    directory = str(MODELS / "tf2")
    found = compared(steps(contract=lambda _: (_CONTRACT,)), GOLDEN, directory, Options())
    assert found.mismatches == (_CONTRACT,)
    seen = []
    compared(steps(contract=lambda candidate: seen.append(candidate) or ()), GOLDEN, directory, Options())
    assert seen[0].directory == directory
    assert "serving_default" in seen[0].meta_graphs[0].signature_def
    assert compared(steps(replay=lambda *_: Failed("no"), contract=None), GOLDEN, directory, Options()) == Failed("no")


def test_a_candidate_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        compared(steps(), GOLDEN, str(tmp_path), Options())


def test_a_risk_is_one_until_it_is_allowed():
    note = Finding("other-meta-graph", Severity.NOTE, "was not taken")
    risk = Finding("python-op", Severity.WARNING, "it runs Python", ("py",))
    risky = report(Convertible(), findings=(note, risk))
    assert risk_of(risky, Options()) == risk
    assert risk_of(risky, Options(allow_side_effects=True)) is None
    assert risk_of(report(Convertible(), findings=(note,)), Options()) is None
    said = not_run(risk)
    assert (said.message, said.nodes) == ("the model was not run: it runs Python", ("py",))


def _made_of(digest, directory):
    (directory / "assets.extra").mkdir(parents=True, exist_ok=True)
    (directory / "assets.extra" / "migration.json").write_text(json.dumps({"source": {"sha256": digest}}))
    return made_of(str(directory), steps())


def test_a_candidate_of_another_source_is_told(tmp_path):
    assert made_of(str(tmp_path), steps(digest=None)) == ()  # Nothing is read of the source where nothing is said.
    assert _made_of("digest", tmp_path) == ()
    (found,) = _made_of("other", tmp_path)
    assert (found.code, found.severity) == ("provenance-differs", Severity.WARNING)
    assert "SHA-256 other, not digest" in found.message


def _hint(named, options=None, text="[]", source="old"):
    verification = dataclasses.replace(PASSED, unverified=named)
    of = dataclasses.replace(report(Convertible()), source=source)
    found = unverified(Unverified("why"), verification, of, options or Options(), lambda _: (text, {}))
    assert (found.message, found.nodes) == ("why", tuple(named))
    return found.hint, found.template


_EMPTY = "every answer was empty"


def test_calls_are_proposed_where_they_would_help():
    assert _hint({"s/y": _EMPTY}) == (
        "give calls of your own with --inputs=calls.json, a file like the one below, or publish it as it is with "
        "--allow_unverified",
        "[]",
    )
    assert _hint({"s/y": _EMPTY}, Options(inputs="calls.json"))[1] == ""
    assert _hint({"s/y": _EMPTY}, text="")[0].startswith("give calls of your own with --inputs, or ")


@pytest.mark.parametrize("named", [{"s/y": DRAWN}, {"s/y": RANDOM}, {"variables": "nobody says which is which"}])
def test_no_calls_are_proposed_where_none_would_help(named):
    assert _hint(named) == ("publish it as it is with --allow_unverified", "")


@pytest.mark.parametrize(("source", "shown"), [("old model", "'old model'"), ("old", "old"), ("old\x1b", "MODEL")])
def test_a_large_file_of_calls_is_a_command(source, shown):
    hint, template = _hint({"s/y": _EMPTY}, text="[\n" * 5000, source=source)
    assert f"(migrate inputs {shown} > calls.json)" in hint
    assert template == ""


def test_a_source_that_tensorflow_refuses_is_told():
    assert forgiven(GOLDEN) == ()
    (found,) = forgiven(dataclasses.replace(GOLDEN, loader="lenient"))
    assert found.code == "source-loaded-leniently"
