"""TensorFlow's proto classes that few models need: for requests, V1 checkpoints, contexts of loops and conds."""

from __future__ import annotations

from migrate.graph.protos import without_runtime

with without_runtime():
    from tensorflow.core.example.example_pb2 import Example, SequenceExample
    from tensorflow.core.protobuf.config_pb2 import ConfigProto, RunMetadata
    from tensorflow.core.protobuf.control_flow_pb2 import CondContextDef, WhileContextDef
    from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

__all__ = [
    "CondContextDef",
    "ConfigProto",
    "Example",
    "RunMetadata",
    "SavedTensorSlices",
    "SequenceExample",
    "WhileContextDef",
]
