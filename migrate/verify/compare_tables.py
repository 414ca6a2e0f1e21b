"""Compares what the lookup tables of a source and a candidate hold after the same calls. No TensorFlow."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping

from migrate.records import Mismatch
from migrate.verify.calls import NO_VALUE, Fingerprint
from migrate.verify.differences import mismatch

_HOLDS = "after the calls no table of the candidate holds what this one does"


def compare_tables(
    golden: Mapping[str, Fingerprint], candidate: Mapping[str, Mapping[str, Fingerprint]]
) -> Iterator[Mismatch]:
    """Compares tables by their contents, which also tell which is which: the exporter gives them names of its own.

    A candidate with fewer tables of some dtypes looks things up in another way, which calls show.

    Args:
      golden: of the source, by name; those that calls need.
      candidate: of the candidate, by way of loading and name.
    """
    for way, tables in candidate.items():
        found = collections.Counter(tables.values())
        for name, expected in golden.items():
            if found[expected]:
                found[expected] -= 1
            elif _are_enough(expected, golden, tables):
                yield mismatch("table-differs", way, _HOLDS, "", name)


def _are_enough(expected: Fingerprint, golden: Mapping[str, Fingerprint], tables: Mapping[str, Fingerprint]) -> bool:
    """Whether the candidate has as many tables of these dtypes; a table without a value may be of any."""
    if expected == NO_VALUE:
        return len(tables) >= len(golden)
    wanted = sum(other.dtype == expected.dtype for other in golden.values())
    return sum(other.dtype == expected.dtype or other == NO_VALUE for other in tables.values()) >= wanted
