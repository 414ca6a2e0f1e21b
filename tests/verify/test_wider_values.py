from __future__ import annotations

import numpy as np
import pytest

from migrate.verify.uses import Uses
from migrate.verify.wider_values import edges, evenly_spread, filled, float_range, for_all, in_parts, range_of


def test_numbers_that_the_graph_compares_with_come_with_their_neighbours():
    values = edges(np.dtype(np.float32), Uses(constants=(20000.0,))).tolist()
    assert {20000.0, float(np.nextafter(np.float32(20000), np.float32(0)))} <= set(values)
    assert any(value > 20000.0 for value in values)
    whole = edges(np.dtype(np.int32), Uses(constants=(7.0,))).tolist()
    assert {6, 7, 8} <= set(whole)


def test_a_sum_of_values_reaches_both_sides_of_a_number():
    uses = Uses(constants=(8.0,), reduced=True)
    assert for_all(np.dtype(np.float32), uses, 4) == [13.0, 8.0, 3.0, 2.0]
    assert for_all(np.dtype(np.uint8), Uses(constants=(255.0,)), 4) == [255.0, 254.0]
    assert for_all(np.dtype(np.float32), Uses(constants=(1e9,), is_bounded=True), 4) == []


def test_the_ranges_of_dtypes():
    assert range_of(np.dtype(np.uint8)) == (0, 255)
    assert float_range(np.dtype(np.float32)) == (2.0**-126, float(np.finfo(np.float32).max))


def test_numbers_from_all_over_a_table():
    assert evenly_spread(3, 101).tolist() == [100, 50, 0]
    assert evenly_spread(1, 101).tolist() == [100]


@pytest.mark.parametrize(
    ("count", "room", "parts"), [(5, 2, [2, 2, 1]), (3, 5, [3]), (100, 1, [1] * 8), (3, 0, []), (0, 4, [])]
)
def test_parts_that_have_room(count, room, parts):
    assert [len(part) for part in in_parts([b"a"] * count, room)] == parts


def test_a_row_has_one_value_where_there_are_as_many_rows():
    assert filled(np.array([1, 2]), (3, 2)).tolist() == [[1, 1], [2, 2], [1, 1]]
    assert filled(np.array([1, 2, 3]), (2, 2)).tolist() == [[1, 2], [3, 1]]
    assert filled(np.array([1, 2]), (3,)).tolist() == [1, 2, 1]
