from __future__ import annotations

import pytest

from migrate.checks.effects import ATTRIBUTE_DECIDES, HARMLESS
from migrate.checks.side_effects import RISKS, dangerous_effect, find_side_effects
from migrate.finding_codes import explanations
from migrate.graph.nodes import Located, locate
from migrate.graph.op_table import EFFECTS, load_op_table, newest_release
from migrate.graph.protos import FunctionDefLibrary, NodeDef
from migrate.records import Severity
from tests.checks.graphs import text_node


@pytest.mark.parametrize(
    "node",
    [
        text_node("ScalarSummary"),
        text_node("MergeSummary"),
        text_node("ReadVariableOp"),
        text_node("TensorArrayWriteV3"),
        text_node("LookupTableFindV2"),
        text_node("DecodeCSV"),
        text_node("ParseExampleV2"),
        text_node("ShardedFilename"),
        text_node("RandomUniform"),
        text_node("Assert"),
        text_node("Print"),
        text_node("PrintV2"),
        *(
            text_node("PrintV2", output_stream=stream)
            for stream in (b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)")
        ),
        text_node("DebugIdentity"),
        text_node("DebugIdentityV2"),
        text_node("DebugNanCount", debug_urls=[]),
        text_node("FixedUnigramCandidateSampler"),
        text_node("FixedUnigramCandidateSampler", vocab_file=b""),
        text_node("DecodeProtoV2"),
        text_node("DecodeProtoV2", descriptor_source=b"local://"),
        text_node("EncodeProto", descriptor_source=b"bytes://\n\x00"),
        text_node("StatefulPartitionedCall"),
        text_node("While"),
    ],
    ids=str,
)
def test_no_finding(node):
    before = node.SerializeToString()
    assert find_side_effects([Located(node)]) == ()
    assert node.SerializeToString() == before, "a check must not change the graph"


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (text_node("ReadFile"), "touches-files"),
        (text_node("SaveV2"), "touches-files"),
        (text_node("MergeV2Checkpoints"), "touches-files"),
        (text_node("TFRecordReaderV2"), "touches-files"),
        (text_node("ImmutableConst"), "touches-files"),
        (text_node("InitializeTableFromTextFileV2"), "touches-files"),
        (text_node("WriteScalarSummary"), "touches-files"),
        (text_node("PrintV2", output_stream=b"file:///tmp/x"), "touches-files"),
        (text_node("PrintV2", output_stream=b"FILE:///tmp/x"), "touches-files"),
        (text_node("PrintV2", output_stream=b"STDOUT"), "touches-files"),
        (text_node("PrintV2", output_stream=b""), "touches-files"),
        (text_node("FixedUnigramCandidateSampler", vocab_file=b"words"), "touches-files"),
        (text_node("DecodeProtoV2", descriptor_source=b"/any/file"), "touches-files"),
        (text_node("DecodeProtoV2", descriptor_source=b"local:///any/file"), "touches-files"),
        (text_node("EncodeProto", descriptor_source=b"BYTES://"), "touches-files"),
        *(
            (text_node(op, debug_urls=[url]), "touches-files")
            for op in ("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary")
            for url in (b"file:///d", b"FILE:///d", b"grpc://host:1", b"memcbk:///d", b"")
        ),
        (text_node("Send"), "touches-network"),
        (text_node("RemoteCall"), "touches-network"),
        (text_node("DataServiceDatasetV4"), "touches-network"),
        (text_node("CollectiveReduceV2"), "touches-network"),
        (text_node("Abort"), "acts-on-process"),
        (text_node("DatasetFromGraph"), "acts-on-process"),
        (text_node("FileSystemSetConfiguration"), "acts-on-process"),
        (text_node("XlaCallModule"), "acts-on-process"),
        (text_node("ConfigureDistributedTPU"), "uses-accelerator"),
        (text_node("RiscAdd"), "effect-unknown"),
        (text_node("TryRpc"), "effect-unknown"),
        (text_node("BigQueryReader"), "effect-unknown"),
    ],
    ids=str,
)
def test_findings(node, code):
    (finding,) = find_side_effects([Located(node)])
    assert (finding.code, finding.severity, finding.nodes) == (code, Severity.WARNING, ("n",))


def test_an_op_that_the_table_does_not_have():
    (finding,) = find_side_effects([Located(text_node("FromTheFuture")), Located(text_node("MatMul"))])
    assert finding.message == (
        "The model runs ops whose effects this version does not know when it is called: FromTheFuture (1); "
        f"this version knows TensorFlow up to {newest_release()}."
    )
    assert find_side_effects([Located(text_node("a_function"))], functions=["a_function"]) == ()


def test_an_init_op_may_read_a_table_and_nothing_else():
    fill, write = (Located(NodeDef(name=op, op=op)) for op in ("InitializeTableFromTextFileV2", "WriteFile"))
    (finding,) = find_side_effects([fill, write], called=lambda: [])
    assert finding.nodes == ("WriteFile",)
    assert find_side_effects([fill], called=lambda: []) == ()
    # What a signature reaches, too, is read in a call; so is what is left where nothing is loaded.
    assert find_side_effects([fill], called=lambda: [fill])[0].nodes == ("InitializeTableFromTextFileV2",)
    assert find_side_effects([fill])[0].nodes == ("InitializeTableFromTextFileV2",)


def test_nodes_are_gathered():
    nodes = [Located(NodeDef(name=n, op=op), w) for n, op, w in (("a", "ReadFile", ""), ("b", "WriteFile", "f"))]
    (finding,) = find_side_effects(nodes)
    assert finding.nodes == ("a", "f/b")
    assert "ReadFile (1), WriteFile (1)" in finding.message


def test_a_file_op_in_a_function_of_a_function_attribute_of_a_function():
    """`attr.func.attr` at any depth: a lookup through the outer function alone does not see WriteFile."""
    library = FunctionDefLibrary()
    for name, op in (("outer", "MatMul"), ("middle", "MatMul"), ("inner", "WriteFile")):
        function = library.function.add()
        function.signature.name = name
        function.node_def.add(name="n", op=op)
    call = NodeDef(name="call", op="MapDataset")
    outer = call.attr["f"].func
    outer.name = "outer"
    middle = outer.attr["g"].list.func.add(name="middle")
    middle.attr["h"].func.name = "inner"
    (finding,) = find_side_effects(locate([call], library))
    assert (finding.code, finding.nodes) == ("touches-files", ("inner/n",))


def test_the_gradient_of_a_called_function():
    library = FunctionDefLibrary()
    for name, op in (("f", "MatMul"), ("f_grad", "WriteFile")):
        function = library.function.add()
        function.signature.name = name
        function.node_def.add(name="n", op=op)
    library.gradient.add(function_name="f", gradient_func="f_grad")
    call = NodeDef(name="call", op="SymbolicGradient")
    call.attr["f"].func.name = "f"
    (finding,) = find_side_effects(locate([call], library))
    assert finding.nodes == ("f_grad/n",)


def test_only_harmless_effects_are_harmless():
    table = load_op_table()
    assert EFFECTS.keys() >= HARMLESS
    for op, info in table.items():
        effect = dangerous_effect(text_node(op))
        if op not in ATTRIBUTE_DECIDES:
            assert effect == (None if info.effect in HARMLESS else info.effect), op


def test_each_risk_is_a_code():
    assert explanations().keys() >= RISKS


@pytest.mark.parametrize(
    "op",
    [
        *("Skipgram", "RecordInput", "ImmutableConst", "LoadAndRemapMatrix", "GenerateVocabRemapping", "LMDBDataset"),
        *("SqlDataset", "SnapshotDatasetV2", "CacheDatasetV2", "SaveDatasetV2", "ImportEvent", "LoadDataset"),
        *("CreateSummaryFileWriter", "StatsAggregatorSetSummaryWriter", "RegisterDataset", "RpcServerStart"),
        *("DeserializeIterator", "CalibrationStatisticsSaver", "DumpTensor", "InfeedEnqueue", "EagerPyFunc"),
        *("TRTEngineOp", "WorkerHeartbeat", "TPUExecute", "NcclAllReduce", "DTensorRestoreV2", "XlaHostCompute"),
    ],
)
def test_ops_that_must_never_be_called_harmless(op):
    assert dangerous_effect(text_node(op)) is not None
