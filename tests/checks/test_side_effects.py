from __future__ import annotations

import pytest

from migrate.checks.nodes import Located
from migrate.checks.op_table import load_op_table
from migrate.checks.side_effects import CONTRIB_NETWORK_OPS, FILE_OPS, NETWORK_OPS, find_side_effects
from migrate.records import Severity
from migrate.sources.protos import NodeDef


def _node(op: str, **attrs) -> NodeDef:
    node = NodeDef(name="n", op=op)
    for name, value in attrs.items():
        if isinstance(value, list):
            node.attr[name].list.s.extend(value)
        else:
            node.attr[name].s = value
    return node


@pytest.mark.parametrize(
    "node",
    [
        _node("InitializeTableFromTextFile"),
        _node("InitializeTableFromTextFileV2"),
        _node("ScalarSummary"),
        _node("MergeSummary"),
        _node("ReadVariableOp"),
        _node("TensorArrayWriteV3"),
        _node("DecodeCSV"),
        _node("ShardedFilename"),
        _node("Print"),
        _node("PrintV2"),
        _node("PrintV2", output_stream=b"stderr"),
        _node("DebugIdentity"),
        _node("DebugNanCount", debug_urls=[]),
        _node("FixedUnigramCandidateSampler"),
        _node("FixedUnigramCandidateSampler", vocab_file=b""),
    ],
    ids=str,
)
def test_no_finding(node):
    before = node.SerializeToString()
    assert find_side_effects([Located(node)]) == ()
    assert node.SerializeToString() == before, "a check must not change the graph"


@pytest.mark.parametrize(
    ("node", "codes"),
    [
        (_node("ReadFile"), ["touches-files"]),
        (_node("SaveV2"), ["touches-files"]),
        (_node("TFRecordReaderV2"), ["touches-files"]),
        (_node("WriteScalarSummary"), ["touches-files"]),
        (_node("PrintV2", output_stream=b"file:///tmp/x"), ["touches-files"]),
        (_node("FixedUnigramCandidateSampler", vocab_file=b"words"), ["touches-files"]),
        (_node("Send"), ["touches-network"]),
        (_node("TryRpc"), ["touches-network"]),
        (_node("BigQueryReader"), ["touches-network"]),
        (_node("DebugIdentity", debug_urls=[b"grpc://host:1"]), ["touches-network"]),
        (
            _node("DebugIdentityV3", debug_urls=[b"grpc://h:1", b"file:///d"]),
            ["touches-files", "touches-network"],
        ),
    ],
    ids=str,
)
def test_findings(node, codes):
    findings = find_side_effects([Located(node)])
    assert [f.code for f in findings] == codes
    assert all(f.severity is Severity.WARNING and f.nodes == ("n",) for f in findings)


def test_nodes_are_gathered():
    nodes = [Located(NodeDef(name=n, op=op), w) for n, op, w in (("a", "ReadFile", ""), ("b", "WriteFile", "f"))]
    (finding,) = find_side_effects(iter(nodes))
    assert finding.nodes == ("a", "f/b")
    assert "ReadFile (1), WriteFile (1)" in finding.message


def test_the_lists_name_real_ops():
    assert load_op_table().keys() >= FILE_OPS | NETWORK_OPS
    assert not load_op_table().keys() & CONTRIB_NETWORK_OPS
    assert not FILE_OPS & NETWORK_OPS
