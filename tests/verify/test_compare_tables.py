"""Which tables differ: they are told apart by what they hold. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.verify.calls import NO_VALUE, Fingerprint
from migrate.verify.compare_tables import compare_tables


def _table(digest, dtype="string:int64"):
    return Fingerprint(dtype, (2,), digest)


_A, _B, _OTHER = _table("a"), _table("b"), _table("a", "int64:string")


@pytest.mark.parametrize(
    ("golden", "found", "told"),
    [
        ({}, {"x": _A}, []),
        ({"t": _A, "u": _B}, {"x": _B, "y": _A}, []),
        ({"t": _A}, {"x": _B, "y": _A}, []),
        ({"t": _A}, {"x": _B}, ["t"]),
        ({"t": _A, "u": _A}, {"x": _A, "y": _B}, ["u"]),
        ({"t": _A, "u": _OTHER}, {"x": _A, "y": _table("c", "int64:string")}, ["u"]),
        # A table of the source that the candidate does without.
        ({"t": _A, "u": _B}, {"x": _A}, []),
        ({"t": _A}, {"x": _OTHER}, []),
        # Tables that nothing has filled.
        ({"t": NO_VALUE}, {"x": NO_VALUE}, []),
        ({"t": NO_VALUE}, {"x": _A}, ["t"]),
        ({"t": _A}, {"x": NO_VALUE}, ["t"]),
    ],
)
def test_a_table_is_missed_where_the_candidate_has_as_many(golden, found, told):
    assert [m.output for m in compare_tables(golden, {"tf2": found})] == told


def test_each_way_of_loading_is_told():
    differences = compare_tables({"t": _A}, {"tf2": {"x": _A}, "session": {"x": _B}})
    assert [(m.path, m.code) for m in differences] == [("session", "table-differs")]
