"""What a v1 Session is asked, and by whom. No TensorFlow: the processes are recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.graph.contract import signatures
from migrate.model import session_answers
from migrate.model.judges import BOTH, Judges
from migrate.model.session_answers import SessionAnswers
from migrate.processes.confinement import ConfinedJob
from migrate.records import Crashed, Failed, Finding, Options, Severity, Verification
from migrate.sources.saved_model import read_saved_model
from migrate.tf1_runtime.place import Runtime
from migrate.verify.calls import Answer
from migrate.verify.messages import OPTIMISED, PATHS, CandidateResult, OptimisedJob
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, Runner

_OPTIONS = Options(timeout=10.0)


@pytest.fixture
def answers():
    source = read_saved_model(str(MODELS / "simple_save"))
    (meta_graph,) = source.meta_graphs
    return SessionAnswers(source, meta_graph, signatures(meta_graph))


def test_the_source_is_asked_in_a_confined_process(answers):
    runner = Runner(GOLDEN)
    assert answers.golden(_OPTIONS, runner) == GOLDEN
    ((step, _, job, _, timeout),) = runner.asked
    assert (step, timeout) == ("golden", 10.0)
    assert isinstance(job, ConfinedJob)
    assert job.job.meta_graph == answers.meta_graph.SerializeToString() and not job.job.constants
    assert job.job.signatures == tuple(answers.signatures)
    assert job.confinement.write == ()


def test_what_the_user_allows_runs_free(answers):
    runner = Runner(GOLDEN, Failed("no"))
    allowed = dataclasses.replace(_OPTIONS, allow_side_effects=True)
    answers.golden(allowed, runner)
    answers.replay(GOLDEN, "new", allowed, runner)
    assert not any(isinstance(job, ConfinedJob) for _, _, job, _, _ in runner.asked)
    assert runner.asked[1][2].side_effects


def test_a_step_that_fails_is_given_back(answers):
    assert answers.golden(_OPTIONS, Runner(Failed("no"))) == Failed("no")
    assert answers.replay(GOLDEN, "new", _OPTIONS, Runner(Failed("no"))) == Failed("no")
    unfit = dataclasses.replace(GOLDEN, answers=())
    assert isinstance(answers.golden(_OPTIONS, Runner(unfit)), Crashed)


def test_calls_that_cannot_be_read_are_told_before_anything_runs(answers, tmp_path):
    runner = Runner()
    with pytest.raises(InputError, match=r"calls\.json"):
        answers.golden(Options(inputs=str(tmp_path / "calls.json")), runner)
    assert runner.asked == []


def _replayed(answers, optimised=0.0, again=None):
    """A candidate that answers as the source does, but for a graph optimiser."""
    given = {path: (Answer({"y": np.full(2, optimised if path == OPTIMISED else 0.0, np.float32)}),) for path in PATHS}
    runner = Runner(CandidateResult(given), *([] if again is None else [again]))
    return answers.replay(GOLDEN, "new", _OPTIONS, runner), runner.asked


def test_the_same_calls_are_made_of_the_candidate(answers):
    found, asked = _replayed(answers)
    assert isinstance(found, Verification)
    assert found.mismatches == ()
    ((step, _, job, _, _),) = asked
    assert (step, job.job.candidate_path, job.job.calls) == ("candidate", "new", GOLDEN.calls)


def test_the_source_is_asked_again_where_only_the_optimiser_differs(answers):
    far = (Answer({"y": np.full(2, 9.0, np.float32)}),)
    found, asked = _replayed(answers, optimised=9.0, again=far)
    assert found.mismatches == ()
    assert isinstance(asked[1][2].job, OptimisedJob)
    found, _ = _replayed(answers, optimised=9.0, again=Failed("no"))
    assert [mismatch.path for mismatch in found.mismatches] == [OPTIMISED]


def test_what_tf1_defines_no_value_of_is_not_compared(answers):
    drawn = dataclasses.replace(answers, undefined={("s", "y"): "it draws"})
    found, _ = _replayed(drawn)
    assert found.unverified["s/y"] == "it draws"
    left = dataclasses.replace(GOLDEN, skipped={"t": "it fails"})
    given = CandidateResult(dict.fromkeys(PATHS, GOLDEN.answers))
    for failing, unverified in ((), {"t": "it fails"}), (("t",), {}):
        asked = dataclasses.replace(answers, failing=failing)
        assert asked.replay(left, "new", _OPTIONS, Runner(given)).unverified == unverified


_KERNEL = "no synthesised call is accepted: InvalidArgumentError: No OpKernel was registered to support Op 'Dead'"
_OF_TF1 = dataclasses.replace(GOLDEN, tf_version="1.15.5")


@pytest.fixture
def tf1(monkeypatch):
    """TensorFlow 1.15.5 is installed; `tf1(RESULT)` says what it answers alone. Beside TensorFlow 2 it fails."""
    asked = []

    def answers(result):
        monkeypatch.setattr(session_answers, "golden_of_tf1", lambda *given: asked.append(given) or result)
        return asked

    monkeypatch.setattr(session_answers, "judges", lambda *_: Judges(BOTH, Runtime("/cache", "1.15.5", 1, 1, 1)))
    monkeypatch.setattr(session_answers, "ask_tf1", lambda *_: Failed("it has no op Dead"))
    return answers


def test_tensorflow_1_answers_alone_where_tensorflow_2_has_no_such_op(answers, tf1):
    asked = tf1(_OF_TF1)
    runner = Runner()
    found = dataclasses.replace(answers, is_tf1=True, lacking=("Dead",)).golden(_OPTIONS, runner)
    assert len(asked) == 1 and not runner.asked
    assert (found.tf1.judges, found.tf1.version, found.tf1.confined) == (("tf1",), "1.15.5", True)
    assert found.tf1.reason == "TensorFlow 2 has no Dead" and found.tf1.bounds == (1e-6, 1e-4)


@pytest.mark.parametrize(
    "unable",
    [
        dataclasses.replace(GOLDEN, skipped={"t": _KERNEL}),
        dataclasses.replace(GOLDEN, answers=(Answer({}, "InvalidArgumentError", _KERNEL),)),
        Failed("TensorFlow cannot load the source: NotFoundError: Op type not registered 'Dead'"),
    ],
)
def test_it_answers_alone_where_tensorflow_2_cannot(unable, answers, tf1):
    source = dataclasses.replace(answers, is_tf1=True)
    tf1(_OF_TF1)
    found = source.golden(_OPTIONS, Runner(unable))
    assert found.tf1.judges == ("tf1",) and "Dead" in found.tf1.reason and found.tf_version == "1.15.5"
    for nothing in (Failed("it has no op Dead"), dataclasses.replace(_OF_TF1, calls=(), answers=(), again=())):
        tf1(nothing)
        found = source.golden(_OPTIONS, Runner(unable))
        assert found == unable or (found.answers == unable.answers and found.tf1.judges == ("tf2",))


def test_it_is_asked_beside_tensorflow_2_where_that_answers(answers, tf1):
    asked = tf1(_OF_TF1)
    found = dataclasses.replace(answers, is_tf1=True).golden(_OPTIONS, Runner(GOLDEN))
    assert not asked and found.tf1.judges == ("tf2",) and "it has no op Dead" in found.tf1.reason


def test_nobody_is_asked_for_what_nobody_here_runs(answers, monkeypatch):
    told = Finding("unverified", Severity.WARNING, "nobody", ("Dead",))
    monkeypatch.setattr(session_answers, "unasked", lambda *_: told)
    monkeypatch.setattr(session_answers, "judges", lambda *_: Judges())
    assert answers.unasked(_OPTIONS) is None
    lacking = dataclasses.replace(answers, is_tf1=True, lacking=("Dead",))
    assert lacking.unasked(_OPTIONS) is told
    runner = Runner()
    assert lacking.golden(_OPTIONS, runner) == Failed("TensorFlow 2 has no Dead") and not runner.asked
