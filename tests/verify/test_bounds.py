"""Exact for what counts, within bounds for what is measured. No TensorFlow."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from migrate.verify.bounds import close

_ABSOLUTE, _RELATIVE = 1e-6, 1e-4


def _close(expected, found, dtype=None):
    a, b = (np.array(v, dtype) for v in (expected, found))
    return close(a, b, _ABSOLUTE, _RELATIVE)


@pytest.mark.parametrize(
    ("dtype", "expected", "found"),
    [
        ("float32", [1000.0, 0.0], [1000.0, 0.09]),  # 9e-5 of the largest value beside it
        ("float64", [1e300, -1.0], [1e300, 1e295]),
        ("float32", [0.0, 0.0], [0.0, 9e-7]),  # nothing beside it is larger: the absolute bound
        ("float32", [np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf]),
        ("float32", [0.0], [-0.0]),
        ("float16", [1.0, 0.0], [1.0, 0.007]),  # eight of its roundings
        (ml_dtypes.bfloat16, [1.0, 0.0], [1.0, 0.06]),
        ("complex64", [1 + 1000j], [1.05 + 1000j]),
        ("complex64", [complex(np.nan, 1)], [complex(np.nan, 1)]),
        ("float32", [], []),
    ],
)
def test_what_is_within_the_bounds(dtype, expected, found):
    result = _close(expected, found, dtype)
    assert result.beyond == 0 and result.first is None


@pytest.mark.parametrize(
    ("dtype", "expected", "found"),
    [
        ("float32", [1000.0, 0.0], [1000.0, 0.11]),
        ("float32", [0.0, 0.0], [0.0, 2e-6]),
        ("float32", [1.0, 0.0], [1.0, np.nan]),
        ("float32", [1.0, np.nan], [1.0, 0.0]),
        ("float32", [1.0, np.inf], [1.0, 3e38]),
        ("float32", [1.0, np.inf], [1.0, -np.inf]),
        ("float32", [np.inf, 0.0], [np.inf, 1.0]),  # an infinity beside it widens nothing
        ("float16", [1.0, 0.0], [1.0, 0.009]),
        (ml_dtypes.bfloat16, [1.0, 0.0], [1.0, 0.07]),
        (ml_dtypes.float8_e4m3fn, [100.0, 1.0], [100.0, 1.125]),
        ("complex64", [complex(1, np.nan)], [complex(2, np.nan)]),
        ("int64", [2**62, 0], [2**62, 1]),
        ("int64", [2**63 - 1], [-(2**63)]),
        ("uint64", [2**64 - 1, 5], [2**64 - 2, 5]),
        ("bool", [True], [False]),
        (object, [b"a", b"b"], [b"a", b"c"]),
    ],
)
def test_what_is_beyond_them(dtype, expected, found):
    result = _close(expected, found, dtype)
    assert result.beyond == 1 and result.first is not None and not result.equal


def test_what_is_said_of_the_difference():
    result = _close([[2.0, 0.0], [0.0, 0.5]], [[2.0, 0.0], [1.0, 0.5]], "float32")
    assert (result.values, result.beyond, result.largest, result.relative, result.first) == (4, 1, 1.0, 0.5, (1, 0))
    assert _close([2**63 - 1], [-(2**63)], "int64").largest == float(2**64 - 1)
    assert _close([0.0], [1.0], "float32").relative == np.inf
    assert _close([1.0], [1.0], "float32") == _close([5.0], [5.0], "float32")


def test_a_scalar():
    assert close(np.float32(1), np.float32(2), 0, 0).first == ()
