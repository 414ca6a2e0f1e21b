from __future__ import annotations

import pytest

from migrate.checks.randomness import RANDOM_OPS, find_random_ops
from migrate.graph.nodes import Located
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef
from migrate.records import Severity


def _node(op: str, deterministic: bool | None = None) -> NodeDef:
    node = NodeDef(name="n", op=op)
    if deterministic is not None:
        node.attr["deterministic"].b = deterministic
    return node


@pytest.mark.parametrize(
    "node",
    [
        _node("StatelessRandomUniform"),
        _node("StatelessMultinomial"),
        _node("RandomGammaGrad"),
        _node("AllCandidateSampler"),
        _node("VarHandleOp"),
        _node("FractionalMaxPool", deterministic=True),
    ],
    ids=str,
)
def test_no_finding(node):
    assert find_random_ops([Located(node)]) == ()


@pytest.mark.parametrize(
    "node",
    [
        *(_node(op) for op in ("RandomUniform", "TruncatedNormal", "Multinomial", "RandomShuffle", "RandomCrop")),
        _node("FractionalMaxPool"),
        _node("FractionalAvgPool", deterministic=False),
    ],
    ids=str,
)
def test_findings(node):
    before = node.SerializeToString()
    (finding,) = find_random_ops([Located(node, "f")])
    assert (finding.code, finding.severity, finding.nodes) == ("random-op", Severity.NOTE, ("f/n",))
    assert node.SerializeToString() == before


def test_the_list_names_real_ops():
    assert load_op_table().keys() >= RANDOM_OPS
