"""Whether a candidate keeps what clients of its source rely on, told by its files alone.

The checker's own reading of both sides: nothing of the converter is asked, and nothing that the candidate says of
itself. Calls show values; a client also depends on method names, dtypes, shapes, tags, defaults and files that no
call shows. Sources: TensorFlow Serving's `classifier.cc`, `regressor.cc` and `predict_util.cc` (method names, dtypes
and names of inputs and outputs), `session_bundle_util`'s tag sets, TensorFlow's `meta_graph.proto`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.dtypes import REF, base_name
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import MetaGraphDef, NodeDef, SignatureDef, TensorInfo, TensorProto
from migrate.records import Mismatch
from migrate.sources.fingerprint import digest_of

PATH = "contract"
"""How these differences are distinguished from those of calls: `Mismatch.path`."""

_RESERVED = frozenset({"__saved_model_init_op", "__saved_model_train_op"})  # saved_model/constants.py
_SERVE = frozenset({"serve"})
_DEVICE_TYPE = re.compile(r"device:([A-Za-z_]+)|/(cpu|gpu|tpu):", re.IGNORECASE)
_OWN_FILES = frozenset({"migration.json"})
_WARM_UP = "tf_serving_warmup_requests"


@frozen
class Candidate:
    """A SavedModel as it is on the disk.

    Attributes:
      directory: where.
      meta_graphs: of its saved_model.pb.
    """

    directory: str
    meta_graphs: Sequence[MetaGraphDef]


@frozen
class Files:
    """Directories of a source, neither of which need be there.

    Attributes:
      assets_dir: where its assets are.
      extra_dir: its `assets.extra`.
    """

    assets_dir: str
    extra_dir: str


@frozen
class Asked:
    """What the user has asked for, which a candidate may therefore do.

    Attributes:
      drop_signatures: signatures that cannot be converted may be left out.
      dropped: keys of those that cannot be.
      keep_tensor_names: the signatures' tensors have their names in the candidate's main graph.
      feeds: values that are constants of the candidate, by the tensor's name in the source.
      train: the training graph that the candidate has a branch of, as a TF1 Hub module has one.
    """

    drop_signatures: bool = False
    dropped: frozenset[str] = frozenset()
    keep_tensor_names: bool = False
    feeds: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    train: MetaGraphDef | None = None


_NOTHING = Asked()


def contract_differences(
    source: MetaGraphDef, files: Files, candidate: Candidate, asked: Asked = _NOTHING
) -> tuple[Mismatch, ...]:
    """Compares a candidate with its source.

    Args:
      source: the MetaGraphDef that a client of the source loads, with the signatures that the user has added.
      files: the source's.
      candidate: the new model.
      asked: see `Asked`.

    Returns:
      What differs, each with the path `PATH`.
    """
    meta_graphs = candidate.meta_graphs
    tags = frozenset(source.meta_info_def.tags)
    # A graph that is no SavedModel has no tags, and a TF1 Hub module of one MetaGraphDef none either.
    wanted = (tags,) if tags else (tags, _SERVE)
    found = [graph for graph in meta_graphs if frozenset(graph.meta_info_def.tags) in wanted]
    if len(meta_graphs) != 1 or not found:
        told = ", ".join("{" + ", ".join(sorted(g.meta_info_def.tags)) + "}" for g in meta_graphs) or "none"
        return (_difference("", "", f"expected one MetaGraphDef of the tags {sorted(tags)}, found {told}"),)
    new = found[0]
    return (
        *_signatures(source, new, asked),
        *_ref_ops(new),
        *_devices(source, new),
        *_constants(source, new, asked),
        *_assets(files.assets_dir, candidate.directory, new),
        *_files(files.extra_dir, os.path.join(candidate.directory, "assets.extra")),
        *(_kept_names(source, new) if asked.keep_tensor_names else ()),
    )


def keras_differences(candidate: Candidate, has_metadata: bool) -> tuple[Mismatch, ...]:
    """The same where the source is a Keras file, which has no MetaGraphDef.

    Args:
      candidate: the new model.
      has_metadata: whether the Keras that loads the source writes `keras_metadata.pb`, without which its `load_model`
        takes the candidate for no Keras model.
    """
    missing = has_metadata and not os.path.isfile(os.path.join(candidate.directory, "keras_metadata.pb"))
    lost = [_difference("", "keras_metadata.pb", "the candidate does not have this file")] if missing else []
    return (*(found for graph in candidate.meta_graphs for found in _ref_ops(graph)), *lost)


def _difference(signature: str, name: str, reason: str) -> Mismatch:
    return Mismatch(signature, -1, name, PATH, reason)


def _signatures(source: MetaGraphDef, new: MetaGraphDef, asked: Asked) -> Iterator[Mismatch]:
    before = {key: s for key, s in source.signature_def.items() if key not in _RESERVED}
    after = {key: s for key, s in new.signature_def.items() if key not in _RESERVED}
    nodes = {node.name: node for node in source.graph_def.node}
    for key in sorted(before.keys() - after.keys()):
        if not (asked.drop_signatures and key in asked.dropped):
            yield _difference(key, "", "the candidate does not have this signature")
    for key in sorted(after.keys() - before.keys()):
        yield _difference(key, "", "the source does not have this signature")
    for key in sorted(before.keys() & after.keys()):
        if before[key].method_name != after[key].method_name:
            named = f"expected {before[key].method_name!r}, found {after[key].method_name!r}"
            yield _difference(key, "", f"the method name differs: {named}")
        for name, reason in _tensors("input", before[key].inputs, after[key].inputs, nodes):
            yield _difference(key, name, reason)
        for name, reason in _tensors("output", before[key].outputs, after[key].outputs, nodes):
            yield _difference(key, name, reason)
        for name, reason in _defaults(before[key], after[key], nodes):
            yield _difference(key, name, reason)


def _tensors(
    kind: str, before: Mapping[str, TensorInfo], after: Mapping[str, TensorInfo], nodes: Mapping[str, NodeDef]
) -> Iterator[tuple[str, str]]:
    for name in sorted(before.keys() - after.keys()):
        yield name, f"the candidate does not have this {kind}"
    for name in sorted(after.keys() - before.keys()):
        yield name, f"the source does not have this {kind}"
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.WhichOneof("encoding") != new.WhichOneof("encoding"):
            yield name, f"expected the encoding {old.WhichOneof('encoding')}, found {new.WhichOneof('encoding')}"
        # A ref is read where it is fed or fetched. A TensorInfo that its own tensor contradicts says nothing: TF1 took
        # the tensor, and TensorFlow 2 takes no such graph.
        dtype, shape = base_name(old.dtype), _shape(old)
        true_dtype, true_shape = _placeholder(old, nodes)
        if base_name(new.dtype) != (true_dtype or dtype) or base_name(new.dtype) != _name(new.dtype):
            yield name, f"expected the dtype {true_dtype or dtype}, found {_name(new.dtype)}"
        if _shape(new) != shape and (_fits(true_shape, shape) or _shape(new) != true_shape):
            yield name, f"expected the shape {_told(shape)}, found {_told(_shape(new))}"


Shape = tuple[int, ...] | None
"""-1 for a size that is not known, None for a rank that is not."""


def _shape(info: TensorInfo) -> Shape:
    if not info.HasField("tensor_shape") or info.tensor_shape.unknown_rank:
        return None
    return tuple(max(dim.size, -1) for dim in info.tensor_shape.dim)


def _told(shape: Shape) -> str:
    return "of unknown rank" if shape is None else str(["?" if size < 0 else size for size in shape]).replace("'", "")


def _name(dtype: int) -> str:
    """The dtype, a ref as one (types.proto: a ref's number is 100 more)."""
    return f"{base_name(dtype)} ref" if dtype > REF else base_name(dtype)


def _placeholder(info: TensorInfo, nodes: Mapping[str, NodeDef]) -> tuple[str, Shape]:
    """What a tensor's own node says of its dtype and shape, if it is a placeholder; else nothing, and any shape."""
    node = nodes.get(info.name.partition(":")[0])
    if node is None or node.op not in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
        return "", None
    # What is not there must not be asked for: a map of attributes gets what it is asked for.
    dtype = base_name(node.attr["dtype"].type) if "dtype" in node.attr else ""
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return dtype, None
    return dtype, tuple(max(dim.size, -1) for dim in node.attr["shape"].shape.dim)


def _fits(one: Shape, other: Shape) -> bool:
    """Whether some tensor has both shapes."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or min(a, b) < 0 for a, b in zip(one, other, strict=True))


def _defaults(before: SignatureDef, after: SignatureDef, nodes: Mapping[str, NodeDef]) -> Iterator[tuple[str, str]]:
    """An input that a Session client may leave out has the same default, and no other input has one."""
    for name, info in before.inputs.items():
        if name not in after.inputs:
            continue
        wanted = _default(info, nodes)
        if (wanted is not None) != (name in after.defaults):
            yield name, f"the source has {'a' if wanted is not None else 'no'} default value for it"
        elif wanted is not None and wanted != after.defaults[name].SerializeToString(deterministic=True):
            yield name, "its default value differs"
    for name in sorted(after.defaults.keys() - before.inputs.keys()):
        yield name, "the source has no such input, and so no default value for it"


def _default(info: TensorInfo, nodes: Mapping[str, NodeDef]) -> bytes | None:
    """The constant that a PlaceholderWithDefault gives where nothing is fed."""
    node = nodes.get(info.name.partition(":")[0])
    if node is None or node.op != "PlaceholderWithDefault":
        return None
    seen: set[str] = set()
    source = _first_giver(node, nodes)
    while source is not None and source.op == "Identity" and source.name not in seen:
        seen.add(source.name)
        source = _first_giver(source, nodes)
    if source is None or source.op != "Const" or "value" not in source.attr:
        return None
    value: bytes = source.attr["value"].tensor.SerializeToString(deterministic=True)
    return value


def _first_giver(node: NodeDef, nodes: Mapping[str, NodeDef]) -> NodeDef | None:
    taken = [name for name in node.input if not name.startswith("^")]
    return nodes.get(taken[0].partition(":")[0]) if taken else None


def _ref_ops(new: MetaGraphDef) -> Iterator[Mismatch]:
    """TensorFlow 2 loses what a ref op writes, wherever it is: what nothing calls today is called tomorrow."""
    ref_ops = load_ref_ops()
    for where, nodes in _bodies(new):
        for node in nodes:
            if node.op in ref_ops:
                yield _difference("", node.name, f"{node.op} in {where} works on a ref")
                break


def _bodies(graph: MetaGraphDef) -> Iterator[tuple[str, Iterable[NodeDef]]]:
    yield "the main graph", graph.graph_def.node
    for function in graph.graph_def.library.function:
        yield f"the function {function.signature.name!r}", function.node_def


def _devices(source: MetaGraphDef, new: MetaGraphDef) -> Iterator[Mismatch]:
    """A pin to a device that the source does not ask for, and that not every machine has."""
    known = {kind for _, nodes in _bodies(source) for node in nodes for kind in _device_types(node)} | {"CPU"}
    for where, nodes in _bodies(new):
        for node in nodes:
            if not known.issuperset(_device_types(node)):
                yield _difference("", node.name, f"{where} pins it to {node.device!r}, and the source pins nothing so")
                break


def _device_types(node: NodeDef) -> set[str]:
    if not node.device:
        return set()
    return {(one or other).upper() for one, other in _DEVICE_TYPE.findall(node.device)}


def _constants(source: MetaGraphDef, new: MetaGraphDef, asked: Asked) -> Iterator[Mismatch]:
    """A large constant of the candidate is one of the source, byte for byte, whatever row of it a call may reach."""
    large = [(where, nodes, node) for where, nodes in _bodies(new) for node in nodes if _is_table(node)]
    if not large:
        return
    graphs = [source] if asked.train is None else [source, asked.train]
    values = [node.attr["value"].tensor for g in graphs for _, nodes in _bodies(g) for node in nodes if _is_table(node)]
    known = {_digest(value) for value in (*values, *asked.feeds.values())}
    # Names of tensors in a checkpoint are new, and so is what a table holds that the source's saver restores: it was in
    # the checkpoint, and calls look it up.
    restores_tables = any(node.op in _IMPORTS for node in source.graph_def.node)
    new_ops = _SAVERS | (_IMPORTS | _CALLS if restores_tables else frozenset())
    for where, nodes, node in large:
        if _digest(node.attr["value"].tensor) in known:
            continue
        takers = {taker.op for taker in nodes if node.name in map(_giver, taker.input)}
        if not takers or not takers <= new_ops:
            yield _difference("", node.name, f"none of the source's constants has the value of this one ({where})")


_LARGE_BYTES = 64
_SAVERS = frozenset({"RestoreV2", "SaveV2"})
_IMPORTS = frozenset({"LookupTableImport", "LookupTableImportV2"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def _is_table(node: NodeDef) -> bool:
    """Whether a node is a large constant. A scalar is none, such as the saver's object graph."""
    if node.op != "Const" or "value" not in node.attr:
        return False
    value = node.attr["value"].tensor
    return bool(value.tensor_shape.dim) and value.ByteSize() >= _LARGE_BYTES


def _digest(tensor: TensorProto) -> bytes:
    return hashlib.sha256(tensor.SerializeToString(deterministic=True)).digest()


def _giver(name: str) -> str:
    """The node that an input comes from."""
    return name.lstrip("^").partition(":")[0]


def _assets(before: str, directory: str, new: MetaGraphDef) -> Iterator[Mismatch]:
    """An asset is the source's file of that name, or another one of its files where the name was taken."""
    known: set[str] | None = None
    for file in sorted({asset.filename for asset in new.asset_file_def}):
        copy, old = os.path.join(directory, "assets", file), os.path.join(before, file)
        shown = os.path.join("assets", file)
        if not os.path.isfile(copy):
            yield _difference("", shown, "the candidate does not have this file")
            continue
        if os.path.isfile(old) and digest_of(old) == digest_of(copy):
            continue
        if known is None:
            known = {digest_of(os.path.join(at, name)) for at, _, names in os.walk(before) for name in names}
        if os.path.isfile(old) or digest_of(copy) not in known:
            yield _difference("", shown, "this file differs")


def _files(before: str, after: str) -> Iterator[Mismatch]:
    """What clients and servers keep beside a model, warm-up requests first of all, is there byte for byte."""
    for folder, _, files in sorted(os.walk(before)):
        for file in sorted(files):
            name = os.path.relpath(os.path.join(folder, file), before)
            if name in _OWN_FILES:
                continue
            copy = os.path.join(after, name)
            shown = os.path.join("assets.extra", name)
            if not os.path.isfile(copy):
                yield _difference("", shown, "the candidate does not have this file")
            elif digest_of(os.path.join(folder, file)) != digest_of(copy):
                yield _difference("", shown, "this file differs")
    warm_up = os.path.join(after, _WARM_UP)
    if os.path.exists(warm_up) and not os.path.exists(os.path.join(before, _WARM_UP)):
        # A model server makes these calls before it serves, and does not serve where one fails.
        yield _difference("", os.path.join("assets.extra", _WARM_UP), "the source has no such file")


def _kept_names(source: MetaGraphDef, new: MetaGraphDef) -> Iterator[Mismatch]:
    """With --keep_tensor_names clients feed and fetch by the source's names."""
    nodes = {node.name for node in new.graph_def.node}
    for key, signature in sorted(source.signature_def.items()):
        if key in _RESERVED or key not in new.signature_def:
            continue
        for name, info in (*sorted(signature.inputs.items()), *sorted(signature.outputs.items())):
            sparse = info.coo_sparse
            parts = (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
            tensors = parts if info.WhichOneof("encoding") == "coo_sparse" else (info.name,)
            for tensor in tensors:
                if tensor.partition(":")[0] not in nodes:
                    yield _difference(key, name, f"the main graph has no {tensor!r}, which --keep_tensor_names keeps")
