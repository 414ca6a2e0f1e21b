from __future__ import annotations

import numpy as np
import pytest

from migrate.verify.call_rows import inner_shapes, joined_rows, repeated_rows, row_count, row_size, rows_between
from migrate.verify.calls import Call, SparseValue

_SPARSE = SparseValue(np.array([[0, 1], [2, 0], [2, 2]]), np.array([5, 6, 7]), np.array([3, 4]))
_DENSE = np.array([[0, 5], [0, 0], [6, 0]])


def _dense(value):
    if not isinstance(value, SparseValue):
        return value.tolist()
    array = np.zeros(value.dense_shape, int)
    array[tuple(value.indices.T)] = value.values
    return array[:, :3].tolist()


@pytest.mark.parametrize("value", [_SPARSE, np.array(_dense(_SPARSE))], ids=["sparse", "dense"])
def test_rows_of_a_value(value):
    rows = [[0, 5, 0], [0, 0, 0], [6, 0, 7]]
    assert row_count(value) == 3
    assert _dense(rows_between(value, 1, 3)) == rows[1:]
    assert _dense(repeated_rows(value, 5)) == [*rows, *rows[:2]]
    assert row_count(repeated_rows(value, 0)) == 0
    assert _dense(joined_rows([value, rows_between(value, 2, 3)])) == [*rows, rows[2]]


def test_the_size_of_rows():
    assert (row_size(_SPARSE, 3), row_size(_DENSE, 3), row_size(_DENSE[:0], 0)) == (1, 2, 0)
    assert inner_shapes(Call("s", {"a": _SPARSE, "b": _DENSE}), ["b", "a"]) == [(2,), (4,)]


def test_a_value_without_rows_gives_zeros():
    assert repeated_rows(_DENSE[:0], 2).tolist() == [[0, 0], [0, 0]]
