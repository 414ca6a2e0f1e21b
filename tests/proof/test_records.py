"""What is said of two proofs of one thing, and of two things together."""

from __future__ import annotations

import pytest

from migrate.proof.records import PROVED, NotProved, ProvedUnordered, both, either

OPEN, LOST = ProvedUnordered("a and b"), NotProved("x", "y", "another op")


@pytest.mark.parametrize(
    ("one", "other", "better", "worse"),
    [
        (PROVED, OPEN, PROVED, OPEN),
        (OPEN, LOST, OPEN, LOST),
        (PROVED, LOST, PROVED, LOST),
        (PROVED, PROVED, PROVED, PROVED),
    ],
)
def test_the_better_of_two_and_what_holds_of_both(one, other, better, worse):
    assert either(one, other) == either(other, one) == better
    assert both(one, other) == both(other, one) == worse


def test_of_two_that_are_alike_the_last_is_told_where_one_would_do_and_the_first_where_both_are_asked():
    more = NotProved("u", "v", "another attribute")
    assert either(LOST, more) == more
    assert both(LOST, more) == LOST
