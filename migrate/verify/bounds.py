"""Compares answers that another build of TensorFlow, or another processor, has given: floats within bounds.

Two kernels that compute the same round differently, so units in the last place mislead where a sum is near zero. The
bound is a share of the largest value beside it in the tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from migrate.frozen import frozen
from migrate.verify.calls import Array

ABSOLUTE = 1e-6
"""Below which a difference is none: a tensor whose values are all as small as this has lost its digits."""
RELATIVE = 1e-4
"""Of the largest value beside it. TensorFlow 1.15 and 2.21 differ by less than 1.2e-5 in models of float32."""
_ROUNDINGS = 8
"""How many roundings of a float with few digits the bound allows at least."""
_STEP = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance of 1 to the next float."""
_FLOATS = frozenset({*_STEP, "float32", "float64", "complex64", "complex128"})


@frozen
class Closeness:
    """How far one tensor is from another.

    Attributes:
      values: elements compared.
      beyond: how many of them are not equal and beyond the bounds.
      equal: all elements are equal.
      largest: the largest absolute difference; infinite where a NaN or an infinity meets another value.
      relative: the largest difference as a share of the largest value beside it.
      first: index of the first element that is beyond the bounds, or None.
    """

    values: int
    beyond: int
    equal: bool
    largest: float
    relative: float
    first: tuple[int, ...] | None


def close(expected: Array, found: Array, absolute: float = ABSOLUTE, relative: float = RELATIVE) -> Closeness:
    """Compares two arrays of the same dtype and shape.

    Integers, bools, strings and 8-bit floats must be equal; NaNs must be in the same places, and an infinity only
    equals itself. Any other float may be `absolute` off, or `relative` times the largest finite value of `expected`;
    for float16 and bfloat16 that is at least eight of their roundings. A complex number is compared as a whole.

    Args:
      expected: the golden answer.
      found: the other answer.
      absolute: bound in the unit of the values.
      relative: bound as a share of the largest value.
    """
    a, b = np.ravel(expected), np.ravel(found)
    distance, scale = _distances(a, b)
    name = expected.dtype.name
    if name in _FLOATS:
        share = max(relative, _ROUNDINGS * _STEP.get(name, 0.0))
        wrong = ~(distance <= max(absolute, share * scale))
    else:
        wrong = distance > 0
    positions = np.flatnonzero(wrong)
    largest = float(distance.max(initial=0.0))
    return Closeness(
        values=int(a.size),
        beyond=int(positions.size),
        equal=not distance.any(),
        largest=largest,
        relative=0.0 if not largest else largest / scale if scale else float("inf"),
        first=tuple(int(i) for i in np.unravel_index(positions[0], expected.shape)) if positions.size else None,
    )


def _distances(a: Array, b: Array) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """The distance of each pair of elements, and the largest finite value of `a`."""
    if a.dtype.kind in "OSU":
        differs = np.array([x != y for x, y in zip(a.tolist(), b.tolist(), strict=True)], dtype=np.bool_)
        return np.where(differs, np.inf, 0.0), 0.0
    if a.dtype.kind in "biu":
        unequal = a != b
        distance = np.zeros(a.shape, np.float64)
        # Subtracted as Python's integers: a difference of two int64 need not fit one.
        for index in np.flatnonzero(unequal):
            distance[index] = abs(int(a[index]) - int(b[index]))
        return distance, float(max((abs(int(x)) for x in (a.min(), a.max())), default=0) if a.size else 0)
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore", over="ignore"):  # A signalling NaN; the difference of two large numbers.
        x, y = a.astype(wide), b.astype(wide)
        same = (x == y) | _same_nan(x, y)
        distance = np.where(same, 0.0, np.abs(x - y))
    distance[np.isnan(distance)] = np.inf
    return distance, float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


def _same_nan(x: Array, y: Array) -> Any:
    """Where both are NaN; of a complex number, where each part is NaN in both or equal."""
    if x.dtype.kind != "c":
        return np.isnan(x) & np.isnan(y)
    parts = [(x.real, y.real), (x.imag, y.imag)]
    matched = [(p == q) | (np.isnan(p) & np.isnan(q)) for p, q in parts]
    return matched[0] & matched[1]
