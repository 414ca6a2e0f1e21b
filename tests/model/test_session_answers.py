"""What a v1 Session is asked, and by whom. No TensorFlow: the processes are recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.graph.contract import signatures
from migrate.model.session_answers import SessionAnswers
from migrate.processes.confinement import ConfinedJob
from migrate.records import Crashed, Failed, Options, Verification
from migrate.sources.saved_model import read_saved_model
from migrate.verify.calls import Answer
from migrate.verify.messages import OPTIMISED, PATHS, CandidateResult, OptimisedJob
from tests.conversions import MODELS
from tests.model.recorded import GOLDEN, Runner

_OPTIONS = Options(timeout=10.0)


@pytest.fixture
def answers():
    source = read_saved_model(str(MODELS / "simple_save"))
    (meta_graph,) = source.meta_graphs
    return SessionAnswers(source, meta_graph, signatures(meta_graph), {"w": ("kernel", "")})


def test_the_source_is_asked_in_a_confined_process(answers):
    runner = Runner(GOLDEN)
    assert answers.golden(_OPTIONS, runner) == GOLDEN
    ((step, _, job, _, timeout),) = runner.asked
    assert (step, timeout) == ("golden", 10.0)
    assert isinstance(job, ConfinedJob)
    assert job.job.variables == {"w": ("kernel", "")}
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
    runner = Runner(CandidateResult(given, None), *([] if again is None else [again]))
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
    given = CandidateResult(dict.fromkeys(PATHS, GOLDEN.answers), None)
    for failing, unverified in ((), {"t": "it fails"}), (("t",), {}):
        asked = dataclasses.replace(answers, failing=failing)
        assert asked.replay(left, "new", _OPTIONS, Runner(given)).unverified == unverified
