from __future__ import annotations

import pytest

from migrate.checks.networks import find_networks
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef


@pytest.mark.parametrize("op", ["LSTMBlockCell", "CudnnRNNCanonicalToParams"])
def test_no_finding(op):
    assert find_networks([Located(NodeDef(name="n", op=op))]) == ()


@pytest.mark.parametrize("op", ["CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"])
def test_a_network(op):
    (finding,) = find_networks([Located(NodeDef(name="a", op="Add")), Located(NodeDef(name="n", op=op))])
    assert finding.code == "cudnn-replaced" and finding.nodes == ("n",)
