"""Ops that touch files or the network when the model is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from migrate.checks.nodes import Located, by_op, labels, show_counts
from migrate.records import Finding, Severity
from migrate.sources.protos import NodeDef

# InitializeTableFromTextFile is in neither: it reads an asset, once, when the model is loaded.
FILE_OPS = frozenset(
    {
        # core/ops/io_ops.cc
        *("ReadFile", "WriteFile", "MatchingFiles"),
        *("Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2"),
        *("FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader", "TextLineReader"),
        *("TextLineReaderV2", "TFRecordReader", "TFRecordReaderV2", "WholeFileReader", "WholeFileReaderV2"),
        # core/ops/dataset_ops.cc, experimental_dataset_ops.cc
        *("CSVDataset", "CSVDatasetV2", "CacheDataset", "CacheDatasetV2", "DatasetToTFRecord"),
        *("ExperimentalCSVDataset", "ExperimentalDatasetToTFRecord", "ExperimentalLMDBDataset"),
        *("ExperimentalMatchingFilesDataset", "ExperimentalSqlDataset", "FixedLengthRecordDataset"),
        *("FixedLengthRecordDatasetV2", "LMDBDataset", "ListSnapshotChunksDataset", "LoadDataset"),
        *("MatchingFilesDataset", "SaveDataset", "SaveDatasetV2", "SnapshotChunkDataset", "SnapshotDataset"),
        *("SnapshotDatasetReader", "SnapshotDatasetV2", "SnapshotNestedDatasetReader", "SqlDataset"),
        *("TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset", "DistributedSave"),
        # core/ops/summary_ops.cc: the writers; a summary op such as ScalarSummary only makes a string.
        *("CloseSummaryWriter", "CreateSummaryDbWriter", "CreateSummaryFileWriter", "FlushSummaryWriter"),
        *("ImportEvent", "StatsAggregatorSetSummaryWriter", "SummaryWriter", "WriteAudioSummary"),
        *("WriteGraphSummary", "WriteHistogramSummary", "WriteImageSummary", "WriteRawProtoSummary"),
        *("WriteScalarSummary", "WriteSummary"),
        # checkpoint_ops.cc, data_flow_ops.cc, word2vec_ops.cc, debug_ops.cc and others
        *("GenerateVocabRemapping", "LoadAndRemapMatrix", "RecordInput", "Skipgram", "DumpTensor"),
        *("CalibrationStatisticsSaver", "DebugIdentityV2", "DTensorRestoreV2", "FileSystemSetConfiguration"),
    }
)

NETWORK_OPS = frozenset(
    {
        # core/ops/sendrecv_ops.cc, collective_ops.cc, rpc_ops.cc, data_service_ops.cc, functional_ops.cc
        *("Send", "Recv", "_Send", "_Recv", "_HostSend", "_HostRecv", "RemoteCall"),
        *("CollectiveAllToAllV2", "CollectiveAllToAllV3", "CollectiveAssignGroupV2", "CollectiveBcastRecv"),
        *("CollectiveBcastRecvV2", "CollectiveBcastSend", "CollectiveBcastSendV2", "CollectiveGather"),
        *("CollectiveGatherV2", "CollectiveInitializeCommunicator", "CollectivePermute", "CollectiveReduce"),
        *("CollectiveReduceScatterV2", "CollectiveReduceV2", "CollectiveReduceV3"),
        *("RpcCall", "RpcClient", "RpcServer", "RpcServerRegister", "RpcServerStart"),
        *("DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4"),
        *("RegisterDataset", "RegisterDatasetV2", "WorkerHeartbeat"),
    }
)

CONTRIB_NETWORK_OPS = frozenset(
    {
        # tf.contrib of TF 1.x (cloud, bigtable, kafka, kinesis, pubsub, ignite, rpc); none is in TF 2.
        *("BigQueryReader", "GenerateBigQueryReaderPartitions", "GcsConfigureBlockCache"),
        *("GcsConfigureCredentials", "BigtableClient", "BigtableTable", "BigtableLookupDataset"),
        *("BigtablePrefixKeyDataset", "BigtableRangeKeyDataset", "BigtableSampleKeysDataset"),
        *("BigtableSampleKeyPairsDataset", "BigtableScanDataset", "DatasetToBigtable", "KafkaDataset"),
        *("KinesisDataset", "PubSubDataset", "IgniteDataset", "Rpc", "TryRpc"),
    }
)

_DEBUG_OPS = frozenset({"DebugIdentity", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"})
"""core/ops/debug_ops.cc: they publish what they see to each of `debug_urls`."""


_SUSPECTS = FILE_OPS | NETWORK_OPS | CONTRIB_NETWORK_OPS | _DEBUG_OPS | {"FixedUnigramCandidateSampler", "PrintV2"}
"""Ops that may do either, depending on their attributes."""


def find_side_effects(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds nodes that read or write files, or talk to another machine, whenever a signature is called.

    Such a model answers as its surroundings do; replaying its calls would touch them.

    Args:
      nodes: the nodes that are needed by a signature.

    Returns:
      At most one warning `touches-files` and one `touches-network`.
    """
    nodes = tuple(located for located in nodes if located.node.op in _SUSPECTS)
    if not nodes:
        return ()
    return (
        *_warn("touches-files", "reads or writes files", _touches_files, nodes),
        *_warn("touches-network", "talks to other processes or machines", _touches_network, nodes),
    )


def _warn(code: str, what: str, touches: Callable[[NodeDef], bool], nodes: tuple[Located, ...]) -> tuple[Finding, ...]:
    found = [located for located in nodes if touches(located.node)]
    if not found:
        return ()
    counts = {op: len(group) for op, group in by_op(found).items()}
    return (
        Finding(
            code,
            Severity.WARNING,
            f"The model {what} when it is called: {show_counts(counts)}.",
            labels(found),
            "Verification calls it only with --allow_side_effects.",
        ),
    )


def _touches_files(node: NodeDef) -> bool:
    if node.op in FILE_OPS:
        return True
    if node.op == "FixedUnigramCandidateSampler":
        return bool(node.attr["vocab_file"].s) if "vocab_file" in node.attr else False
    if node.op == "PrintV2":
        return "output_stream" in node.attr and node.attr["output_stream"].s.startswith(b"file://")
    return any(url.startswith(b"file://") for url in _debug_urls(node))


def _touches_network(node: NodeDef) -> bool:
    if node.op in NETWORK_OPS or node.op in CONTRIB_NETWORK_OPS:
        return True
    return any(url.startswith(b"grpc://") for url in _debug_urls(node))


def _debug_urls(node: NodeDef) -> tuple[bytes, ...]:
    if node.op not in _DEBUG_OPS or "debug_urls" not in node.attr:
        return ()
    return tuple(node.attr["debug_urls"].list.s)
