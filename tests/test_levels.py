"""How much is compared."""

from __future__ import annotations

import pytest

from migrate.levels import LEVELS, MEANINGS, level_of, reaches


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_does_what_those_before_it_do(level):
    place = LEVELS.index(level)
    assert [reaches(level, other) for other in LEVELS] == [number <= place for number in range(len(LEVELS))]
    assert level_of(level) == level and MEANINGS[level]


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (True, LEVELS[-1]),
        (False, LEVELS[0]),
        ("True", LEVELS[-1]),
        ("f", LEVELS[0]),
        ("1", LEVELS[-1]),
        ("0", LEVELS[0]),
    ],
)
def test_a_switch_is_the_most_or_the_least(value, level):
    assert level_of(value) == level


@pytest.mark.parametrize("value", [1, 0, None, "", "yes", "Full", 1.0, b"full"])
def test_what_names_no_level(value):
    assert level_of(value) is None
