"""A wrong variable comes before the answers that are wrong because of it. No TensorFlow."""

from __future__ import annotations

import numpy as np

from migrate.model.verdict import judge
from migrate.verify import replay_candidate
from migrate.verify.calls import Answer, Call, Fingerprint, Golden
from migrate.verify.messages import PATHS, CandidateResult


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
