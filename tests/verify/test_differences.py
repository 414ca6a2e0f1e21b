"""How differences are made."""

from __future__ import annotations

import pytest

from migrate.finding_codes import explanations_of
from migrate.records import CLIENTS, Mismatch
from migrate.verify.differences import mismatch


def test_a_code_says_whom_a_difference_breaks():
    expected = Mismatch("s", 3, "y", "tf2", "is gone", "output-missing", CLIENTS)
    assert mismatch("output-missing", "tf2", "is gone", "s", "y", 3) == expected
    assert mismatch("method-name-differs", "contract", "differs").clients == ("Serving REST", "gRPC")


@pytest.mark.parametrize("code", explanations_of("verify"))
def test_each_code_can_be_made(code):
    made = mismatch(code, "contract", "differs")
    assert (made.code, made.signature, made.call, made.output) == (code, "", -1, "")
    assert made.is_note is (not made.clients)


def test_a_code_that_the_table_does_not_have_is_an_error():
    with pytest.raises(KeyError):
        mismatch("never-heard-of", "contract", "differs")
