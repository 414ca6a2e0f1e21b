"""What an op may do beside computing its outputs, and where it takes the names of files from.

Whoever asks decides: what a model runs while it is loaded, and what TensorFlow evaluates while it imports a graph, is
judged by the op's effect, and by whether the file names that it takes are the model's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from migrate.graph.op_table import EFFECTS, added_ops, load_op_table, of_tensorflow
from migrate.graph.protos import NodeDef

HARMLESS = frozenset({"calls", "prints", "pure", "random", "state"})
"""Effects that nothing outside the process sees but its standard output; `calls` means what the functions do."""

UNKNOWN = "unknown"
"""The effect of an op that no table has."""

NAMED_FILES: Mapping[str, tuple[int, ...]] = {
    "CSVDataset": (0,),
    "CSVDatasetV2": (0,),
    "ExperimentalCSVDataset": (0,),
    "FixedLengthRecordDataset": (0,),
    "FixedLengthRecordDatasetV2": (0,),
    "GenerateVocabRemapping": (0, 1),
    "InitializeTableFromTextFile": (1,),
    "InitializeTableFromTextFileV2": (1,),
    "LoadAndRemapMatrix": (0,),
    "MatchingFiles": (0,),
    "ReadFile": (0,),
    "Restore": (0,),
    "RestoreSlice": (0,),
    "RestoreV2": (0,),
    "TFRecordDataset": (0,),
    "TFRecordDatasetV2": (0,),
    "TextLineDataset": (0,),
}
"""Ops that read the files which these arguments name, and do nothing else outside the process."""

NAMING_ATTRIBUTES: Mapping[str, str] = {
    "DecodeProtoV2": "descriptor_source",
    "EncodeProto": "descriptor_source",
    "FixedUnigramCandidateSampler": "vocab_file",
    "ImmutableConst": "memory_region_name",
    "PrintV2": "output_stream",
    "RecordInput": "file_pattern",
    "Skipgram": "filename",
}
"""Attributes that may name a file; without one the op has no effects. No loader puts the path of an asset there."""

_DEBUG_OPS = frozenset({"DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"})
"""Ops that publish what they take to each of their `debug_urls` (debug_io_utils.cc)."""

_STREAMS = frozenset({b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)"})
"""The streams of PrintV2 that are no file (core/kernels/logging_ops.cc, valid_output_streams_)."""


def _is_own_descriptor(source: bytes) -> bool:
    """Whether the messages' descriptors are linked in or in the attribute itself (core/util/proto/descriptors.cc)."""
    return source in (b"", b"local://") or source.startswith(b"bytes://")


_HARMLESS_WHEN: Mapping[str, Callable[[bytes], bool]] = {
    "DecodeProtoV2": _is_own_descriptor,
    "EncodeProto": _is_own_descriptor,
    "FixedUnigramCandidateSampler": lambda name: not name,
    "PrintV2": lambda stream: stream in _STREAMS,
}
"""Ops that are harmless while their naming attribute is missing or has such a value."""

ATTRIBUTE_DECIDES = _HARMLESS_WHEN.keys() | _DEBUG_OPS
"""Ops that are dangerous in the table of ops, and harmless where an attribute says so."""


_OF_TF1: Mapping[str, str] = {
    "AdjustHsvInYiq": "pure",  # contrib/image/kernels/adjust_hsv_in_yiq_op.cc
    "BucketizeWithInputBoundaries": "pure",  # contrib/boosted_trees/kernels/quantile_ops.cc
    "CompareAndBitpack": "pure",  # core/kernels/compare_and_bitpack_op.cc
    "CreateTreeEnsembleVariable": "state",  # contrib/boosted_trees/kernels/model_ops.cc
    "DecisionTreeEnsembleResourceHandleOp": "state",  # the same
    "FusedConv2DBiasActivation": "pure",  # contrib/fused_conv/kernels/fused_conv2d_bias_activation_op.cc
    "GatherTree": "pure",  # contrib/seq2seq/kernels/beam_search_ops.cc
    "GradientTreesPartitionExamples": "state",  # contrib/boosted_trees/kernels/prediction_ops.cc: it reads trees
    "GradientTreesPrediction": "state",  # the same
    "GradientTreesPredictionVerbose": "state",  # the same
    "ImageConnectedComponents": "pure",  # contrib/image/kernels/segmentation_ops.cc
    "ImageProjectiveTransform": "pure",  # contrib/image/kernels/image_ops.cc
    "PeriodicResample": "pure",  # contrib/periodic_resample/kernels/periodic_resample_op.cc
    "Quantiles": "pure",  # contrib/boosted_trees/kernels/quantile_ops.cc
    "ReduceSliceMax": "pure",  # contrib/reduce_slice_ops/kernels/reduce_slice_ops.cc
    "ReduceSliceMin": "pure",  # the same
    "ReduceSliceProd": "pure",  # the same
    "ReduceSliceSum": "pure",  # the same
    "Resampler": "pure",  # contrib/resampler/kernels/resampler_ops.cc
    "SparseFeatureCross": "pure",  # contrib/layers/kernels/sparse_feature_cross_kernel.cc
    "SparseFeatureCrossV2": "pure",  # the same
    "TreeEnsembleDeserialize": "state",  # contrib/boosted_trees/kernels/model_ops.cc
    "TreeEnsembleIsInitializedOp": "state",  # the same
    "TreeEnsembleSerialize": "state",  # the same
    "TreeEnsembleStampToken": "state",  # the same
    "TreeEnsembleStats": "state",  # contrib/boosted_trees/kernels/training_ops.cc
    "TreePredictionsV4": "state",  # contrib/tensor_forest/kernels/model_ops.cc: it reads a tree
}
"""What ops of TensorFlow 1 do that no TensorFlow 2 has and whose kernels were read."""


def effect(op: str) -> str:
    """What an op of TensorFlow's does, a key of `op_table.EFFECTS`; `UNKNOWN` for one that nobody has read.

    An op of a library that the user gives does what its OpDef says: loading the library was the user's word.
    """
    added = added_ops()
    return added[op].effect if op in added else _effect(op)


@functools.lru_cache(maxsize=4096)  # A stranger's graph may have any number of names.
def _effect(op: str) -> str:
    info = of_tensorflow().get(op)
    return _OF_TF1.get(op, UNKNOWN) if info is None else info.effect


def effect_of(node: NodeDef) -> str:
    """What a node does: less than its op may do, where an attribute says so.

    The name of a function is no op: it is for the caller to tell the two apart.
    """
    if node.op in _HARMLESS_WHEN:
        key = NAMING_ATTRIBUTES[node.op]
        if key not in node.attr or _HARMLESS_WHEN[node.op](node.attr[key].s):
            return "pure"
    if node.op in _DEBUG_OPS and not ("debug_urls" in node.attr and node.attr["debug_urls"].list.s):
        return "pure"
    return effect(node.op)


def words(effect: str) -> str:
    """The rest of a sentence that starts with the name of an op that has an effect."""
    return EFFECTS.get(effect, "is an op that this version does not know")


def file_in_attribute(node: NodeDef) -> str:
    """The file that a node's attribute names, or empty."""
    key = NAMING_ATTRIBUTES.get(node.op)
    if key is None or key not in node.attr:  # `in` first: reading a map's missing key makes it.
        return ""
    name: bytes = node.attr[key].s
    is_none = _HARMLESS_WHEN.get(node.op)
    return "" if is_none is not None and is_none(name) else name.decode("utf-8", "replace")


def is_evaluated_on_import(node: NodeDef) -> bool:
    """Whether TensorFlow may run a node while it imports its graph, given that all its inputs are constants.

    Shape inference runs what it takes for a constant (eval_const_tensor.cc), and so does the conversion of a graph for
    a Session. It leaves stateful ops alone.
    """
    info = load_op_table().get(node.op)
    # What gives nothing is no constant.
    return info is not None and not info.is_stateful and bool(info.dtypes)
