"""What the graph optimiser does to source and candidate alike is no difference between them."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.records import Failed
from migrate.verify import replay_candidate
from migrate.verify.calls import Answer, Call, Golden
from migrate.verify.messages import OPTIMISED, CandidateResult

_CALLS = (Call("s", {"x": np.float32([1.0])}),) * 2


def _answers(value):
    return (Answer({"y": np.float32([value, 1.0])}),) * 2


class _Nursery:
    """Answers for a candidate that is finite where its source is not, as log_softmax is and log(softmax) is not."""

    def run(self, step, module, job, kind, timeout_seconds):
        del step, module, job, kind, timeout_seconds
        answers = {"tf2": _answers(-np.inf), "session": _answers(-np.inf), OPTIMISED: _answers(-5000.0)}
        return CandidateResult(answers)


@pytest.mark.parametrize(
    ("source", "mismatches"),
    [
        (_answers(-5000.0), 0),
        (_answers(-np.inf), 2),
        (_answers(7.0), 2),
        (Failed("the source is gone"), 2),
    ],
)
def test_the_source_is_asked_again_where_the_optimised_candidate_is_far_off(source, mismatches):
    golden = Golden(_CALLS, _answers(-np.inf), _answers(-np.inf), {}, {}, "tensorflow", "2")
    asked = []

    def optimised():
        asked.append(1)
        return source

    result = replay_candidate(_Nursery(), golden, "new", optimised=optimised)
    assert asked == [1]
    assert [m.path for m in result.mismatches] == [OPTIMISED] * mismatches


def test_a_near_candidate_costs_nothing():
    golden = Golden(_CALLS, _answers(-5000.0), _answers(-5000.0), {}, {}, "tensorflow", "2")

    def never():
        raise AssertionError

    nursery = _Nursery()
    nursery.run = lambda *_: CandidateResult(dict.fromkeys(("tf2", "session", OPTIMISED), _answers(-5000.0)))
    assert replay_candidate(nursery, golden, "new", optimised=never).passed


@pytest.mark.parametrize(("source", "mismatches"), [("InvalidArgumentError", 1), ("", 0)])
def test_a_check_that_the_optimiser_drops_from_the_candidate_alone_is_told(source, mismatches):
    ordinary, refused, wider = Call("s", {"x": np.float32([1.0])}), Call("s", {"x": np.float32([-1.0])}), _CALLS[0]
    answer, error = _answers(7.0)[0], Answer({}, "InvalidArgumentError", "too small")
    answers = (answer, answer, answer, error)
    golden = Golden((ordinary, ordinary, wider, refused), answers, answers, {}, {}, "tensorflow", "2", once=2)
    asked = []

    def run(step, module, job, kind, timeout_seconds):
        asked.append(job.refused)
        return CandidateResult({"tf2": answers, "session": answers, OPTIMISED: (answer,) * 3})

    nursery = _Nursery()
    nursery.run = run
    optimised = (answer, answer, Answer({}, source) if source else answer)
    result = replay_candidate(nursery, golden, "new", optimised=lambda: optimised)
    assert asked == [(3,)]
    assert [(m.code, m.path, m.call) for m in result.mismatches] == [("ending-differs", OPTIMISED, 3)] * mismatches
