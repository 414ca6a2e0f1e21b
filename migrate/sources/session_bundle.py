"""Reads what TensorFlow 0.x's exporter (contrib/session_bundle/exporter.py) has put into a MetaGraphDef's collections.

Its protos are gone from TensorFlow; here are their field numbers (contrib/session_bundle/manifest.proto):

    Signatures              1 default_signature: Signature   2 named_signatures: map<string, Signature>
    Signature (oneof)       1 regression_signature           2 classification_signature   3 generic_signature
    RegressionSignature     1 input   2 output: TensorBinding
    ClassificationSignature 1 input   2 classes   3 scores: TensorBinding
    GenericSignature        1 map: map<string, TensorBinding>
    TensorBinding           1 tensor_name: string
    AssetFile               1 tensor_binding   2 filename: string
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.graph.protobuf_wire import messages
from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.records import GivenSignature

# contrib/session_bundle/constants.py
_SIGNATURES, _ASSETS, _GRAPH, _INIT_OP = "serving_signatures", "serving_assets", "serving_graph", "serving_init_op"
_LEGACY_INIT_OP = "legacy_init_op"

_PREDICT, _CLASSIFY, _REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
_DEFAULT_KEY, _PREDICT_KEY = "serving_default", "predict"
_REGRESSION, _CLASSIFICATION, _GENERIC = 1, 2, 3


def is_session_bundle(meta_graph: MetaGraphDef) -> bool:
    """Whether a MetaGraphDef was written by the exporter."""
    return _SIGNATURES in meta_graph.collection_def


def unbundle(meta_graph: MetaGraphDef) -> MetaGraphDef:
    """A MetaGraphDef with the graph, assets and init op of a SessionBundle where a SavedModel has them.

    Raises:
      InputError: a collection cannot be parsed.
    """
    result = MetaGraphDef()
    result.CopyFrom(meta_graph)
    collections = result.collection_def
    if _GRAPH in collections:
        # The loader takes it in the place of graph_def (session_bundle.cc, LoadSessionBundleFromPath).
        for packed in collections[_GRAPH].any_list.value:
            graph = GraphDef()
            try:
                unpacked = packed.Unpack(graph)
            except DecodeError as error:
                raise InputError(f"the collection {_GRAPH} of this SessionBundle cannot be parsed") from error
            if not unpacked:
                raise InputError(f"the collection {_GRAPH} holds a {packed.type_url}, not a GraphDef")
            result.graph_def.CopyFrom(graph)
        del collections[_GRAPH]
    for packed in collections[_ASSETS].any_list.value if _ASSETS in collections else ():
        fields = dict(_messages(packed.value, _ASSETS))
        asset = result.asset_file_def.add(filename=_text(fields.get(2, b""), _ASSETS))
        asset.tensor_info.name = _tensor(fields.get(1, b""), _ASSETS)
    if _INIT_OP in collections and _LEGACY_INIT_OP not in collections:
        collections[_LEGACY_INIT_OP].CopyFrom(collections[_INIT_OP])
    return result


def signatures(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    """The SessionBundle's signatures as a SavedModel has them.

    Names are those that TensorFlow Serving's own conversion gives (contrib/session_bundle/bundle_shim.cc): the default
    signature is `serving_default`, and the generic signatures `inputs` and `outputs` are the two sides of one predict
    signature. That is `serving_default` where there is no default signature; Serving drops it beside one, here it is
    `predict`. Other named signatures, which Serving drops, keep their names; a generic one of them does not say what is
    fed, so that is its placeholders.

    Raises:
      InputError: they cannot be parsed.
    """
    default: bytes = b""
    named: dict[str, bytes] = {}
    for packed in meta_graph.collection_def[_SIGNATURES].any_list.value:
        for number, content in _messages(packed.value, _SIGNATURES):
            if number == 1:
                default = content
            else:
                entry = dict(_messages(content, _SIGNATURES))
                named[_text(entry.get(1, b""), _SIGNATURES)] = entry.get(2, b"")
    placeholders = {node.name for node in meta_graph.graph_def.node if node.op.startswith("Placeholder")}
    found: dict[str, GivenSignature] = {}
    if default:
        _add(found, _typed(_DEFAULT_KEY, default, placeholders))
    inputs, outputs = _generic(named.get("inputs", b"")), _generic(named.get("outputs", b""))
    if inputs is not None and outputs:
        key = _PREDICT_KEY if default else _DEFAULT_KEY
        _add(found, GivenSignature(key, tuple(inputs.items()), tuple(outputs.items()), _PREDICT))
        named = {name: content for name, content in named.items() if name not in ("inputs", "outputs")}
    for name, content in named.items():
        _add(found, _typed(name, content, placeholders))
    return tuple(found.values())


def _add(found: dict[str, GivenSignature], signature: GivenSignature | None) -> None:
    if signature is not None and signature.outputs:
        found.setdefault(signature.key, signature)


def _typed(key: str, content: bytes, placeholders: Iterable[str]) -> GivenSignature | None:
    """A Signature by its type; None for one without."""
    for number, inner in _messages(content, _SIGNATURES):
        if number == _GENERIC:
            tensors = _generic(content) or {}
            fed = {alias: name for alias, name in tensors.items() if name.partition(":")[0] in placeholders}
            fetched = {alias: name for alias, name in tensors.items() if alias not in fed}
            return GivenSignature(key, tuple(fed.items()), tuple(fetched.items()), _PREDICT)
        fields = {n: _tensor(binding, _SIGNATURES) for n, binding in _messages(inner, _SIGNATURES)}
        inputs = _pairs({"inputs": fields.get(1)})
        if number == _REGRESSION:
            return GivenSignature(key, inputs, _pairs({"outputs": fields.get(2)}), _REGRESS)
        if number == _CLASSIFICATION:
            outputs = _pairs({"classes": fields.get(2), "scores": fields.get(3)})
            return GivenSignature(key, inputs, outputs, _CLASSIFY)
    return None


def _pairs(tensors: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, tensor) for name, tensor in tensors.items() if tensor)


def _generic(content: bytes) -> dict[str, str] | None:
    """Tensor names by name of a GenericSignature in a Signature; None for another one or none."""
    for number, inner in _messages(content, _SIGNATURES):
        if number == _GENERIC:
            found = {}
            for _, entry in _messages(inner, _SIGNATURES):
                fields = dict(_messages(entry, _SIGNATURES))
                found[_text(fields.get(1, b""), _SIGNATURES)] = _tensor(fields.get(2, b""), _SIGNATURES)
            return found
    return None


def _tensor(binding: bytes, collection: str) -> str:
    """The full tensor name in a TensorBinding, or the empty string."""
    name = _text(dict(_messages(binding, collection)).get(1, b""), collection)
    return name if ":" in name or not name else f"{name}:0"


def _messages(data: bytes, collection: str) -> list[tuple[int, bytes]]:
    try:
        return messages(data)
    except ValueError as error:
        raise InputError(f"the collection {collection} of this SessionBundle cannot be parsed") from error


def _text(data: bytes, collection: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"the collection {collection} of this SessionBundle holds a name that is not UTF-8") from error
