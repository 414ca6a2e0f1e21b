"""TensorFlow's proto classes for data, as `protos` has those for models: for requests and V1 checkpoints alone."""

from __future__ import annotations

from migrate.graph.protos import without_runtime

with without_runtime():
    from tensorflow.core.example.example_pb2 import Example, SequenceExample
    from tensorflow.core.protobuf.config_pb2 import ConfigProto, RunMetadata
    from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

__all__ = ["ConfigProto", "Example", "RunMetadata", "SavedTensorSlices", "SequenceExample"]
