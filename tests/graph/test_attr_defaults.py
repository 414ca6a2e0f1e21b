"""The table of defaults comes from TensorFlow's own registries."""

from __future__ import annotations

import pathlib

import pytest

from migrate.graph.attr_defaults import defaults, encoded, has_functions
from migrate.graph.protos import AttrValue

TABLE = pathlib.Path(__file__).parent.parent.parent / "migrate" / "graph" / "attr_defaults.tsv"


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


@pytest.mark.parametrize("given", [{"i": 0}, {"b": False}, {"s": b""}, {"f": 0.0}, {"type": 1}])
def test_values_of_two_kinds_are_never_equal(given):
    others = [AttrValue(**other) for other in ({"i": 1}, {"b": True}, {"s": b"1"}, {"f": 1.0}, {"type": 2}, {})]
    assert encoded(AttrValue(**given)) not in [encoded(other) for other in others]
    assert encoded(AttrValue(**given)) == encoded(AttrValue(**given))


def test_types_in_a_list_are_those_of_refs():
    lists = AttrValue(), AttrValue()
    lists[0].list.type.extend([1, 3])
    lists[1].list.type.extend([101, 103])
    assert encoded(lists[0]) == encoded(lists[1])


def test_a_function_is_seen_alone_and_in_a_list():
    one, several, none = AttrValue(), AttrValue(), AttrValue(s=b"f")
    one.func.name = "f"
    several.list.func.add(name="f")
    assert has_functions(one) and has_functions(several) and not has_functions(none)
