from __future__ import annotations

import pytest

from migrate.checks.operations import find_unavailable_ops
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef
from migrate.records import Severity


def _nodes(*ops: str) -> list[Located]:
    return [Located(NodeDef(name=f"n{i}", op=op)) for i, op in enumerate(ops)]


RUN_WITHOUT_ORDINARY_KERNELS = (
    *("Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "NoOp", "ControlTrigger", "_Arg", "_Retval"),
    *("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case"),
    *(
        "StatelessCase",
        "For",
        "RemoteCall",
        "FakeParam",
        "Switch",
        "Merge",
        "Enter",
        "Exit",
    ),
    *(
        "NextIteration",
        "LoopCond",
        "RefSwitch",
        "RefEnter",
        "ParallelConcat",
        "IdentityN",
        "Assert",
        "MapDataset",
    ),
    *("VariableV2", "Variable", "TemporaryVariable", "HashTable", "Print", "VarHandleOp", "PyFunc", "Const"),
)


@pytest.mark.parametrize("op", RUN_WITHOUT_ORDINARY_KERNELS)
def test_no_finding(op):
    assert find_unavailable_ops(_nodes(op)) == ()


def test_no_finding_for_functions_and_what_is_rewritten():
    assert find_unavailable_ops(_nodes("my_function_12", "TensorArray"), {"my_function_12"}, {"TensorArray"}) == ()


@pytest.mark.parametrize(
    ("op", "code", "severity"),
    [
        ("BucketizeWithInputBoundaries", "unknown-op", Severity.REFUSAL),
        ("TRTEngineOp", "unknown-op", Severity.REFUSAL),
        ("BoostedTreesBucketize", "op-without-kernel", Severity.REFUSAL),
        ("AccumulateNV2", "op-without-kernel", Severity.REFUSAL),
        ("TPUReplicateMetadata", "op-without-kernel", Severity.REFUSAL),
        ("CudnnRNN", "op-without-cpu-kernel", Severity.WARNING),
        ("OneShotIterator", "op-not-in-functions", Severity.REFUSAL),
        ("SymbolicGradient", "op-not-in-functions", Severity.REFUSAL),
        ("TopK", "op-deprecated", Severity.REFUSAL),
        ("RandomPoisson", "op-deprecated", Severity.REFUSAL),
    ],
)
def test_findings(op, code, severity):
    (finding,) = find_unavailable_ops(_nodes("Add", op, op))
    assert (finding.code, finding.severity, finding.nodes) == (code, severity, ("n1", "n2"))
    assert finding.message.startswith(f"{op} (2 nodes) ")
    assert finding.hint


def test_one_finding_an_op():
    assert [f.code for f in find_unavailable_ops(_nodes("ZeroOut", "TopK", "Add", "ZeroOut"))] == [
        "op-deprecated",
        "unknown-op",
    ]
