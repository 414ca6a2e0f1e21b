"""What the graph optimiser does to source and candidate alike is no difference between them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.graph.contract import signatures
from migrate.graph.protos import MetaGraphDef
from migrate.records import Failed
from migrate.verify import replay_candidate
from migrate.verify.calls import Answer, Call, Golden
from migrate.verify.load_source import source_loader
from migrate.verify.messages import OPTIMISED, CandidateResult, GoldenJob
from migrate.verify.sessions import fresh_session

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


@pytest.mark.tensorflow
def test_a_source_is_asked_without_the_optimiser_in_its_functions_too():
    import tensorflow as tf

    value = np.linspace(-1, 1, 1000, dtype=np.float32)
    first, second = np.float32(0.37), np.float32(0.0123)

    @tf.function
    def added(y):
        return y + first + second  # The optimiser adds the constants first, which rounds differently.

    with tf.Graph().as_default() as graph:
        added(tf.compat.v1.placeholder(tf.float32, [None], name="x"))
    model = MetaGraphDef()
    model.graph_def.ParseFromString(graph.as_graph_def().SerializeToString())
    (call,) = (node for node in model.graph_def.node if node.op == "PartitionedCall")
    assert "config_proto" in call.attr
    job = GoldenJob(None, model.SerializeToString(), tuple(signatures(model)), None, "", (), 10, {})

    def answer(job, optimised):
        with fresh_session(tf, optimised) as session:
            source_loader(tf, job)[1](tf, session, job)
            return session.run(f"{call.name}:0", {"x:0": value})

    assert np.array_equal(answer(job, False), value + first + second)
    assert np.array_equal(answer(dataclasses.replace(job, is_optimised=True), True), value + (first + second))
    assert not np.array_equal(value + first + second, value + (first + second))
