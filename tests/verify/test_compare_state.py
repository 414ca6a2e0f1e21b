"""What counts as a difference between the variables of two models. No TensorFlow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.verify.calls import NO_VALUE, Fingerprint, Golden, Held, Tf1Judge
from migrate.verify.compare_state import compare_state
from migrate.verify.messages import OPTIMISED_SESSION, CandidateState

_A, _B = Fingerprint("float32", (2,), "aa"), Fingerprint("float32", (2,), "bb")
_HELD = Held({"v": ("v", "alias"), "w": ("w",)}, ("v", "w"))
_GOLDEN = Golden((), (), (), {}, {"v": _A, "w": _B}, "tensorflow", "2", {"v": _A, "w": _B}, held=_HELD)


def _state(before=None, after=None, names=None, has_names=True, **ways):
    values = {"vars/v": _A, "vars/w": _B} | (before or {})
    left = values | (after or {})
    both = {"checkpoint": values, "tf2": values, "session": values} | ways
    names = {"v": "vars/v", "w": "vars/w"} if names is None else names
    return CandidateState(names, has_names, ("vars/v", "vars/w"), both, {"tf2": left, "session": left})


def _found(state, golden=_GOLDEN, is_keras=False):
    return [(m.output, m.path) for m in compare_state(golden, state, is_keras).mismatches]


def test_the_same_variables_are_no_difference():
    result = compare_state(_GOLDEN, _state(), False)
    assert (result.mismatches, result.compared, result.unverified) == ((), 2, "")
    assert _found(_state(names={"alias": "vars/v", "w": "vars/w"})) == []


def test_a_value_differs_however_the_model_is_loaded():
    found = _found(_state({"vars/v": _B}))
    assert found == [("v", way) for way in ("checkpoint", "tf2", "session", "tf2", "session")]


def test_a_value_that_the_source_has_not_is_a_difference():
    empty = dataclasses.replace(_GOLDEN, variables={"v": NO_VALUE, "w": _B})
    assert _found(_state(), empty) == [("v", way) for way in ("checkpoint", "tf2", "session")]


def test_what_tensorflow_1_alone_has_computed_is_compared_within_its_bounds():
    value = np.array([1, 1000], np.float32)
    judged = dataclasses.replace(_GOLDEN, states={}, moved={"v": value}, tf1=Tf1Judge(bounds=(1e-6, 1e-4)))
    near, far = value + np.float32(0.05), value + np.float32(0.2)

    def found(*values):
        return _found(dataclasses.replace(_state(), moved=dict(zip(("tf2", "session"), values, strict=True))), judged)

    assert found({"vars/v": near}, {"vars/v": value}) == []
    assert found({"vars/v": near}, {"vars/v": far}) == [("v", "session")]
    assert found({}, {"vars/v": value}) == [("v", "tf2")]
    assert found({"vars/v": value[:1]}, {"vars/v": value.astype(np.float64)}) == [("v", "tf2"), ("v", "session")]


@pytest.mark.parametrize("way", ["checkpoint", "tf2", "session"])
def test_one_way_of_loading_is_enough(way):
    assert _found(_state(**{way: {"vars/v": _B, "vars/w": _B}})) == [("v", way)]


def test_a_variable_that_no_signature_takes_has_no_value_in_a_session():
    assert _found(_state(session={"vars/v": _A})) == []
    assert _found(_state(tf2={"vars/v": _A})) == [("w", "tf2")]


def test_what_the_candidates_calls_change_alone_and_what_they_leave():
    (moved,) = {m.reason for m in compare_state(_GOLDEN, _state(after={"vars/v": _B}), False).mismatches}
    assert "the source's do not" in moved
    counting = dataclasses.replace(_GOLDEN, states={"v": _B, "w": _B})
    (still,) = {m.reason for m in compare_state(counting, _state(), False).mismatches}
    assert still == "the calls leave it with another value than the source's"
    unsure = dataclasses.replace(_GOLDEN, states={"w": _B})
    assert _found(_state(after={"vars/v": _B}), unsure) == []


def test_without_a_value_is_a_value():
    empty = dataclasses.replace(_GOLDEN, variables={"v": NO_VALUE, "w": _B}, states={"w": _B})
    assert {name for name, _ in _found(_state(), empty)} == {"v"}
    none = {"vars/v": NO_VALUE}
    assert _found(_state(none, checkpoint={"vars/w": _B}), empty) == []
    assert {name for name, _ in _found(_state(none))} == {"v"}


def test_a_needed_variable_that_is_not_there():
    names = {"w": "vars/w"}
    assert _found(_state(names=names)) == [("v", "checkpoint")]
    result = compare_state(_GOLDEN, _state(names=names, has_names=False), False)
    assert result.mismatches == () and "'v'" in result.unverified
    needless = dataclasses.replace(_GOLDEN, held=dataclasses.replace(_HELD, needed=("w",)))
    assert _found(_state(names=names), needless) == []


def test_a_variable_that_the_source_has_not():
    names = {"v": "vars/v", "w": "vars/w", "c": "vars/c"}
    assert _found(_state({"vars/c": _A}, names=names)) == [("c", "checkpoint")]
    constant = dataclasses.replace(_GOLDEN, held=dataclasses.replace(_HELD, constants={"c": _A}))
    assert _found(_state({"vars/c": _A}, names=names), constant) == []
    assert {name for name, _ in _found(_state({"vars/c": _B}, names=names), constant)} == {"c"}


def test_nobody_sees_what_the_init_op_takes_the_place_of():
    golden = dataclasses.replace(_GOLDEN, held=dataclasses.replace(_HELD, initialised=("v",)))
    assert _found(_state(checkpoint={"vars/v": _B, "vars/w": _B}), golden) == []


def test_variables_of_keras_are_told_apart_by_their_order():
    keras = dataclasses.replace(_GOLDEN, held=Held(), variables={"dense/kernel": _A, "dense/bias": _B}, states={})
    assert _found(_state(names={}, has_names=False), keras, True) == []
    swapped = dataclasses.replace(_state(names={}), order=("vars/w", "vars/v"))
    assert {name for name, _ in _found(swapped, keras, True)} == {"dense/kernel", "dense/bias"}
    short = dataclasses.replace(_state(names={}), order=("vars/v",))
    assert _found(short, keras, True) == [("dense/bias", "checkpoint")]


def test_what_ordinary_calls_leave_is_compared_before_others_hide_it():
    counting = dataclasses.replace(_GOLDEN, midway={"v": _B, "w": _B})
    same = dataclasses.replace(_state(), midway={"tf2": {"vars/v": _B, "vars/w": _B}})
    assert _found(same, counting) == []
    still = dataclasses.replace(same, midway={"tf2": {"vars/v": _A, "vars/w": _B}})
    assert _found(still, counting) == [("v", "tf2")]


@pytest.mark.parametrize(
    ("dtype", "expected", "found", "told"),
    [
        ("float32", "moved", "rounded", False),
        ("float32", "moved", "before", True),
        ("float32", "before", "moved", True),
        ("int64", "moved", "moved", False),
        ("int64", "moved", "twice", True),
    ],
)
def test_which_variables_change_with_the_optimiser_on(dtype, expected, found, told):
    before, wanted, given = (Fingerprint(dtype, (2,), digest) for digest in ("before", expected, found))
    golden = dataclasses.replace(_GOLDEN, variables={"v": before, "w": _B}, states={}, midway={"v": wanted, "w": _B})
    state = dataclasses.replace(_state({"vars/v": before}), midway={OPTIMISED_SESSION: {"vars/v": given}})
    assert _found(state, golden) == [("v", OPTIMISED_SESSION)] * told
