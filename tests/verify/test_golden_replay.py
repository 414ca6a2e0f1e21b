"""What a golden file shows of a candidate's answers. No TensorFlow: the answers are given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.records import OutputDifference, Verification
from migrate.verify.calls import Answer, Call
from migrate.verify.golden import Recorded
from migrate.verify.golden_replay import Bounds, compared, covered
from migrate.verify.messages import OPTIMISED

_BOUNDS = Bounds(1e-6, 1e-4)
_CALL = Call("f", {"x": np.float32([1])})
_ANSWER = Answer({"y": np.float32([1000.0, 1.0]), "n": np.int64([3])})


def _recorded(*answers, again=None, **more):
    answers = answers or (_ANSWER,)
    return Recorded((_CALL,) * len(answers), answers, again or answers, **more)


def _compared(recorded, *found, wanted=None, **more):
    paths = {"tf2": found, "session": found, OPTIMISED: found}
    return compared(recorded, "golden.npz", paths, {"f": ()} if wanted is None else wanted, _BOUNDS, **more)


def _but(**outputs):
    return Answer({**_ANSWER.outputs, **outputs})


def _codes(result):
    return [(m.code, m.output, m.path) for m in result.mismatches]


def test_equal_answers():
    result = _compared(_recorded(), _ANSWER)
    assert result.passed and result.bitwise_equal and not result.mismatches
    assert [(o.signature, o.output, o.calls, o.values, o.equal) for o in result.golden.outputs] == [
        ("f", "n", 2, 2, True),
        ("f", "y", 2, 4, True),
    ]
    assert (result.golden.file, result.golden.by, result.golden.calls) == ("golden.npz", "another runtime", 1)


def test_a_float_within_the_bounds_passes_and_its_difference_is_told():
    result = _compared(_recorded(), _but(y=np.float32([1000.0, 1.0625])))
    assert result.passed and not result.bitwise_equal and result.max_abs_difference == 0.0625
    (y,) = [o for o in result.golden.outputs if o.output == "y"]
    assert (y.largest, y.relative, y.equal) == (0.0625, 6.25e-05, False)


def test_a_float_beyond_them_is_a_mismatch():
    result = _compared(_recorded(), _but(y=np.float32([1000.0, 2.0])))
    assert not result.passed
    assert _codes(result) == [("golden-answer-differs", "y", f"golden file, {path}") for path in ("tf2", "session")]
    assert "at [1] expected 1.0, found 2.0; largest difference 1, 1.0e-03 of the largest" in result.mismatches[0].reason


def test_an_integer_is_exact():
    result = _compared(_recorded(), _but(n=np.int64([4])))
    assert ("golden-answer-differs", "n", "golden file, tf2") in _codes(result)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Answer({"y": _ANSWER.outputs["y"]}), "output-missing"),
        (_but(z=np.float32([1])), "output-added"),
        (_but(y=np.float64([1000.0, 1.0])), "answer-form-differs"),
        (_but(y=np.float32([[1000.0, 1.0]])), "answer-form-differs"),
        (Answer({}, "InvalidArgumentError", "why"), "ending-differs"),
    ],
)
def test_another_form(found, code):
    result = _compared(_recorded(), found)
    assert code in {m.code for m in result.mismatches} and not result.passed


def test_an_error_that_the_model_gives():
    refused = Answer({}, "InvalidArgumentError", "why")
    assert not _compared(_recorded(_ANSWER, refused), _ANSWER, Answer({}, "ValueError", "other words")).mismatches
    result = _compared(_recorded(_ANSWER, refused), _ANSWER, _ANSWER)
    assert {m.code for m in result.mismatches} == {"ending-differs"}


def test_an_error_of_the_old_machine_says_nothing_and_is_told():
    lost = Answer({}, "ResourceExhaustedError", "OOM")
    result = _compared(_recorded(_ANSWER, lost), _ANSWER, _ANSWER)
    assert result.passed
    assert result.golden.notes == ("call 1 of 'f' ended in ResourceExhaustedError: OOM",)


def test_a_model_that_never_answers_is_unverified():
    refused = Answer({}, "InvalidArgumentError", "why")
    result = _compared(_recorded(refused), refused)
    assert not result.passed and result.unverified == {"f": "every call of it ended in an error"}


def test_what_changes_from_run_to_run_is_compared_by_form_alone():
    recorded = _recorded(again=(_but(y=np.float32([5.0, 6.0])),))
    result = _compared(recorded, _but(y=np.float32([7.0, 8.0])))
    assert not result.mismatches and not result.passed
    assert result.unverified == {"f/y": "the model of the golden file answers differently from run to run"}
    assert _compared(recorded, _but(y=np.int32([7, 8]))).mismatches


def test_rounding_of_the_old_machine_is_no_contradiction():
    recorded = _recorded(again=(_but(y=np.float32([1000.0, 1.01])),))
    assert _compared(recorded, _ANSWER).passed


def test_an_output_that_tf1_does_not_define():
    result = _compared(_recorded(), _but(y=np.float32([7.0, 8.0])), undefined={("f", "y"): "why"})
    assert not result.mismatches and result.unverified == {"f/y": "why"}


def test_a_signature_without_call():
    result = _compared(
        _recorded(skipped={"h": "it fails there"}), _ANSWER, wanted={"f": ("y", "n"), "g": ("z",), "h": ("z",)}
    )
    assert not result.passed
    assert result.unverified == {"g": "the golden file has no call of it", "h": "it fails there"}


def test_an_empty_answer_shows_nothing():
    empty = Answer({"y": np.zeros((0, 2), np.float32)})
    result = _compared(_recorded(empty), empty)
    assert not result.passed and result.unverified == {"f/y": "every answer was empty"}


def test_an_answer_with_some_outputs():
    part, rest = Answer({"n": _ANSWER.outputs["n"]}), Answer({"y": _ANSWER.outputs["y"]})
    assert _compared(_recorded(part, rest, partial=True), _ANSWER, _ANSWER).passed
    assert _compared(_recorded(part), _ANSWER).mismatches


def test_an_output_that_no_answer_has_is_not_compared():
    found = _compared(_recorded(Answer({"n": _ANSWER.outputs["n"]}), partial=True), _ANSWER, wanted={"f": ("n", "y")})
    assert not found.mismatches and not found.passed
    assert found.unverified == {"f/y": "no answer of the golden file has it"}
    both = covered(_live(unverified={"f": "no call succeeds", "f/y": "random"}), found)
    assert both.unverified == {"f": "no call succeeds", "f/y": "random"}


def test_an_output_that_no_call_asks_for_is_not_compared():
    """As of requests with an `output_filter`: neither model is asked for the others."""
    part = Answer({"n": _ANSWER.outputs["n"]})
    recorded = Recorded((dataclasses.replace(_CALL, outputs=("n",)),), (part,), (part,))
    found = _compared(recorded, part, wanted={"f": ("n", "y")})
    assert not found.mismatches and not found.passed
    assert found.unverified == {"f/y": "no answer of the golden file has it"}


def test_parts_of_a_sparse_output_are_the_output():
    parts = Answer({f"s/{part}": np.int64([1]) for part in ("indices", "values", "dense_shape")})
    assert _compared(_recorded(parts), parts, wanted={"f": ("s",)}).passed


def test_what_differs_is_not_called_empty():
    found = _compared(_recorded(), _but(y=np.float64([1000.0, 1.0])))
    assert "answer-form-differs" in {m.code for m in found.mismatches} and not found.unverified
    nothing = Answer({})
    assert _compared(_recorded(nothing), nothing).unverified == {"f": "no answer to it has an output"}


def test_a_signature_with_a_slash_in_its_key_is_not_covered_in_part():
    call = dataclasses.replace(_CALL, signature="a/b")
    part = Answer({"n": _ANSWER.outputs["n"]})
    golden = _compared(Recorded((call,), (part,), (part,)), part, wanted={"a/b": ("n", "y")})
    assert golden.unverified == {"a/b/y": "no answer of the golden file has it"}
    assert covered(_live(unverified={"a/b": "no call succeeds"}), golden).unverified == {"a/b": "no call succeeds"}


def test_with_the_optimiser_on_answers_are_near():
    paths = {"tf2": (_ANSWER,), "session": (_ANSWER,), OPTIMISED: (_but(y=np.float32([1.0, 1.0])),)}
    result = compared(_recorded(), "golden.npz", paths, {"f": ("y", "n")}, _BOUNDS)
    assert _codes(result) == [("optimised-answer-far", "y", "golden file, tf2, optimised")]
    assert not compared(_recorded(), "golden.npz", paths, {"f": ("y", "n")}, Bounds(0.0, 1.0)).mismatches


def _live(**more):
    outputs = (OutputDifference("f", "y", "tf2", 1, 2, True, 0.0, 0),)
    return dataclasses.replace(Verification(1, 1, 2, True, 0.0, 0, 1, (), (), {}, outputs), **more)


def test_both_together():
    golden = _compared(_recorded(), _but(y=np.float32([1000.0, 2.0])))
    found = covered(_live(), golden)
    assert not found.passed and found.golden == golden.golden and found.variables_compared == 1


def test_the_file_shows_what_the_source_does_not():
    source = _live(unverified={"f": "no call succeeds", "f/n": "random", "g": "no call succeeds", "variables": "why"})
    found = covered(source, _compared(_recorded(), _ANSWER))
    assert found.unverified == {"g": "no call succeeds", "variables": "why"}


def test_a_file_that_shows_a_part_covers_no_signature():
    recorded = _recorded(again=(_but(y=np.float32([5.0, 6.0])),))
    found = covered(_live(unverified={"f": "no call succeeds"}), _compared(recorded, _ANSWER))
    assert found.unverified == {"f": "no call succeeds"}
