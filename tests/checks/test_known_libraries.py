"""Ops are known to belong to libraries by their names alone. No TensorFlow."""

from __future__ import annotations

from migrate.checks.known_libraries import LIBRARIES, library_of
from migrate.graph.op_table import of_tensorflow


def test_no_op_of_tensorflow_is_taken_for_one_of_another_library():
    assert [op for op in of_tensorflow() if library_of(op) is not None] == []


def test_an_op_is_of_one_library():
    for library in LIBRARIES:
        for op in library.ops | {prefix + "Op" for prefix in library.prefixes}:
            assert library_of(op) is library
    assert library_of("ZeroOut") is None
