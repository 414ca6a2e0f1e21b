from __future__ import annotations

import dataclasses

import pytest

from migrate.checks.operations import find_unavailable_ops
from migrate.given import GivenOp
from migrate.graph.nodes import Located
from migrate.graph.op_table import with_ops
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


@pytest.mark.parametrize(
    ("op", "advice"),
    [
        ("ZeroOut", "--op_library=LIBRARY.so"),
        ("WordpieceTokenizeWithOffsets", "--import_module=tensorflow_text"),
        ("TFText>RoundRobinTrim", "--import_module=tensorflow_text"),
        ("Addons>GatherTree", "--import_module=tensorflow_addons"),
        ("SimpleMLInferenceOp", "--import_module=tensorflow_decision_forests"),
        ("SentencepieceEncodeDense", "tf_sentencepiece"),
    ],
)
def test_an_op_of_another_library_has_a_hint_that_names_it(op, advice):
    (finding,) = find_unavailable_ops(_nodes(op))
    assert finding.code == "unknown-op" and advice in finding.hint


def test_no_finding_for_ops_of_libraries_that_are_given():
    given = GivenOp("ZeroOut", False, False, False, True, False, "float32", (("y", ""),))
    other = dataclasses.replace(given, name="Elsewhere", on_cpu=False, on_other_device=True)
    none = dataclasses.replace(given, name="Nowhere", on_cpu=False)
    with with_ops([given, other, none]):
        found = {f.message.split()[0]: f.code for f in find_unavailable_ops(_nodes("ZeroOut", "Elsewhere", "Nowhere"))}
    assert found == {"Elsewhere": "op-without-cpu-kernel", "Nowhere": "op-without-kernel"}
    assert [f.code for f in find_unavailable_ops(_nodes("ZeroOut"))] == ["unknown-op"]
