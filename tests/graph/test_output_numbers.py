"""Which output of a node a tensor is."""

from __future__ import annotations

import pytest

from migrate.graph.output_numbers import first_number, output_number
from migrate.graph.protos import NodeDef


def _split(**attributes: str | int) -> NodeDef:
    node = NodeDef(name="s", op="SparseSplit")
    for key, value in attributes.items():
        if isinstance(value, str):
            node.attr[key].placeholder = value
        else:
            node.attr[key].i = value
    return node


@pytest.mark.parametrize(
    ("tensor", "number"),
    [("s", 0), ("s:4", 4), ("s:output_indices:1", 1), ("s:output_values:1", 4), ("s:output_shape:0", 6)],
)
def test_outputs_of_several_tensors_are_counted(tensor: str, number: int) -> None:
    assert output_number(tensor, _split(num_split=3)) == number


@pytest.mark.parametrize("tensor", ["s:other:0", "s:output_values:x", "s:x"])
def test_what_no_output_is(tensor: str) -> None:
    assert output_number(tensor, _split(num_split=3)) is None


def test_how_many_there_are_may_be_open() -> None:
    assert first_number("output_indices", _split()) == 0
    assert first_number("output_values", _split()) is None
    assert first_number("output_values", _split(num_split="N")) is None


def test_an_op_that_nobody_knows_has_one_output() -> None:
    node = NodeDef(name="n", op="NobodyKnowsIt")
    assert first_number("any", node) == 0
    assert (output_number("n", node), output_number("n:1", node), output_number("n:any:0", node)) == (0, 1, None)
