"""What a client may rely on: signatures, init op, assets and trainable variables of a MetaGraphDef."""

from __future__ import annotations

import contextlib
import sys

from google.protobuf.message import DecodeError

from migrate.graph.dtypes import base_name
from migrate.graph.protos import (
    AssetFileDef,
    MetaGraphDef,
    SignatureDef,
    TensorInfo,
    TensorShapeProto,
    VariableDef,
)
from migrate.records import Shape, Signature, TensorSpec

INIT_KEY = "__saved_model_init_op"
TRAIN_KEY = "__saved_model_train_op"
RESERVED_KEYS = frozenset({INIT_KEY, TRAIN_KEY})
"""Keys under which TensorFlow files ops as signatures (saved_model/constants.py); no client calls them."""


def shape_of(proto: TensorShapeProto) -> Shape:
    """A TensorShapeProto as a tuple; None for an unknown rank."""
    if proto.unknown_rank:
        return None
    sizes = [dim.size for dim in proto.dim]
    return tuple([size if size >= 0 else None for size in sizes])


def tensor_names(info: TensorInfo) -> tuple[str, ...]:
    """The tensor of an input or output as it is written there; values, indices and dense shape of a sparse one.

    Example:
      >>> tensor_names(TensorInfo(name="x:0"))
      ('x:0',)
    """
    if info.WhichOneof("encoding") != "coo_sparse":
        return (info.name,)
    sparse = info.coo_sparse
    return sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name


def tensor_spec(info: TensorInfo) -> TensorSpec:
    """A TensorInfo as a record."""
    shape = shape_of(info.tensor_shape) if info.HasField("tensor_shape") else None
    dtype = base_name(info.dtype)
    if info.WhichOneof("encoding") == "coo_sparse":
        return TensorSpec("", dtype, shape, "coo_sparse", tensor_names(info))
    if info.WhichOneof("encoding") == "composite_tensor":
        return TensorSpec("", dtype, shape, "composite", tuple(c.name for c in info.composite_tensor.components))
    return TensorSpec(sys.intern(info.name), dtype, shape)


def has_signatures(meta_graph: MetaGraphDef) -> bool:
    """Whether there is a signature that clients call."""
    return not RESERVED_KEYS.issuperset(meta_graph.signature_def)


def signatures(meta_graph: MetaGraphDef) -> tuple[Signature, ...]:
    """The signatures that clients call, sorted by key."""
    return tuple(
        Signature(
            sys.intern(key),
            sys.intern(definition.method_name),
            {sys.intern(name): tensor_spec(info) for name, info in sorted(definition.inputs.items())},
            {sys.intern(name): tensor_spec(info) for name, info in sorted(definition.outputs.items())},
        )
        for key, definition in sorted(meta_graph.signature_def.items())
        if key not in RESERVED_KEYS
    )


def portless(definition: SignatureDef) -> tuple[tuple[str, str], ...]:
    """Inputs and outputs with the name of a node where that of a tensor is needed (`x` for `x:0`), with that name.

    A Session takes such a name for the node (session.py, `_as_graph_element_locked`).
    """
    # An input and an output may have one name, and two TensorInfos have no order.
    infos = sorted((*definition.inputs.items(), *definition.outputs.items()), key=lambda item: item[0])
    return tuple(
        (name, info.name) for name, info in infos if info.WhichOneof("encoding") == "name" and ":" not in info.name
    )


TABLES_KEY = "table_initializer"
"""The collection of table initialisers (`tf.compat.v1.GraphKeys.TABLE_INITIALIZERS`)."""


def init_ops(meta_graph: MetaGraphDef) -> tuple[str, ...]:
    """Names of the nodes that a loader runs after restoring, from the first place that has any (`init_key`)."""
    key = init_key(meta_graph)
    if key is None:
        return ()
    if key == INIT_KEY:
        return (meta_graph.signature_def[INIT_KEY].outputs[INIT_KEY].name.partition(":")[0],)
    names = meta_graph.collection_def[key].node_list.value
    return tuple(dict.fromkeys(name.partition(":")[0] for name in names))


def init_key(meta_graph: MetaGraphDef) -> str | None:
    """Where the init op is named: the signature, the collection of main ops, the legacy one, or the table initialisers.

    Source: GetInitOp (cc/saved_model/loader_util.cc) for the first three. The last is what the clients of models
    without an init op (TF1 Hub modules, TensorFlow Transform) run themselves.
    """
    if INIT_KEY in meta_graph.signature_def and INIT_KEY in meta_graph.signature_def[INIT_KEY].outputs:
        return INIT_KEY
    for key in ("saved_model_main_op", "legacy_init_op", TABLES_KEY):
        if key in meta_graph.collection_def and meta_graph.collection_def[key].node_list.value:
            return key
    return None


def assets(meta_graph: MetaGraphDef) -> tuple[tuple[str, str], ...]:
    """(full tensor name, file name below `assets/`) pairs; the loader feeds the one with the path of the other."""
    files = list(meta_graph.asset_file_def)
    if not files and "saved_model_assets" in meta_graph.collection_def:
        for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
            file = AssetFileDef()
            with contextlib.suppress(DecodeError):  # `checks.tolerated` refuses it.
                if packed.Unpack(file):
                    files.append(file)
    return tuple((asset_tensor(file), file.filename) for file in files)


def asset_tensor(file: AssetFileDef) -> str:
    """Full name of the tensor that the loader feeds with an asset's path."""
    name = file.tensor_info.name
    return name if ":" in name else name + ":0"


def trainable(meta_graph: MetaGraphDef) -> frozenset[str]:
    """Names of the variable nodes that TRAINABLE_VARIABLES lists."""
    names = set()
    for serialized in (
        meta_graph.collection_def["trainable_variables"].bytes_list.value
        if ("trainable_variables" in meta_graph.collection_def)
        else ()
    ):
        definition = VariableDef()
        try:
            definition.ParseFromString(serialized)
        except DecodeError:
            continue  # `checks.tolerated` tells of it.
        names.add(definition.variable_name.partition(":")[0])
    return frozenset(names)
