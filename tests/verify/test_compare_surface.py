"""What counts as a difference of attributes, of gradients and of further calls. No TensorFlow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.verify.calls import Answer, Call, Fingerprint, Further, Golden, Held
from migrate.verify.compare_surface import (
    ALTERED,
    CALLED,
    GRADIENT,
    GRADIENT_BOUND,
    SURFACE,
    compare_further,
    compare_surface,
)
from migrate.verify.messages import CandidateState, FurtherAnswers, Surface

_PATHS = ("vars/v", "vars/m")
_GOLDEN = Golden(
    (),
    (),
    (),
    {},
    {"v": Fingerprint("float32", (1,), "a"), "m": Fingerprint("float32", (1,), "b")},
    "tensorflow",
    "2",
    held=Held({"v": ("v",), "m": ("m",)}, ("v", "m"), ("v",)),
    further=Further("s"),
)
_SURFACE = Surface(
    "_generic_user_object",
    ("vars", "variables", "trainable_variables", "regularization_losses", "__call__"),
    {"vars/v": "v", "vars/m": "m"},
    ("vars/v",),
    _PATHS,
    ("vars/v",),
)
_STATE = CandidateState({"v": "vars/v", "m": "vars/m"}, True, _PATHS)


def _differences(**changes):
    found = compare_surface(_GOLDEN, dataclasses.replace(_SURFACE, **changes), _STATE)
    assert {m.path for m in found} <= {SURFACE}
    return [m.output for m in found]


def test_what_a_strangers_model_has_is_its_own():
    assert _differences() == []
    assert _differences(root="_tf_keras_model", attributes=("variables",)) == []
    assert _differences(attributes=("variables", "trainable_variables")) == []


@pytest.mark.parametrize("gone", _SURFACE.attributes)
def test_every_attribute_must_be_there(gone):
    attributes = tuple(name for name in _SURFACE.attributes if name != gone)
    assert gone in _differences(attributes=attributes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"names": {"vars/v": "kernel", "vars/m": "m"}}, ["vars['v'].name"]),
        ({"variables": ("vars/v",)}, ["variables"]),
        ({"variables": (*_PATHS, "")}, ["variables"]),
        ({"variables": (*_PATHS, "vars/v")}, ["variables"]),
        ({"trainable_variables": ()}, ["trainable_variables"]),
        ({"trainable_variables": _PATHS}, ["trainable_variables"]),
        ({"trainable_variables": _PATHS, "flagged": _PATHS}, ["m"]),
        ({"trainable_variables": _PATHS[::-1], "flagged": _PATHS}, ["trainable_variables", "m"]),
        ({"trainable_variables": (), "flagged": ()}, ["v"]),
        ({"variables": _PATHS[::-1]}, ["variables"]),
    ],
)
def test_lists_names_and_flags(changes, told):
    assert _differences(**changes) == told


def test_a_call_that_stands_for_no_signature():
    golden = dataclasses.replace(_GOLDEN, further=Further())
    assert [m.output for m in compare_surface(golden, _SURFACE, _STATE)] == ["__call__"]


_CALL = Call("s", {"x": np.float32([1])})
_ONE, _TWO = Answer({"y": np.float32([1])}), Answer({"y": np.float32([2])})
_ASKED = Further("s", (_CALL, _ONE), (("v",),), (_CALL, _CALL), (_TWO, _TWO), {"s": ("v", "m")})


def _further(found, shaky=(), has_call=True, **gradients):
    golden = dataclasses.replace(_GOLDEN, further=dataclasses.replace(_ASKED, gradients={"s": gradients}))
    if has_call and not found.gradients_called:
        found = dataclasses.replace(found, gradients_called=found.gradients.get("s", {}))
    return compare_further(golden, found, _STATE, shaky, has_call, 0)


def test_further_answers_are_compared_by_value():
    def paths(**changes):
        return [
            m.path for m in _further(FurtherAnswers(**{"called": _ONE, "answers": (_TWO, _TWO), **changes})).mismatches
        ]

    assert paths() == []
    assert paths(called=_TWO) == [CALLED]
    assert paths(answers=(_ONE, _TWO)) == [ALTERED]
    assert paths(answers=(_TWO, _ONE)) == [ALTERED]
    assert paths(called=Answer({}, "ValueError", "no")) == [CALLED]


def test_without_a_call_the_signatures_are_compared_alone():
    assert _further(FurtherAnswers(None, (_TWO, _ONE)), has_call=False).mismatches == ()


def test_an_output_that_is_not_the_same_twice_is_not_compared():
    assert _further(FurtherAnswers(_TWO, (_ONE, _ONE)), {("s", "y")}).mismatches == ()


def _gradients(expected, found):
    answers = FurtherAnswers(_ONE, (_TWO, _TWO), {"s": {} if found is None else {"v": np.float64(found)}})
    return _further(answers, **({} if expected is None else {"v": np.float64(expected)}))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ([1, 2], [1, 2]),
        ([0, 0], None),
        (None, [0, 0]),
        ([1000, 1], [1000, 1 + 900 * GRADIENT_BOUND]),
        ([np.nan], [np.nan]),
    ],
)
def test_the_same_gradients(expected, found):
    result = _gradients(expected, found)
    assert result.mismatches == () and result.lost == {}


@pytest.mark.parametrize(
    ("expected", "found"),
    [([1, 2], [2, 4]), (None, [0, 1]), ([1, 2], [1]), ([1], [np.nan]), ([1, 1], [1, 1 + 2 * GRADIENT_BOUND])],
)
def test_other_gradients(expected, found):
    (mismatch,) = _gradients(expected, found).mismatches
    assert (mismatch.signature, mismatch.output, mismatch.path) == ("s", "v", GRADIENT)


def test_a_gradient_that_is_not_there_is_lost():
    result = _gradients([1, 2], None)
    assert result.mismatches == () and result.lost == {"s": ("v",)}


def test_gradients_through_call_alone():
    answers = FurtherAnswers(_ONE, (_TWO, _TWO), {"s": {"v": np.float64([1])}}, gradients_called={"v": np.float64([2])})
    (mismatch,) = _further(answers, v=np.float64([1])).mismatches
    assert (mismatch.signature, mismatch.output, mismatch.path) == ("s, __call__", "v", GRADIENT)
    none = dataclasses.replace(answers, gradients_called={"m": np.float64([0])})
    assert _further(none, v=np.float64([1])).lost == {"s, __call__": ("v",)}


def test_what_calls_leave_where_variables_had_other_values():
    one, other = (Fingerprint("int64", (), digest) for digest in ("1006", "1005"))

    def outputs(expected, found, answers=(_TWO, _TWO)):
        asked = dataclasses.replace(_ASKED, answers=answers, states={"v": expected})
        golden = dataclasses.replace(_GOLDEN, further=asked)
        answered = FurtherAnswers(_ONE, (_TWO, _TWO), states=found)
        return [m.output for m in compare_further(golden, answered, _STATE, (), True, 0).mismatches]

    assert outputs(one, {"vars/v": one}) == []
    assert outputs(one, {"vars/v": other}) == ["v"]
    assert outputs(one, {}) == []
    failed = (_TWO, Answer({}, "ValueError", "no"))
    assert "v" not in outputs(one, {"vars/v": other}, failed)
