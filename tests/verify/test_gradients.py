"""What is differentiated, and what is compared of a gradient. No TensorFlow."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from migrate.verify.gradients import is_float, sample, weights


def test_weights_are_fixed_and_those_of_the_output():
    value = np.zeros((3, 4), np.float32)
    found = weights("y", value)
    assert (found.dtype, found.shape) == (np.float32, (3, 4))
    np.testing.assert_array_equal(found, weights("y", value))
    assert not np.array_equal(found, weights("z", value))
    assert len(np.unique(found)) == 12
    assert weights("y", np.zeros((), ml_dtypes.bfloat16)).shape == ()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", True),
        ("float16", True),
        (ml_dtypes.bfloat16, True),
        ("complex64", False),
        ("int32", False),
        (object, False),
    ],
)
def test_only_real_floats_have_gradients(dtype, expected):
    assert is_float(np.zeros(1, dtype)) is expected


def test_a_small_gradient_is_compared_whole():
    np.testing.assert_array_equal(sample(np.float32([[1, 2], [3, 4]])), [1, 2, 3, 4])


@pytest.mark.parametrize("size", [(1 << 14) + 1, 100_003])
def test_each_value_of_a_large_gradient_counts(size):
    gradient = np.random.default_rng(0).standard_normal(size)
    other = gradient.copy()
    other[size // 3] += 1
    assert sample(gradient).size <= (1 << 14) + 2
    assert not np.array_equal(sample(gradient), sample(other))
