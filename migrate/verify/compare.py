"""Compares golden answers with a candidate's. Arrays in, counts and reasons out; numpy only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from migrate.frozen import frozen
from migrate.records import Mismatch, OutputDifference
from migrate.verify import dtypes
from migrate.verify.arrays import EXPONENTS, UNSIGNED, without_subnormals
from migrate.verify.bounds import close
from migrate.verify.calls import Answer, Array, Call
from migrate.verify.differences import mismatch

# Floats whose bits, read as sign and magnitude, are in the order of their values, so that ULPs are a
# difference.
_IEEE_LIKE = frozenset({"float16", "bfloat16", "float32", "float64"})


@frozen
class Difference:
    """How one array differs from another of the same dtype and shape.

    Attributes:
      values: elements compared.
      count: elements that differ by more than is allowed.
      bitwise_equal: every element has the same bits (a NaN's payload aside).
      max_abs_difference: largest absolute difference; infinite where one side alone is infinite or NaN.
      max_ulps: largest distance in units in the last place, over elements that are finite on both sides.
      first: index of the first element that differs by more than is allowed, or None.
      subnormal: elements that are equal only because a value below the smallest normal number counts as zero.
    """

    values: int
    count: int
    bitwise_equal: bool
    max_abs_difference: float
    max_ulps: int
    first: tuple[int, ...] | None
    subnormal: int = 0


@frozen
class Comparison:
    """What the comparison of all answers has shown; the fields are those of `records.Verification`."""

    compared: int
    values: int
    bitwise_equal: bool
    max_abs_difference: float
    max_ulps: int
    nondeterministic: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    outputs: tuple[OutputDifference, ...] = ()
    subnormal: int = 0


def _ordered(bits: npt.NDArray[np.uint64], width: int) -> npt.NDArray[np.uint64]:
    """Maps the bits of a `width`-bit float to unsigned integers in the order of their values."""
    sign = np.uint64(1 << (width - 1))
    mask = np.uint64((1 << width) - 1)
    ordered: npt.NDArray[np.uint64] = np.where(bits & sign, ~bits & mask, bits | sign)
    return ordered


def ulps(expected: Array, found: Array) -> npt.NDArray[np.uint64]:
    """Distance in units in the last place, element by element.

    Given:
      expected, found: the same shape and the same one of float16, bfloat16, float32, float64.

    Result:
      uint64, the same shape. -0.0 and 0.0 are one unit apart, as their bits are neighbours in this order.
      Entries for NaNs mean nothing.
    """
    width = 8 * expected.dtype.itemsize
    unsigned = UNSIGNED[expected.dtype.itemsize]
    a = _ordered(np.ascontiguousarray(expected).view(unsigned).astype(np.uint64), width)
    b = _ordered(np.ascontiguousarray(found).view(unsigned).astype(np.uint64), width)
    return np.maximum(a, b) - np.minimum(a, b)


def difference(expected: Array, found: Array, max_ulps: int) -> Difference:
    """Compares two arrays of the same dtype and shape.

    Integers, bools and strings must be equal; NaNs must be in the same places; other floats may be `max_ulps` apart (0:
    the same bits), but an infinity only equals itself. A value below the smallest normal number counts as zero, see
    `without_subnormals`. Complex numbers are compared part by part.
    """
    shape = expected.shape
    expected, found = np.ravel(expected), np.ravel(found)
    wide = np.dtype(expected.dtype).kind == "c"
    if wide:
        part = np.float32 if expected.dtype.itemsize == 8 else np.float64
        expected, found = expected.view(part), found.view(part)
    whole = (expected, found)
    expected, found = map(without_subnormals, whole)
    unequal, distance, absolute = _elements(expected, found)
    beyond: npt.NDArray[np.bool_] = np.asarray(unequal & (distance > np.uint64(max_ulps)))
    if wide:
        beyond = np.asarray(beyond.reshape(-1, 2).any(axis=1))
    wrong = np.flatnonzero(beyond)
    return Difference(
        values=int(beyond.size),
        count=int(wrong.size),
        bitwise_equal=not unequal.any(),
        max_abs_difference=float(absolute.max(initial=0.0)),
        max_ulps=int(distance[distance != np.iinfo(np.uint64).max].max(initial=0)),
        first=tuple(int(i) for i in np.unravel_index(wrong[0], shape)) if wrong.size else None,
        subnormal=_made_equal(whole, unequal),
    )


def within(expected: Array, found: Array, bounds: tuple[float, float]) -> Difference:
    """As `difference`, where floats may be as far apart as some bounds allow, see `bounds.close`."""
    told, exact = close(expected, found, *bounds), difference(expected, found, 0)
    return dataclasses.replace(exact, count=told.beyond, first=told.first)


def _made_equal(whole: tuple[Array, Array], unequal: npt.NDArray[np.bool_]) -> int:
    """How many elements have other bits and yet count as equal; a NaN's payload aside."""
    a, b = whole
    if a.dtype.name not in EXPONENTS:
        return 0
    unsigned = UNSIGNED[a.dtype.itemsize]
    other = np.ascontiguousarray(a).view(unsigned) != np.ascontiguousarray(b).view(unsigned)
    return int(np.count_nonzero(other & ~unequal & ~(np.isnan(a) & np.isnan(b))))


def _elements(
    expected: Array, found: Array
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    """Per element: do the bits differ; distance in ULPs (the largest uint64: beyond any); distance in value."""
    infinite_distance = np.uint64(np.iinfo(np.uint64).max)
    if expected.dtype.kind in "OSU":
        unequal = np.array([a != b for a, b in zip(expected, found, strict=True)], dtype=np.bool_)
        return unequal, np.where(unequal, infinite_distance, np.uint64(0)), np.zeros(unequal.shape)
    if expected.dtype.kind in "biu":
        unequal = expected != found
        absolute = np.zeros(unequal.shape)
        # Subtracted as Python integers: a difference of two int64 need not fit one.
        for index in np.flatnonzero(unequal):
            absolute[index] = abs(int(expected[index]) - int(found[index]))
        return unequal, np.where(unequal, infinite_distance, np.uint64(0)), absolute
    if expected.dtype.name not in _IEEE_LIKE:  # 8-bit floats, 4-bit integers: the stored bytes decide
        raw = (a.view(np.uint8).reshape(a.size, -1) for a in (expected, found))
        unequal = (next(raw) != next(raw)).any(axis=1)
        absolute = np.abs(expected.astype(np.float64) - found.astype(np.float64))
        return (
            unequal,
            np.where(unequal, infinite_distance, np.uint64(0)),
            np.nan_to_num(absolute, nan=np.inf),
        )
    with np.errstate(invalid="ignore"):  # a signalling NaN
        a, b = expected.astype(np.float64), found.astype(np.float64)
    both_nan = np.isnan(a) & np.isnan(b)
    distance = np.where(both_nan, np.uint64(0), ulps(expected, found))
    unequal = distance > 0
    finite = np.isfinite(a) & np.isfinite(b)
    distance = np.where(unequal & ~finite, infinite_distance, distance)
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.where(finite, np.abs(a - b), np.where(unequal, np.inf, 0.0))
    return unequal, distance, absolute


def show(array: Array, index: tuple[int, ...]) -> str:
    """One element as a reader can tell it from its neighbours, cut to 60 characters."""
    element = array[index] if array.shape else array[()]
    text = repr(element) if isinstance(element, (bytes, str)) else str(element)
    return text if len(text) <= 60 else text[:57] + "..."


def _describe(expected: Array, found: Array, result: Difference) -> str:
    """The reason of a mismatch in values, in one line."""
    assert result.first is not None
    index = list(result.first)
    numeric = expected.dtype.kind not in "OSUb"
    floats = expected.dtype.name in _IEEE_LIKE or expected.dtype.kind == "c"
    return (
        f"{result.count} of {result.values} values differ; at {index} expected {show(expected, result.first)}, "
        f"found {show(found, result.first)}"
        + (f"; max abs difference {result.max_abs_difference:g}" if numeric else "")
        + (f", max ulps {result.max_ulps}" if floats else "")
    )


def _form(array: Array) -> str:
    return f"{dtypes.tf_name(array)} {list(array.shape)}"


def _contradicts(first: Answer, second: Answer) -> frozenset[str]:
    """Outputs on which the source contradicts itself; all of them where one run ended in an error."""
    names = frozenset(first.outputs) | frozenset(second.outputs)
    if first.error != second.error:
        return names
    return frozenset(
        name
        for name in names
        if name not in first.outputs
        or name not in second.outputs
        or _form(first.outputs[name]) != _form(second.outputs[name])
        or not difference(first.outputs[name], second.outputs[name], 0).bitwise_equal
    )


def nondeterministic(
    calls: Sequence[Call], golden: Sequence[Answer], again: Sequence[Answer]
) -> frozenset[tuple[str, str]]:
    """The (signature, output) pairs on which two fresh runs of the source differ, in any call."""
    return frozenset(
        (call.signature, output)
        for call, first, second in zip(calls, golden, again, strict=True)
        for output in _contradicts(first, second)
    )


def contradictions(golden: Sequence[Answer], runs: Sequence[Sequence[Answer]]) -> tuple[Answer, ...]:
    """Merges further runs of the source into one that contradicts `golden` wherever any of them does."""
    merged: list[Answer] = []
    for number, first in enumerate(golden):
        answer = runs[0][number]
        for run in runs[1:]:
            if run[number].error != first.error:
                answer = run[number]
            elif not answer.error:
                changed = _contradicts(first, run[number]) & frozenset(run[number].outputs)
                answer = Answer({**answer.outputs, **{name: run[number].outputs[name] for name in changed}})
        merged.append(answer)
    return tuple(merged)


def compare_calls(
    calls: Sequence[Call],
    golden: Sequence[Answer],
    golden_again: Sequence[Answer],
    candidate: Sequence[Answer],
    path: str,
    max_ulps: int,
    undefined: Collection[tuple[str, str]] = (),
    once: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Comparison:
    """Compares a candidate's answers with the golden ones, output by output.

    Args:
      calls: what was asked.
      golden: the source's answers, one a call.
      golden_again: those of a second fresh run.
      candidate: the candidate's answers, one a call.
      path: how the candidate was loaded (`tf2`, `session`); goes into the mismatches.
      max_ulps: how far apart floats may be; 0 is bit for bit.
      undefined: (signature, output) pairs to which the source's graph gives no defined answer.
      once: how many of the last calls are not ordinary: where the source contradicts itself in one of them, that says
        nothing of the others (`calls.Golden`).
      bounds: how far floats may be apart, absolute and relative, where another release of TensorFlow gave the golden
        answers; `max_ulps` says nothing then.

    Returns:
      counts and mismatches. Outputs that the source itself does not answer twice alike are compared on name,
      dtype and rank alone (their sizes, too, where both golden runs have the same) and add nothing to
      `values`.
    """
    ordinary = len(calls) - once
    shaky = nondeterministic(calls[:ordinary], golden[:ordinary], golden_again[:ordinary]) | frozenset(undefined)
    mismatches: list[Mismatch] = []
    results: list[Difference] = []
    by_output: dict[tuple[str, str], list[Difference]] = {}
    compared = 0
    for number, (call, expected, again, found) in enumerate(zip(calls, golden, golden_again, candidate, strict=True)):

        def report(code: str, output: str, reason: str, key: str = call.signature, number: int = number) -> None:
            mismatches.append(mismatch(code, path, reason, key, output, number))

        if expected.error or found.error:
            # A call that fails half way may fail elsewhere in the other model: the error's class is the
            # contract.
            if expected.error != found.error and expected.error == again.error:
                report("ending-differs", "", f"expected {_ending(expected)}, found {_ending(found)}")
            continue
        here = _contradicts(expected, again) if number >= ordinary else frozenset()
        for name in sorted(frozenset(expected.outputs) | frozenset(found.outputs)):
            if name not in found.outputs:
                report("output-missing", name, "the candidate does not answer this output")
            elif name not in expected.outputs:
                report("output-added", name, "the source has no such output")
            else:
                compared += 1
                a, b = expected.outputs[name], found.outputs[name]
                if (call.signature, name) in shaky or name in here:
                    if reason := _loose(a, again.outputs.get(name, a), b):
                        report("answer-form-differs", name, reason)
                elif _form(a) != _form(b):
                    report("answer-form-differs", name, f"expected {_form(a)}, found {_form(b)}")
                else:
                    result = difference(a, b, max_ulps) if bounds is None else within(a, b, bounds)
                    results.append(result)
                    by_output.setdefault((call.signature, name), []).append(result)
                    if result.count:
                        report("answer-differs", name, _describe(a, b, result))
    return Comparison(
        compared=compared,
        values=sum(r.values for r in results),
        bitwise_equal=not mismatches and bool(results) and all(r.bitwise_equal for r in results),
        max_abs_difference=max((r.max_abs_difference for r in results), default=0.0),
        max_ulps=max((r.max_ulps for r in results), default=0),
        nondeterministic=tuple(sorted(f"{signature}/{output}" for signature, output in shaky)),
        mismatches=tuple(mismatches),
        subnormal=sum(r.subnormal for r in results),
        outputs=tuple(
            OutputDifference(
                signature,
                output,
                path,
                len(differences),
                sum(d.values for d in differences),
                all(d.bitwise_equal for d in differences),
                max(d.max_abs_difference for d in differences),
                max(d.max_ulps for d in differences),
            )
            for (signature, output), differences in by_output.items()
        ),
    )


ROUNDING = 1e-2
"""How far the optimiser's rounding may carry a float, as a share of the largest one beside it in its tensor."""


def compare_optimised(
    calls: Sequence[Call],
    golden: Sequence[Answer],
    golden_again: Sequence[Answer],
    candidate: Sequence[Answer],
    path: str,
    undefined: Collection[tuple[str, str]] = (),
    rounding: float = ROUNDING,
) -> tuple[Mismatch, ...]:
    """Compares answers that were given with the graph optimiser on.

    Grappler fuses and reorders arithmetic, so floats may be rounded otherwise, and what depends on them (a class, a
    label) may tip over. What must hold all the same: the same calls succeed, names, dtypes and shapes are equal, and
    floats are near (a variable or table that was never filled is far off).
    """
    shaky = nondeterministic(calls, golden, golden_again) | frozenset(undefined)
    found = []
    for number, (call, expected, given) in enumerate(zip(calls, golden, candidate, strict=True)):
        if bool(expected.error) != bool(given.error):
            reason = f"expected {_ending(expected)}, found {_ending(given)}"
            found.append(mismatch("ending-differs", path, reason, call.signature, "", number))
            continue
        for name, value in expected.outputs.items():
            if (call.signature, name) in shaky:
                continue
            if name not in given.outputs:
                code, reason = "output-missing", "the candidate does not answer this output"
            else:
                code, reason = "optimised-answer-far", _far(value, given.outputs[name], rounding)
            if reason:
                found.append(mismatch(code, path, reason, call.signature, name, number))
    return tuple(found)


def _far(expected: Array, found: Array, rounding: float) -> str:
    if _form(expected) != _form(found):
        return f"expected {_form(expected)}, found {_form(found)}"
    if expected.dtype.kind not in "fc" or not expected.size:
        return ""
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.subtract(expected, found))
    near = same | (distance <= rounding * scale)
    if near.all():
        return ""
    worst = float(np.max(distance, where=~same, initial=0.0))
    return f"{np.count_nonzero(~near)} of {expected.size} values are far off; max abs difference {worst:g}"


def _ending(answer: Answer) -> str:
    return f"{answer.error} ({answer.message})" if answer.error else "an answer"


def _loose(expected: Array, again: Array, found: Array) -> str:
    """Why `found` cannot be an answer of a model that gave `expected` and `again`, or empty."""
    if expected.shape == again.shape and _form(expected) != _form(found):
        return f"expected {_form(expected)}, found {_form(found)}"
    if dtypes.tf_name(expected) != dtypes.tf_name(found) or expected.ndim != found.ndim:
        return f"expected {dtypes.tf_name(expected)} of rank {expected.ndim}, found {_form(found)}"
    return ""
