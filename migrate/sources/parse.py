"""Parses the proto in a file (SavedModel, MetaGraphDef, GraphDef), or says in one line why it cannot be read."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from migrate.errors import InputError
from migrate.graph.protobuf_wire import fields, varint
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources.boundary import Boundary
from migrate.sources.budget import Excess, over_budget
from migrate.sources.files import open_stream, read_file
from migrate.sources.not_a_model import describe_stray, is_mangled_text
from migrate.sources.parsed import Parsed, all_nodes
from migrate.sources.sniff import text_proto
from migrate.sources.watch import Watch

PROTO_LIMIT_BYTES = 2**31 - 1
"""Protocol buffers cannot parse a larger message (protobuf.dev, Proto Limits)."""

_TYPES: dict[str, type[SavedModel] | type[MetaGraphDef] | type[GraphDef]] = {
    "SavedModel": SavedModel,
    "MetaGraphDef": MetaGraphDef,
    "GraphDef": GraphDef,
}


def parse_file(
    file: str, wanted: str, boundary: Boundary | None = None, watch: Watch | None = None
) -> SavedModel | MetaGraphDef | GraphDef:
    """The message that is in a file, see `parse`."""
    return parse(file, wanted, boundary, watch).proto


def parse(file: str, wanted: str, boundary: Boundary | None = None, watch: Watch | None = None) -> Parsed:
    """Reads a file. Fields that this TensorFlow does not know are kept, not refused.

    Args:
      file: its path; its first bytes say whether it is a text or a binary proto.
      wanted: what messages say that it should be (`SavedModel`, `GraphDef`).
      boundary: where it may be; None for anywhere.
      watch: over the audit that reads it; None for the bounds that are set by default.

    Raises:
      InputError: it cannot be read, takes too much memory, or has none of the three forms; the message says why.
    """
    watch = watch or Watch()
    try:
        data = read_file(file, PROTO_LIMIT_BYTES, boundary, watch.has_read)
    except FileNotFoundError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    stray = describe_stray(data)
    if stray is not None:
        raise InputError(f"{file}: {stray}")
    try:
        if file.endswith(".pbtxt") or text_proto(data) is not None:
            watch.has_nodes(_nodes_in_text(data))  # A text takes as long to parse as to audit.
            parsed = _parse_text(file, data, wanted)
        else:
            excess = over_budget(data, lambda: _parse_binary(file, data, wanted), watch)
            if excess is not None:
                stored = _stored(file, data, excess, watch)
                if stored is not None and not watch.is_whole:
                    return stored
                if stored is not None:
                    watch.lift()
            parsed = _parse_binary(file, data, wanted)
        watch.has_nodes(all_nodes(parsed))
        return parsed
    except MemoryError as error:
        raise InputError(f"{file}: takes more memory than this process may use ({len(data):,} bytes)") from error


def _stored(file: str, data: bytes, excess: Excess, watch: Watch) -> Parsed | None:
    """A graph that takes too much memory once it is parsed; None where it may be parsed, and cannot be stored.

    Raises:
      InputError: it takes too much memory in any form.
    """
    from migrate.sources.stored import read_stored  # Few graphs are that large.

    too_large = f"{file}: {watch.memory_message(excess.said, excess.enough_bytes)}"
    found = read_stored(file, data, watch, too_large) if watch.may_be_stored else None
    if found is None and excess.is_certain:
        raise InputError(too_large)
    if found is None:
        return None
    meta_graph, is_saved_model = found
    watch.has_nodes(len(meta_graph.graph_def.node))
    return Parsed(SavedModel(saved_model_schema_version=1) if is_saved_model else GraphDef(), meta_graph)


def describe_unreadable(file: str, boundary: Boundary | None) -> str:
    """Says why a file that is named like a model's is none: the rest of a sentence that starts with its name."""
    if os.path.islink(file) and not os.path.exists(file):
        return describe_stray(os.readlink(file).encode()) or f"a link that leads nowhere ({os.readlink(file)})"
    try:
        with open_stream(file, boundary) as stream:
            found = describe_stray(stream.read(4096))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    if found:
        return found
    try:
        parse_file(file, "GraphDef", boundary)
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    return "no model"


_NODE_IN_TEXT = re.compile(rb"\bnode(?:_def)?\s*[{<:]")
_BYTES_A_NODE = 25
"""The shortest node with a name and an op takes more, as text. Comments and strings may say `node {` all the time."""
_MOST_NODES_IN_TEXT = 1_000_000


def _nodes_in_text(data: bytes) -> int:
    """How many nodes a text has, about, without making a list of them."""
    most = min(len(data) // _BYTES_A_NODE, _MOST_NODES_IN_TEXT)
    return sum(1 for _ in itertools.islice(_NODE_IN_TEXT.finditer(data), most))


def _parse_text(file: str, data: bytes, wanted: str) -> Parsed:
    kind = _TYPES[text_proto(data) or "SavedModel"]
    holder = MetaGraphDef() if kind is GraphDef else None
    proto = kind() if holder is None else holder.graph_def
    try:
        text_format.ParseLines(_lines(file, data), proto, allow_unknown_field=True)  # type: ignore[attr-defined]
    except text_format.ParseError as error:
        # Its text starts with "line:column : ".
        line_number = error.GetLine()
        where = f"line {line_number}: " if line_number else ""
        reason = str(error).split(" : ", 1)[-1].partition("\n")[0]
        raise InputError(f"{file}: {where}not a {wanted} as text: {reason}") from error
    except (ValueError, UnicodeError, RecursionError) as error:
        # A value out of range or a bytes literal that is not UTF-8 passes the parser's own errors by.
        raise InputError(f"{file}: not a {wanted} as text: {str(error).partition(chr(10))[0]}") from error
    if isinstance(proto, SavedModel) and not proto.meta_graphs:
        raise InputError(f"{file}: a SavedModel without a meta graph; export the model again")
    if isinstance(proto, MetaGraphDef | GraphDef) and not _nodes(proto):
        raise InputError(f"{file}: a {type(proto).__name__} without nodes; export the model again")
    return Parsed(proto, holder)


def _lines(file: str, data: bytes) -> Iterator[str]:
    """The lines of a text, one at a time: all of them at once may take twenty times its bytes.

    Raises:
      InputError: one is not UTF-8.
    """
    start = number = 0
    while start <= len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        try:
            yield data[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: line {number} is not UTF-8; a .pbtxt is a text proto") from error
        start = end + 1


def _nodes(proto: MetaGraphDef | GraphDef) -> int:
    return len(proto.graph_def.node if isinstance(proto, MetaGraphDef) else proto.node)


def _parse_binary(file: str, data: bytes, wanted: str) -> Parsed:
    proto = SavedModel()
    parsed = False if _has_no_version(data) else _parses(proto, data)
    # A GraphDef or MetaGraphDef may pass for a SavedModel full of unknown fields, but has no schema version.
    if parsed and proto.meta_graphs and proto.saved_model_schema_version:
        return Parsed(proto)
    holder = MetaGraphDef()
    graph = holder.graph_def
    if _parses(graph, data) and graph.node and all(node.name and node.op for node in graph.node):
        return Parsed(graph, holder)
    del holder, graph
    meta_graph = MetaGraphDef()
    if _parses(meta_graph, data) and meta_graph.graph_def.node and meta_graph.HasField("meta_info_def"):
        return Parsed(meta_graph)
    del meta_graph
    parsed = parsed or _parses(proto, data)
    if parsed and proto.meta_graphs:
        return Parsed(proto)
    if parsed and proto.saved_model_schema_version:
        raise InputError(f"{file}: a SavedModel without a meta graph; export the model again")
    if is_mangled_text(data):
        raise InputError(
            f"{file}: was mangled by a text conversion (a binary file opened and saved as text): "
            "bytes are lost; copy it again from a good copy"
        )
    missing = _missing_bytes(data)
    if missing:
        raise InputError(
            f"{file}: cut off after {len(data):,} bytes, at least {missing:,} more belong to it; copy it again"
        )
    raise InputError(f"{file}: not a {wanted} ({len(data):,} bytes that cannot be parsed as one)")


def _has_no_version(data: bytes) -> bool:
    """Whether a large message lacks what each SavedModel of an exporter has: another one need not be parsed as such."""
    if len(data) < _LARGE_BYTES:
        return False
    try:
        for count, field in enumerate(fields(data, 0, len(data))):
            if count > _MOST_FIELDS or (field.number, field.kind) == (_VERSION, 0):
                return False
    except ValueError:
        return False
    return True


_LARGE_BYTES, _MOST_FIELDS, _VERSION = 1 << 25, 10_000, 1


def _parses(message: Message, data: bytes) -> bool:
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        if "alloc" in str(error) or "memory" in str(error):  # upb's way to say so
            raise MemoryError(str(error)) from error
        return False
    return True


def _missing_bytes(data: bytes) -> int:
    """How many bytes the last meta graph is short of, or 0 where the file does not look cut off."""
    position = 0
    while position < len(data):
        tag = data[position]
        if tag == 0x08:  # saved_model_schema_version, a varint
            _, position = varint(data, position + 1)
        elif tag == 0x12:  # meta_graphs, of a length
            length, position = varint(data, position + 1)
            position += length
        else:
            return 0
    return position - len(data)
