"""The digest of a table's entries. No TensorFlow."""

from __future__ import annotations

import numpy as np

from migrate.verify.table_contents import digest_of


def _strings(*words):
    array = np.empty(len(words), object)
    array[:] = words
    return array


def test_the_order_of_entries_does_not_count_and_each_value_does():
    found = digest_of("k", _strings(b"a", b"b"), np.float32([1, 2]))
    assert found == digest_of("k", _strings(b"b", b"a"), np.float32([2, 1]))
    assert found != digest_of("k", _strings(b"b", b"a"), np.float32([1, 2]))
    assert found != digest_of("k", _strings(b"a"), np.float32([1]))
    assert found.shape == (2,)


def test_keys_may_be_vectors():
    keys, values = np.int64([[1, 2], [0, 1]]), np.float32([[1, 2], [3, 4]])
    assert digest_of("k", keys, values) == digest_of("k", keys[::-1], values[::-1])
    assert digest_of("k", keys, values) != digest_of("k", keys[::-1], values)


def test_empty_buckets_of_a_dense_table_are_no_entries():
    keys, values = np.int64([-1, 5, -1, 3]), np.float32([0, 1, 7, 2])
    assert digest_of("k", keys, values) == digest_of("k", np.int64([3, 5]), np.float32([2, 1]))
