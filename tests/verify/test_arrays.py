"""What TensorFlow gives back, as arrays whose bytes can be compared."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.verify.arrays import as_array, fingerprint, plain


@given(st.binary())
def test_a_scalar_string_keeps_its_bytes(value):
    array = as_array(value)
    assert array.shape == () and array.dtype == object
    assert array[()] == value == plain(array)[()]


def test_what_is_an_array_stays_it():
    array = np.float32([1, 2])
    assert as_array(array) is array
    assert as_array([1, 2]).tolist() == [1, 2]


def test_plain_strings_are_bytes_and_the_rest_is_copied():
    assert plain(np.array([["a", "\u00e9"]])).tolist() == [[b"a", "\u00e9".encode()]]
    assert plain(np.array([b"a", "b"], object)).tolist() == [b"a", b"b"]
    array = np.float32([1])
    copy = plain(array)
    array[0] = 2
    assert copy.tolist() == [1] and copy.dtype == np.float32


def _strings(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_strings_have_one_digest_only_where_they_are_the_same(first, second):
    assert (fingerprint(_strings(first)) == fingerprint(_strings(second))) == (first == second)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.complex64, np.bool_, ml_dtypes.bfloat16])
def test_a_digest_is_of_bytes_dtype_and_shape(dtype):
    array = np.array([[0, 1], [0, 0]], dtype)
    found = fingerprint(array)
    assert (found.dtype, found.shape) == (np.dtype(dtype).name, (2, 2))
    assert fingerprint(np.asfortranarray(array)) == found == fingerprint(array[:, ::-1][:, ::-1])
    assert fingerprint(array.reshape(4)) != found
    other = array.copy()
    other[1, 1] = 1
    assert fingerprint(other).digest != found.digest
    assert fingerprint(array[:0]).shape == (0, 2)


def test_zeros_of_both_signs_and_kinds_of_nan_differ():
    bits = np.array([0, 1 << 31, 0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    assert len({fingerprint(bits[i : i + 1]).digest for i in range(4)}) == 4
