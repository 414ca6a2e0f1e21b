"""Attributes: their defaults come from TensorFlow's own registries."""

from __future__ import annotations

from migrate.graph.protos import AttrValue
from migrate.proof.attributes import canonical


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
