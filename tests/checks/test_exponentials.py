from __future__ import annotations

import pytest

from migrate.checks.exponentials import LARGEST, find_exponentials
from migrate.graph.dtypes import dtype_value
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef


def _nodes(size: int | None, dtype: str = "float32", op: str = "MatrixExponential") -> list[Located]:
    given = NodeDef(name="x", op="Placeholder")
    if size is None:
        given.attr["shape"].shape.unknown_rank = True
    else:
        for _ in range(2):
            given.attr["shape"].shape.dim.add(size=size)
    taken = NodeDef(name="y", op=op, input=["x"])
    taken.attr["T"].type = dtype_value(dtype)
    return [Located(given, "f"), Located(taken, "f")]


@pytest.mark.parametrize("size", [LARGEST + 1, -1, None])
def test_matrices_that_may_be_large(size):
    (finding,) = find_exponentials(_nodes(size))
    assert finding.code == "rounds-differently" and finding.nodes == ("f/y",)
    assert "--judge=tf1" in finding.hint


@pytest.mark.parametrize(
    "nodes", [_nodes(LARGEST), _nodes(0), _nodes(30, "float64"), _nodes(30, "complex64"), _nodes(30, op="Square")]
)
def test_no_finding(nodes):
    assert find_exponentials(nodes) == ()


def test_a_matrix_that_another_node_makes_may_be_large():
    (finding,) = find_exponentials(_nodes(4)[1:])
    assert finding.nodes == ("f/y",)
