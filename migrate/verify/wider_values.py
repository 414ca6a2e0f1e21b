"""Values that an ordinary request does not have, and how they are laid out in an input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from migrate.verify.calls import Array
from migrate.verify.uses import Uses

_MOST_PARTS = 8

TEXTS = (
    b"",
    b" ",
    b"  two  blanks  ",
    b"tab\tand\nnewline\r\n",
    "Gr\u00f6\u00dfe \u65e5\u672c\u8a9e".encode(),
    "e\u0301 \U0001f600 \u200b".encode(),
    b'Quoted "text", it\'s 1,000.50!',
    b"a\0b",
    b"x" * 1000,
    b"word " * 40,
)
"""Strings that are valid UTF-8."""
NO_TEXTS = (b"\xff\xfe\x80", b"cut \xe6\x97")
"""Strings that are not."""


def edges(dtype: np.dtype[np.generic], uses: Uses) -> Array:
    """Finite values of a dtype at which something may change, the graph's own numbers first."""
    if dtype.kind == "b":
        return np.array([True, False])
    found: list[float] = []
    if dtype.kind in "iu":
        low, high = (0, min(uses.rows) - 1) if uses.rows else range_of(dtype)
        for constant in uses.constants:
            found += [math.floor(constant) - 1, math.floor(constant), math.ceil(constant), math.ceil(constant) + 1]
        found += [high] if uses.rows else []
        found += [0, 1]
        if uses.is_bounded:
            high = min(high, 1000)
        whole = [int(value) for value in found if low <= value <= high]
        return np.array(list(dict.fromkeys(whole)), dtype)
    for constant in uses.constants:
        if not uses.is_bounded or abs(constant) <= 1e5:
            found += _about(dtype, constant)
    found += [0.0, 1.0, -1.0]
    return np.array(found).astype(dtype)


def _about(dtype: np.dtype[np.generic], constant: float) -> list[float]:
    """A number of a dtype, and its neighbours."""
    step = abs(constant) * 2.0 ** (-7 if dtype.itemsize == 2 else -20) or 1e-6
    if dtype.name in ("float32", "float64"):
        exact = np.array(constant, dtype)
        with np.errstate(over="ignore"):
            below, above = (np.nextafter(exact, np.array(end, dtype)) for end in (-math.inf, math.inf))
        # A sum may lose the last bit.
        return [float(below), float(exact), float(above), constant - step, constant + step]
    return [constant - step, constant, constant + step]


def for_all(dtype: np.dtype[np.generic], uses: Uses, count: int) -> list[float]:
    """Values for all of an input, of which a sum or a mean is compared with the graph's numbers."""
    found: list[float] = []
    for constant in uses.constants[:4]:
        if dtype.kind == "f":
            values = [constant * 1.5 + 1.0, constant, constant * 0.5 - 1.0]
            values += [constant / count] if uses.reduced and count > 1 else []
        else:
            values = [constant + 1, constant, constant - 1]
        found += values
    if uses.is_bounded:
        found = [value for value in found if abs(value) <= 1e5]
    if dtype.kind in "iu":
        least, most = range_of(dtype)
        found = [float(math.floor(value)) for value in found if least <= value <= most]
    return list(dict.fromkeys(found))


def range_of(dtype: np.dtype[np.generic]) -> tuple[int, int]:
    """The least and the largest whole number of a dtype."""
    info = np.iinfo(dtype.name)
    return int(info.min), int(info.max)


def float_range(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """The smallest normal number of a dtype, and the largest."""
    if dtype.name == "bfloat16":  # numpy does not know it.
        return 2.0**-126, 3.38e38
    info = np.finfo(dtype.name)
    return float(info.tiny), float(info.max)


def evenly_spread(count: int, choices: int) -> npt.NDArray[np.int64]:
    """So many of so many, from the last one to the first; one is the last."""
    found: npt.NDArray[np.int64] = np.linspace(choices - 1, 0, count).astype(np.int64)
    return found


def in_parts(values: Sequence[bytes], room: int) -> Iterator[Sequence[bytes]]:
    """Values in parts that have room in one call, and no more parts than are worth a call each."""
    for start in range(0, min(len(values), room * _MOST_PARTS), max(1, room)):
        yield values[start : start + room]


def as_strings(texts: Sequence[bytes]) -> Array:
    """Strings as an input has them: an array of objects."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def filled(values: Array, shape: tuple[int, ...]) -> Array:
    """An array of some values: one to a row where there are as many rows, else one after the other."""
    if shape and shape[0] >= len(values) and len(shape) > 1:
        rows = np.resize(values, shape[0])
        return np.array(np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) - 1)), shape))
    return np.resize(values, shape)


def with_first(array: Array, value: float) -> Array:
    """A copy whose first element is another one."""
    copy = np.array(array)
    copy.reshape(-1)[0] = value
    return copy
