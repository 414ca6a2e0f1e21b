"""compare.py: what counts as a difference. No TensorFlow."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.verify.arrays import without_subnormals
from migrate.verify.calls import Answer, Call
from migrate.verify.compare import (
    compare_calls,
    compare_optimised,
    contradictions,
    difference,
    nondeterministic,
    ulps,
)


def _strings(*items: bytes) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


_NAN_PAYLOAD = np.array([0x7FC00001], np.uint32).view(np.float32)
_F32 = np.float32(1)
_NEXT = np.nextafter(_F32, np.float32(2))

# name, expected, found, max_ulps, elements that differ, largest distance in ULPs
_CASES = [
    ("equal floats", np.float32([1, 2]), np.float32([1, 2]), 0, 0, 0),
    ("one wrong of many", np.arange(1000), np.arange(1000) + (np.arange(1000) == 777), 0, 1, 0),
    ("next float, bit for bit", np.array([_F32]), np.array([_NEXT]), 0, 1, 1),
    ("next float, one ulp allowed", np.array([_F32]), np.array([_NEXT]), 1, 0, 1),
    ("zeros of both signs, bit for bit", np.float32([0.0]), np.float32([-0.0]), 0, 1, 1),
    ("zeros of both signs, one ulp allowed", np.float32([0.0]), np.float32([-0.0]), 1, 0, 1),
    ("NaNs in the same places", np.float32([np.nan, 1]), np.float32([np.nan, 1]), 0, 0, 0),
    ("NaN payloads differ", np.float32([np.nan]), _NAN_PAYLOAD, 0, 0, 0),
    ("NaN against a number", np.float32([np.nan]), np.float32([1]), 10**9, 1, 0),
    ("number against NaN", np.float64([1]), np.float64([np.nan]), 10**9, 1, 0),
    ("infinity against the largest", np.float32([np.inf]), np.float32([np.finfo(np.float32).max]), 10, 1, 0),
    ("infinities equal", np.float64([np.inf, -np.inf]), np.float64([np.inf, -np.inf]), 0, 0, 0),
    ("infinities of both signs", np.float64([np.inf]), np.float64([-np.inf]), 0, 1, 0),
    ("half", np.float16([1]), np.nextafter(np.float16([1]), np.float16(2)), 0, 1, 1),
    ("bfloat16", np.array([1, 2], ml_dtypes.bfloat16), np.array([1, 2], ml_dtypes.bfloat16), 0, 0, 0),
    ("bfloat16 differs", np.array([1.0], ml_dtypes.bfloat16), np.array([1.0078125], ml_dtypes.bfloat16), 0, 1, 1),
    ("float8", np.array([1], ml_dtypes.float8_e5m2), np.array([2], ml_dtypes.float8_e5m2), 99, 1, 0),
    ("complex equal", np.complex64([1 + 2j]), np.complex64([1 + 2j]), 0, 0, 0),
    ("complex differs in a part", np.complex64([1 + 2j, 3]), np.complex64([1 + 2j, 3 + 2e-38j]), 0, 1, 14272477),
    ("int64 beyond float64", np.int64([2**62]), np.int64([2**62 + 1]), 5, 1, 0),
    ("int64 extremes", np.int64([-(2**63)]), np.int64([2**63 - 1]), 5, 1, 0),
    ("bool", np.array([True, False]), np.array([True, True]), 5, 1, 0),
    ("strings", _strings(b"a", b""), _strings(b"a", b""), 0, 0, 0),
    ("string with a trailing zero", _strings(b"a"), _strings(b"a\0"), 5, 1, 0),
    ("no elements", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), 0, 0, 0),
    ("scalar", np.float32(3), np.float32(4), 0, 1, 1 << 22),
]


@pytest.mark.parametrize(
    ("expected", "found", "max_ulps", "count", "distance"), [c[1:] for c in _CASES], ids=[c[0] for c in _CASES]
)
def test_difference(expected, found, max_ulps, count, distance):
    result = difference(np.asarray(expected), np.asarray(found), max_ulps)
    assert (result.count, result.max_ulps) == (count, distance)
    assert (result.first is None) == (count == 0)


_SMALLEST = {"float32": 2.0**-126, "float64": 2.0**-1022, "bfloat16": 2.0**-126}


@pytest.mark.parametrize("name", _SMALLEST)
def test_a_value_below_the_smallest_normal_number_counts_as_zero_of_its_sign(name):
    dtype, least = np.dtype(name), _SMALLEST[name]
    values = np.array([least, -least, least / 2, -least / 2, 0.0, -0.0, np.inf, -np.inf, np.nan, 1.0], dtype)
    zeros = np.array([least, -least, 0.0, -0.0, 0.0, -0.0, np.inf, -np.inf, np.nan, 1.0], dtype)
    assert without_subnormals(values).tobytes() == zeros.tobytes()
    for first, second in ((values, zeros), (zeros, values)):
        result = difference(first, second, 0)
        assert (result.bitwise_equal, result.count, result.max_ulps, result.subnormal) == (True, 0, 0, 2)
        assert result.max_abs_difference == 0
    assert difference(values, values.copy(), 0).subnormal == 0
    smallest = np.array([least], dtype)
    assert difference(smallest, np.zeros(1, dtype), 0).count == 1
    assert difference(-smallest / 2, smallest / 2, 0).count == 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.float8_e5m2, np.int32])
def test_of_other_dtypes_no_value_counts_as_zero(dtype):
    values = (
        np.array([1], np.uint16 if dtype is np.float16 else np.uint8).view(dtype)
        if dtype != np.int32
        else np.ones(1, dtype)
    )
    assert without_subnormals(values) is values
    result = difference(values, np.zeros(1, dtype), 0)
    assert (result.count, result.subnormal) == (1, 0)


def test_of_complex_numbers_each_part_counts():
    result = difference(np.complex64([1 + 1e-40j]), np.complex64([1]), 0)
    assert (result.bitwise_equal, result.values, result.subnormal) == (True, 1, 1)


def test_two_runs_that_differ_below_the_smallest_normal_number_alone_agree():
    first, again = [Answer({"y": np.float32([5.6e-41, 1])})], [Answer({"y": np.float32([0, 1])})]
    assert nondeterministic([Call("f", {})], first, again) == frozenset()
    result = _compare(first, again, again)
    assert (result.bitwise_equal, result.values, result.subnormal, result.mismatches) == (True, 2, 1, ())


def test_first_difference_is_named_by_its_index():
    expected = np.zeros((2, 3), np.int32)
    found = expected.copy()
    found[1, 2] = 7
    result = difference(expected, found, 0)
    assert result.first == (1, 2)
    assert result.max_abs_difference == 7


@given(st.floats(width=32), st.floats(width=32))
def test_ulps_is_symmetric_and_zero_only_for_equal_bits(a, b):
    x, y = np.array([a], np.float32), np.array([b], np.float32)
    assert ulps(x, y) == ulps(y, x)
    assert (ulps(x, y)[0] == 0) == (x.tobytes() == y.tobytes())


@given(st.floats(width=64, allow_nan=False, allow_infinity=False), st.integers(0, 50))
def test_ulps_counts_steps(start, steps):
    x = y = np.array([start], np.float64)
    for _ in range(steps):
        y = np.nextafter(y, np.inf)
    if np.isfinite(y).all():
        # nextafter goes from the smallest negative number to 0.0 over -0.0 in one step or none
        assert abs(int(ulps(x, y)[0]) - steps) <= 1


@given(st.lists(st.floats(width=32), min_size=1, max_size=8), st.integers(0, 7))
def test_an_array_equals_itself_and_one_changed_bit_is_found(values, position):
    expected = np.array(values, np.float32)
    assert difference(expected, expected.copy(), 0).bitwise_equal
    found = expected.copy()
    position %= len(values)
    found.view(np.uint32)[position] ^= 1
    tiny = np.finfo(np.float32).tiny
    if not np.isnan(expected[position]) and max(abs(expected[position]), abs(found[position])) >= tiny:
        result = difference(expected, found, 0)
        assert not result.bitwise_equal
        assert result.first == (position,)


def _compare(golden, candidate, again=None, max_ulps=0):
    calls = [Call("f", {})] * len(golden)
    return compare_calls(calls, golden, again or golden, candidate, "tf2", max_ulps)


def test_equal_answers():
    answers = [Answer({"y": np.float32([1, 2])})] * 2
    result = _compare(answers, answers)
    assert (result.compared, result.values, result.bitwise_equal, result.mismatches) == (2, 4, True, ())


def test_reason_shows_place_both_values_and_distance():
    result = _compare([Answer({"y": np.float32([[1, 2]])})], [Answer({"y": np.float32([[1, 3]])})])
    (mismatch,) = result.mismatches
    assert (mismatch.signature, mismatch.call, mismatch.output, mismatch.path) == ("f", 0, "y", "tf2")
    assert mismatch.reason == (
        "1 of 2 values differ; at [0, 1] expected 2.0, found 3.0; max abs difference 1, max ulps 4194304"
    )
    assert result.max_abs_difference == 1


@pytest.mark.parametrize(
    ("golden", "candidate", "words"),
    [
        ({"y": np.float32([1])}, {}, "does not answer"),
        ({}, {"y": np.float32([1])}, "no such output"),
        ({"y": np.float32([1])}, {"y": np.float64([1])}, "expected float32 [1], found float64 [1]"),
        ({"y": np.float32([1])}, {"y": np.float32([[1]])}, "expected float32 [1], found float32 [1, 1]"),
        ({"y": np.int32([1])}, {"y": _strings(b"1")}, "found string [1]"),
    ],
)
def test_form_is_compared(golden, candidate, words):
    (mismatch,) = _compare([Answer(golden)], [Answer(candidate)]).mismatches
    assert words in mismatch.reason


def test_errors_are_compared_by_class():
    failed = Answer({}, "InvalidArgumentError", "bad index")
    assert _compare([failed], [Answer({}, "InvalidArgumentError", "another text")]).mismatches == ()
    assert len(_compare([failed], [Answer({}, "FailedPreconditionError", "")]).mismatches) == 1
    assert len(_compare([failed], [Answer({"y": np.float32([1])})]).mismatches) == 1
    assert len(_compare([Answer({"y": np.float32([1])})], [failed]).mismatches) == 1


def test_nothing_compared_is_not_bitwise_equal():
    result = _compare([], [])
    assert (result.values, result.bitwise_equal) == (0, False)


def test_nondeterministic_output_is_compared_on_its_form_alone():
    golden, again = (
        [Answer({"y": np.float32([1]), "z": np.int32([1])})],
        [Answer({"y": np.float32([2]), "z": np.int32([1])})],
    )
    result = _compare(golden, [Answer({"y": np.float32([3]), "z": np.int32([1])})], again)
    assert (result.nondeterministic, result.mismatches, result.values, result.compared) == (("f/y",), (), 1, 2)
    result = _compare(golden, [Answer({"y": np.float64([3]), "z": np.int32([1])})], again)
    assert len(result.mismatches) == 1


def test_one_contradiction_among_several_runs_is_kept():
    def answer(y, z):
        return Answer({"y": np.int32([y]), "z": np.int32([z])})

    calls, golden = [Call("f", {})], [answer(1, 1)]
    again = contradictions(golden, [[answer(2, 1)], [answer(1, 2)], [answer(1, 1)]])
    assert nondeterministic(calls, golden, again) == {("f", "y"), ("f", "z")}
    failed = contradictions(golden, [[answer(1, 1)], [Answer({}, "AbortedError")]])
    assert nondeterministic(calls, golden, failed) == {("f", "y"), ("f", "z")}


@pytest.mark.parametrize(
    ("expected", "found", "is_far"),
    [
        ([1.0, 2.0], [1.0, 2.001], False),
        ([1.0, 200.0], [1.5, 200.0], False),
        ([1.0, 2.0], [1.0, 2.5], True),
        ([0.0, 0.0], [0.0, 1e-9], True),
        ([np.nan, 1.0], [np.nan, 1.0], False),
        ([np.nan, 1.0], [1.0, 1.0], True),
        ([np.inf, 1.0], [np.inf, 1.0], False),
        ([np.inf, 1.0], [1e30, 1.0], True),
        ([1.0, 2.0], [1.0], True),
    ],
)
def test_with_the_optimiser_floats_are_near(expected, found, is_far):
    call = Call("s", {})
    golden, given = Answer({"y": np.float32(expected)}), Answer({"y": np.float32(found)})
    assert bool(compare_optimised([call], [golden], [golden], [given], "p")) is is_far


def test_with_the_optimiser_a_class_may_tip_over_and_a_failure_may_not():
    call = Call("s", {})
    golden, tipped = Answer({"y": np.int64([3])}), Answer({"y": np.int64([4])})
    assert compare_optimised([call], [golden], [golden], [tipped], "p") == ()
    failed = Answer({}, "FailedPreconditionError", "Table not initialized.")
    (mismatch,) = compare_optimised([call], [golden], [golden], [failed], "p")
    assert "Table not initialized" in mismatch.reason


def test_a_contradiction_in_a_call_that_is_not_ordinary_says_nothing_of_the_others():
    calls = [Call("f", {})] * 2
    golden = [Answer({"y": np.float32([1])}), Answer({"y": np.float32([1])})]
    again = [golden[0], Answer({"y": np.float32([2])})]
    good = [golden[0], Answer({"y": np.float32([3])})]
    result = compare_calls(calls, golden, again, good, "tf2", 0, once=1)
    assert (result.mismatches, result.nondeterministic, result.values, result.compared) == ((), (), 1, 2)
    bad = [Answer({"y": np.float32([5])}), golden[1]]
    assert len(compare_calls(calls, golden, again, bad, "tf2", 0, once=1).mismatches) == 1
    assert compare_calls(calls, golden, again, bad, "tf2", 0).mismatches == ()
