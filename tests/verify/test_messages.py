"""What the children of verify are asked, and what they answer."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from migrate import codec
from migrate.decoders import DecodeError
from migrate.processes.forks import JobFiles
from migrate.records import Failed
from migrate.verify.calls import NO_VALUE, Answer, Call, Fingerprint
from migrate.verify.messages import (
    OPTIMISED,
    PATHS,
    CandidateJob,
    CandidateResult,
    CandidateState,
    FurtherAnswers,
    GoldenJob,
    OptimisedJob,
    Surface,
    step_failed,
)

_GOLDEN = GoldenJob("m", b"graph", (), None, "assets", (Call("f", {"x": np.float32([1])}),), 5.0, {})


def test_the_optimised_path_is_one_of_all():
    assert OPTIMISED in PATHS and len(PATHS) == 3


@pytest.mark.parametrize(
    "job",
    [_GOLDEN, OptimisedJob(_GOLDEN), CandidateJob("new", _GOLDEN.calls)],
    ids=lambda job: type(job).__name__,
)
def test_a_job_goes_to_a_child_whole(job):
    assert repr(pickle.loads(pickle.dumps(job))) == repr(job)


def test_a_candidate_is_asked_without_effects_in_the_calling_thread():
    job = CandidateJob("new", ())
    assert (job.side_effects, job.inline) == (False, True)


def _through_a_file(result, kind=CandidateResult):
    with JobFiles() as place:
        codec.write(result, place.result)
        os.lseek(place.result, 0, os.SEEK_SET)
        return codec.read(kind, place.result)


@pytest.mark.parametrize("values", [{}, {"tf2": {"vars/v": Fingerprint("float32", (2,), "00")}}])
def test_an_answer_comes_back_as_data(values):
    state = CandidateState({"v": "vars/v"}, True, ("vars/v",), values, values)
    surface = Surface("_generic_user_object", ("vars",), {"vars/v": "v"}, ("vars/v",), losses=(NO_VALUE,))
    gradients = {"s": {"v": np.float64([1.5])}}
    answers = {"tf2": (Answer({"y": np.float32([1.5])}), Answer({}, "InvalidArgumentError", "why"))}
    found = _through_a_file(
        CandidateResult(answers, state, ("graph_def_program_hash",), (), surface, FurtherAnswers(None, (), gradients))
    )
    first, second = found.answers["tf2"]
    assert first.outputs["y"].tolist() == [1.5] and second == answers["tf2"][1]
    assert (found.state, found.surface, found.stale) == (state, surface, ("graph_def_program_hash",))
    assert found.further.gradients["s"]["v"].tolist() == [1.5]


def test_an_answer_of_another_form_is_not_taken():
    with pytest.raises(DecodeError):
        _through_a_file(Answer({}))


def test_a_failure_says_what_which_and_why_in_a_line():
    failed = step_failed(ValueError("first\nsecond"), "the source cannot be loaded")
    assert failed == Failed("the source cannot be loaded: ValueError: first")
    assert step_failed(KeyError(), "x").reason == "x: KeyError: "
