"""Attributes: their defaults come from TensorFlow's own registries."""

from __future__ import annotations

import pathlib

import pytest

from migrate.graph.protos import AttrValue
from migrate.proof.attributes import canonical, defaults

TABLE = pathlib.Path(__file__).parent.parent.parent / "migrate" / "graph" / "attr_defaults.tsv"


def attrs(**given):
    return {key: AttrValue(**value) for key, value in given.items()}


def test_a_default_is_filled_in():
    given = attrs(transpose_a={"b": False}, transpose_b={"b": False}, T={"type": 1})
    assert canonical("MatMul", "MatMul", attrs(T={"type": 1}), {}, frozenset()) == canonical(
        "MatMul", "MatMul", given, {}, frozenset()
    )


def test_a_ref_dtype_is_its_dtype():
    one, other = attrs(T={"type": 101}), attrs(T={"type": 1})
    assert canonical("Neg", "Neg", one, {}, frozenset()) == canonical("Neg", "Neg", other, {}, frozenset())


def test_an_attribute_of_the_twin_has_the_twins_default():
    found = dict(canonical("TensorArrayV2", "TensorArrayV3", attrs(), {}, frozenset()))
    assert "identical_element_shapes" in found


def test_an_op_without_defaults_has_none():
    assert defaults("NoOp") == {}
    assert defaults("NoSuchOp") == {}


def test_no_release_has_a_default_of_its_own():
    for line in TABLE.read_text().splitlines()[1:]:
        op, attr, *cells = line.split("\t")
        assert len({cell for cell in cells if cell not in ("", "-")}) < 2, (op, attr)


@pytest.mark.parametrize("op", ["MatMul", "Assign", "AssignVariableOp", "While", "FusedBatchNormV3"])
def test_the_table_knows_ordinary_ops(op):
    assert defaults(op)
