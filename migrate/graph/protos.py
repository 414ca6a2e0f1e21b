"""TensorFlow's proto classes, without TensorFlow's runtime.

The installed wheel's `*_pb2` files are plain generated modules, but importing one the ordinary way runs
`tensorflow/__init__.py` first (seconds). Here the parent package is a stub while they load, which leaves the
generated modules in `sys.modules` under their real names, so that a later `import tensorflow` uses the same
classes. This is the only module that knows the trick; those that few models need are in `data_protos`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator

from migrate.errors import InputError


@contextlib.contextmanager
def without_runtime() -> Iterator[None]:
    """Puts a stub package `tensorflow` in place of the real one while protos are imported."""
    if "tensorflow" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("migrate needs the protos of an installed tensorflow; run: pip install tensorflow")
    stub = types.ModuleType("tensorflow")
    stub.__path__ = list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = stub
    try:
        yield
    finally:
        del sys.modules["tensorflow"]


with without_runtime():
    from tensorflow.core.framework.attr_value_pb2 import AttrValue, NameAttrList
    from tensorflow.core.framework.function_pb2 import FunctionDef, FunctionDefLibrary
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.framework.op_def_pb2 import OpDef, OpList
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
    from tensorflow.core.framework.types_pb2 import DataType
    from tensorflow.core.framework.variable_pb2 import VariableDef
    from tensorflow.core.protobuf.meta_graph_pb2 import (
        AssetFileDef,
        CollectionDef,
        MetaGraphDef,
        SignatureDef,
        TensorInfo,
    )
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.core.protobuf.saver_pb2 import SaverDef
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph


def is_stored(meta_graph: MetaGraphDef) -> bool:
    """Whether something answers as a MetaGraphDef whose nodes are not parsed, see `stored`."""
    return not isinstance(meta_graph, MetaGraphDef)


def may_propose(meta_graph: MetaGraphDef) -> bool:
    """Whether there is memory to look for a signature to propose."""
    return not is_stored(meta_graph) or bool(meta_graph.may_propose)  # type: ignore[attr-defined]


def copied(meta_graph: MetaGraphDef) -> MetaGraphDef:
    """A copy, to be changed.

    Raises:
      InputError: it is stored, and is to be parsed as a whole first.
    """
    if is_stored(meta_graph):
        raise InputError(meta_graph.too_large)  # type: ignore[attr-defined]
    result = MetaGraphDef()
    result.CopyFrom(meta_graph)
    return result


__all__ = [
    "AssetFileDef",
    "AttrValue",
    "BundleEntryProto",
    "BundleHeaderProto",
    "CollectionDef",
    "DataType",
    "FunctionDef",
    "FunctionDefLibrary",
    "GraphDef",
    "MetaGraphDef",
    "NameAttrList",
    "NodeDef",
    "OpDef",
    "OpList",
    "SavedModel",
    "SaverDef",
    "SignatureDef",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
    "TrackableObjectGraph",
    "VariableDef",
    "copied",
    "is_stored",
    "may_propose",
    "without_runtime",
]
