"""What the calls on a candidate mean, in outcomes and in words. No TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.model.steps import DRAWN
from migrate.model.verdict import changed_kernels, compared, forgiven, judge, made_of, not_run, risk_of, unverified
from migrate.records import (
    Convertible,
    Crashed,
    Failed,
    Finding,
    JudgedOutput,
    Judgement,
    Mismatch,
    Mismatched,
    Options,
    Severity,
    Structure,
    TimedOut,
    Unverified,
    Verification,
)
from migrate.verify import RANDOM, replay_candidate
from migrate.verify.calls import Answer, Call, Fingerprint, Golden, Held, Tf1Judge
from migrate.verify.messages import PATHS, CandidateResult, CandidateState
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, PASSED, report, steps


class _Candidate:
    """Answers each call with ones, and has other variables."""

    def __init__(self, variables):
        self.variables = variables

    def run(self, step, module, job, kind, timeout_seconds):
        ones = Answer({f"y{n}": np.ones(2, np.float32) for n in range(3)})
        state = CandidateState({n: n for n in self.variables}, True, (), {"tf2": self.variables})
        return CandidateResult(dict.fromkeys(PATHS, (ones,) * len(job.calls)), state)


def _verify(names):
    calls = (Call("s", {"x": np.zeros(1, np.float32)}),) * 2
    zeros = (Answer({f"y{n}": np.zeros(2, np.float32) for n in range(3)}),) * 2
    known = {name: Fingerprint("float32", (2,), "one") for name in names}
    held = Held({name: (name,) for name in names}, tuple(names))
    golden = Golden(calls, zeros, zeros, {}, known, "tensorflow", "2.21.0", held=held)
    found = {name: Fingerprint("float32", (2,), "other") for name in names}
    return replay_candidate(_Candidate(found), golden, "new")


def test_variables_come_first():
    verification = _verify(["kernel", "bias"])
    assert [m.output for m in verification.mismatches[:2]] == ["kernel", "bias"]
    assert len(verification.mismatches) > 12


def test_the_reason_names_them():
    for names, told in (
        (["kernel"], "the variable 'kernel' and "),
        (["a", "b", "c", "d", "e"], "the variables 'a', 'b', 'c' and 2 more and "),
    ):
        outcome, _ = judge(_verify(names))
        assert outcome.reason.startswith(told), outcome.reason
        assert outcome.reason.endswith("answers differ from the source's")
    outcome, _ = judge(_verify([]))
    # Two calls of three outputs, however many ways of loading the model they differ in.
    assert outcome.reason.startswith("6 answers differ"), outcome.reason


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


def test_a_note_is_shown_and_the_model_passes():
    note = dataclasses.replace(_CONTRACT, clients=())
    assert judge(_with(note)) == (None, _with(note))
    outcome, _ = judge(_with(note, _CONTRACT))
    assert outcome.reason.endswith("found int32")


def test_the_contract_comes_before_values():
    outcome, _ = judge(_with(Mismatch("s", 0, "y", "tf2", "differs"), _CONTRACT, _CONTRACT))
    assert outcome.reason.startswith("clients of the source cannot rely on it: signature 's', 'y': expected the dtype")
    assert outcome.reason.endswith("found int32 and 1 more; 1 answer differs from the source's")


def test_of_what_no_value_was_compared():
    for values, named, told in (
        (4, {"s/y": "every answer was empty"}, "nothing differs, and no value was compared of 's/y' (every answer "),
        (0, {"s": "it fails"}, "no value was compared: 's' (it fails)"),
        (0, {}, "no value was compared: every signature is one that no TF1 Session answers"),
    ):
        outcome, _ = judge(dataclasses.replace(PASSED, values=values, unverified=named))
        assert isinstance(outcome, Unverified)
        assert outcome.reason.startswith(told)


def test_a_model_that_takes_no_call_is_not_said_not_to_have_been_run():
    half = Structure((), 1, 0, 0, {"s/y": "an op that nobody knows"})
    why = "no synthesised call is accepted"
    asked = Verification(0, 0, 0, True, 0.0, 0, 0, (), (), {"s": why}, (), {"s": why}, structure=half)
    assert judge(asked)[0] == Unverified(f"no value was compared: 's' ({why})")
    not_asked = dataclasses.replace(asked, skipped={})
    assert judge(not_asked)[0] == Unverified(f"the model was not run, and it is not proved of 's' ({why})")


def test_the_contract_is_looked_at_where_calls_were_answered():
    directory = str(MODELS / "tf2")
    found = compared(steps(contract=lambda _: (_CONTRACT,)), GOLDEN, directory, Options())
    assert found.mismatches == (_CONTRACT,)
    seen = []
    compared(steps(contract=lambda candidate: seen.append(candidate) or ()), GOLDEN, directory, Options())
    assert seen[0].directory == directory
    assert "serving_default" in seen[0].meta_graphs[0].signature_def


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (Failed("no"), "no"),
        (Crashed("candidate", -11, ""), "the process that opened it died (signal 11)"),
        (Crashed("candidate", 3, ""), "the process that opened it died (exit code 3)"),
        (TimedOut("candidate", 5.0), "it gave no answers within 5 seconds"),
    ],
)
def test_a_candidate_that_gives_no_answers_breaks_the_contract_where_something_else_does(ending, told):
    directory, note = str(MODELS / "tf2"), dataclasses.replace(_CONTRACT, clients=())
    for found in ((), (note,)):
        asked = steps(replay=lambda *_: ending, contract=lambda _, found=found: found)
        assert compared(asked, GOLDEN, directory, Options()) == ending
    asked = steps(replay=lambda *_: ending, contract=lambda _: (_CONTRACT,))
    found = compared(asked, GOLDEN, directory, Options())
    assert [(d.code, d.reason) for d in found.mismatches[1:]] == [("candidate-unanswering", told)]
    assert isinstance(judge(found)[0], Mismatched)


def test_a_candidate_that_cannot_be_loaded_is_not_opened():
    broken = dataclasses.replace(_CONTRACT, code="graph-unloadable")
    asked = steps(replay=None, contract=lambda _: (broken,))
    found = compared(asked, GOLDEN, str(MODELS / "tf2"), Options())
    assert found.mismatches == (broken,) and found.calls == 0
    assert isinstance(judge(found)[0], Mismatched)


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


def _made(tmp_path, said, **described):
    """What is told of a candidate whose migration.json says that."""
    (tmp_path / "assets.extra").mkdir(exist_ok=True)
    (tmp_path / "assets.extra" / "migration.json").write_text(said if isinstance(said, str) else json.dumps(said))
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    found = made_of(str(tmp_path), steps(described=described))
    assert all((one.code, one.severity) == ("provenance-differs", Severity.WARNING) for one in found)
    return [one.message for one in found]


def test_a_candidate_that_says_another_thing_of_its_source_is_told(tmp_path):
    source = {"sha256": "digest", "file": "saved_model.pb", "tags": ["serve"], "path": "/elsewhere"}
    assert _made(tmp_path, {"source": source}, file="saved_model.pb", tags=["serve"]) == []
    assert _made(tmp_path, {"source": source}, weights="w.h5") == []  # It does not say everything.
    (told,) = _made(tmp_path, {"source": source}, file="saved_model.pbtxt", tags=["train"])
    assert "file 'saved_model.pb', not 'saved_model.pbtxt', tags ['serve'], not ['train']" in told


def test_a_candidate_that_was_edited_is_told(tmp_path):
    digest = hashlib.sha256(b"graph").hexdigest()
    assert _made(tmp_path, {"source": {"sha256": "digest"}, "saved_model_sha256": digest}) == []
    (told,) = _made(tmp_path, {"source": {"sha256": "digest"}, "saved_model_sha256": "0" * 64})
    assert "another saved_model.pb" in told


@pytest.mark.parametrize("said", ['{"source": {', "[]", '{"source": 1}'])
def test_a_provenance_that_cannot_be_read_is_told(tmp_path, said):
    (told,) = _made(tmp_path, said)
    assert "cannot be read" in told


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


def _judged(judges, beyond, passed=PASSED):
    outputs = (JudgedOutput("s", "y", 2, 4, False, 0.5, 0.25, beyond), JudgedOutput("s", "z", 2, 4, True, 0.0, 0.0))
    return dataclasses.replace(passed, judgement=Judgement(judges, "", "1.15.5", True, outputs))


def test_kernels_that_changed_are_a_warning():
    (finding,) = changed_kernels(_judged(("tf2", "tf1"), "call 0: far"))
    assert (finding.code, finding.severity, finding.nodes) == ("kernels-changed", Severity.WARNING, ("s/y",))
    assert "TensorFlow 1.15.5 answers differently" in finding.message and "call 0: far" in finding.message
    assert judge(_judged(("tf2", "tf1"), "call 0: far"))[0] is None


def test_where_kernels_have_not_changed():
    assert changed_kernels(None) == changed_kernels(PASSED) == changed_kernels(_judged(("tf2", "tf1"), "")) == ()
    # Of one judge there is nothing to be told apart: that is a difference.
    assert changed_kernels(_judged(("tf1",), "call 0: far")) == ()


def _asked(tf1):
    """A candidate that answers ones, for which TensorFlow 2 has answered ones, and TensorFlow 1 what it is given."""
    calls = (Call("s", {"x": np.zeros(1, np.float32)}),) * 2
    ones = Answer({f"y{n}": np.ones(2, np.float32) for n in range(3)})
    golden = Golden(calls, (ones,) * 2, (ones,) * 2, {}, {}, "tensorflow", "2.21.0", tf1=tf1)
    return replay_candidate(_Candidate({}), golden, "new")


_FAR = (Answer({f"y{n}": np.full(2, 2, np.float32) for n in range(3)}),) * 2


def test_equal_in_tensorflow_2_and_far_in_tensorflow_1():
    verification = _asked(Tf1Judge(("tf2", "tf1"), version="1.15.5", answers=_FAR))
    assert verification.bitwise_equal and not verification.breaking
    assert [told.output for told in verification.judgement.beyond] == ["y0", "y1", "y2"]


def test_tensorflow_1_alone_compares_within_bounds():
    calls = (Call("s", {"x": np.zeros(1, np.float32)}),) * 2

    def asked(value, bounds=(1e-6, 1e-4)):
        near = (Answer({f"y{n}": np.full(2, value, np.float32) for n in range(3)}),) * 2
        judge = Tf1Judge(("tf1",), version="1.15.5", answers=near, bounds=bounds)
        golden = Golden(calls, near, near, {}, {}, "tensorflow", "1.15.5", tf1=judge)
        return replay_candidate(_Candidate({}), golden, "new")

    near = asked(1.00001)
    assert not near.breaking and not near.bitwise_equal and near.max_ulps > 0
    assert {m.code for m in asked(1.005).breaking} == {"answer-differs"}
    assert not asked(1.005, (0.0, 0.01)).breaking
