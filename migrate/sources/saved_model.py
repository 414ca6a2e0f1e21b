"""Reads a SavedModel's proto: what is in the file, or in one line why it cannot be read."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from migrate.errors import InputError
from migrate.records import Kind
from migrate.sources.discover import CHUNKED_SAVED_MODEL_FILE, SAVED_MODEL_FILES
from migrate.sources.files import read_file
from migrate.sources.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources.strays import describe_stray, is_mangled_text

SERVING_TAG = "serve"
"""tensorflow/cc/saved_model/tag_constants.h, kSavedModelTagServe."""

_PROTO_LIMIT_BYTES = 2**31 - 1
"""Protocol buffers cannot parse a larger message (protobuf.dev, Proto Limits)."""


@dataclasses.dataclass(frozen=True)
class SavedModelSource:
    """A SavedModel as it lies on the disk; nothing in it has been changed.

    Attributes:
      path: the model's directory.
      file_name: `saved_model.pb` or `saved_model.pbtxt`.
      proto: what the file says.
      sha256: hexadecimal digest of the file's bytes.
    """

    path: str
    file_name: str
    proto: SavedModel
    sha256: str

    @property
    def variables_prefix(self) -> str:
        """The checkpoint's prefix, whether one is there or not (loader.cc: variables/variables)."""
        return os.path.join(self.path, "variables", "variables")

    @property
    def assets_dir(self) -> str:
        """The directory of the assets, whether it is there or not."""
        return os.path.join(self.path, "assets")


def read_saved_model(path: str) -> SavedModelSource:
    """Reads the SavedModel in a directory. Fields that this TensorFlow does not know are kept, not refused.

    Args:
      path: directory that holds a saved_model.pb or, failing that, a saved_model.pbtxt.

    Returns:
      The model, with one meta graph at least.

    Raises:
      InputError: there is no such file, it cannot be read, or it is no SavedModel; the message says why.
    """
    file_name = _file_name(path)
    file = os.path.join(path, file_name)
    try:
        data = read_file(file, _PROTO_LIMIT_BYTES)
    except FileNotFoundError as error:  # a link that leads nowhere
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    stray = describe_stray(data)
    if stray is not None:
        raise InputError(f"{file}: {stray}")
    proto = _parse_text(file, data) if file_name.endswith(".pbtxt") else _parse_binary(file, data)
    return SavedModelSource(path, file_name, proto, hashlib.sha256(data).hexdigest())


def kind_of(source: SavedModelSource) -> Kind:
    """Tells a TF2 SavedModel by its object graph, which TF1's exporters do not write.

    The version that a meta graph names is no help: TF 2.x writes TF1 models through `tf.compat.v1`.
    """
    if any(meta_graph.object_graph_def.nodes for meta_graph in source.proto.meta_graphs):
        return Kind.TF2_SAVED_MODEL
    return Kind.TF1_SAVED_MODEL


def choose_meta_graph(source: SavedModelSource, tags: frozenset[str] | None) -> MetaGraphDef:
    """Chooses the meta graph to work on.

    Args:
      source: a model.
      tags: the exact tag set, or None for the only meta graph or, among several, the only one with `serve`.

    Returns:
      The source's own MetaGraphDef, which must not be changed. Of several with the same tag set it is the
      first, as in TensorFlow (cc/saved_model/reader.cc, FindMetaGraphDef).

    Raises:
      InputError: none fits, or several do; the message lists the tag sets.
    """
    meta_graphs: Sequence[MetaGraphDef] = source.proto.meta_graphs
    tag_sets = [frozenset(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
    if tags is not None:
        for tag_set, meta_graph in zip(tag_sets, meta_graphs, strict=True):
            if tag_set == tags:
                return meta_graph
        raise InputError(
            f"{source.path}: no meta graph has exactly the tags {_show(tags)}; there are {_list(tag_sets)}"
        )
    if len(meta_graphs) == 1:
        return meta_graphs[0]
    serving = [i for i, tag_set in enumerate(tag_sets) if SERVING_TAG in tag_set]
    if len(serving) == 1:
        return meta_graphs[serving[0]]
    if serving:
        raise InputError(
            f"{source.path}: {len(serving)} meta graphs have the tag {SERVING_TAG!r}: "
            f"{_list(tag_sets[i] for i in serving)}; choose one with --tags"
        )
    raise InputError(
        f"{source.path}: no meta graph has the tag {SERVING_TAG!r}; there are {_list(tag_sets)}; choose one with --tags"
    )


def _show(tags: frozenset[str]) -> str:
    return "{" + ", ".join(sorted(tags)) + "}"


def _list(tag_sets: Iterable[frozenset[str]]) -> str:
    return ", ".join(sorted(_show(tag_set) for tag_set in tag_sets))


def _file_name(path: str) -> str:
    if not os.path.exists(path):
        raise InputError(f"{path}: no such directory; pass a SavedModel directory")
    if not os.path.isdir(path):
        raise InputError(f"{path}: a file; pass the directory that holds the saved_model.pb")
    for file_name in SAVED_MODEL_FILES:
        if os.path.lexists(os.path.join(path, file_name)):
            return file_name
    if os.path.lexists(os.path.join(path, CHUNKED_SAVED_MODEL_FILE)):
        raise InputError(
            f"{path}: a chunked SavedModel ({CHUNKED_SAVED_MODEL_FILE}), which this tool does not read; "
            "save it as one saved_model.pb (weights in variables, not in constants, keep it under 2 GB)"
        )
    raise InputError(f"{path}: no saved_model.pb or saved_model.pbtxt in it; pass a SavedModel directory")


def _parse_text(file: str, data: bytes) -> SavedModel:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}: line {line} is not UTF-8; a .pbtxt is a text proto") from error
    proto = SavedModel()
    try:
        text_format.Parse(text, proto, allow_unknown_field=True)
    except text_format.ParseError as error:
        # Its text starts with "line:column : ".
        line_number = error.GetLine()
        where = f"line {line_number}: " if line_number else ""
        reason = str(error).split(" : ", 1)[-1].partition("\n")[0]
        raise InputError(f"{file}: {where}not a SavedModel as text: {reason}") from error
    except (ValueError, UnicodeError, RecursionError) as error:
        # A value out of range or a bytes literal that is not UTF-8 passes the parser's own errors by.
        raise InputError(f"{file}: not a SavedModel as text: {str(error).partition(chr(10))[0]}") from error
    if not proto.meta_graphs:
        raise InputError(f"{file}: a SavedModel without a meta graph; export the model again")
    return proto


def _parse_binary(file: str, data: bytes) -> SavedModel:
    proto = SavedModel()
    parsed = _parses(proto, data)
    # A GraphDef or MetaGraphDef may pass for a SavedModel full of unknown fields, but has no schema version.
    if parsed and proto.meta_graphs and proto.saved_model_schema_version:
        return proto
    graph = GraphDef()
    if _parses(graph, data) and graph.node and all(node.name and node.op for node in graph.node):
        raise InputError(
            f"{file}: a GraphDef of {len(graph.node)} nodes (a frozen graph?), not a SavedModel; "
            "it has no signatures to convert"
        )
    meta_graph = MetaGraphDef()
    if _parses(meta_graph, data) and meta_graph.graph_def.node and meta_graph.HasField("meta_info_def"):
        raise InputError(
            f"{file}: a MetaGraphDef (a checkpoint's .meta file?), not a SavedModel; export it with signatures"
        )
    if parsed and proto.meta_graphs:
        return proto
    if parsed and proto.saved_model_schema_version:
        raise InputError(f"{file}: a SavedModel without a meta graph; export the model again")
    if is_mangled_text(data):
        raise InputError(
            f"{file}: was mangled by a text conversion (a binary file opened and saved as text): "
            "bytes are lost, copy it anew from where it was whole"
        )
    missing = _missing_bytes(data)
    if missing:
        raise InputError(
            f"{file}: cut off after {len(data):,} bytes, at least {missing:,} more belong to it; copy it again"
        )
    raise InputError(f"{file}: not a SavedModel ({len(data):,} bytes that cannot be parsed as one)")


def _parses(message: Message, data: bytes) -> bool:
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _missing_bytes(data: bytes) -> int:
    """How many bytes the last meta graph is short of, or 0 where the file does not look cut off."""
    position = 0
    while position < len(data):
        tag = data[position]
        if tag == 0x08:  # saved_model_schema_version, a varint
            _, position = _varint(data, position + 1)
        elif tag == 0x12:  # meta_graphs, of a length
            length, position = _varint(data, position + 1)
            position += length
        else:
            return 0
    return position - len(data)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position and the position after it; past the end where the file ends within it."""
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            return value, len(data) + 1
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, position
