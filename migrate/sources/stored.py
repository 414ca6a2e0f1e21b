"""Reads a graph without parsing its nodes at once; any graph that is not very large is parsed whole."""

from __future__ import annotations

from array import array
from typing import cast

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint
from migrate.graph.protos import MetaGraphDef
from migrate.graph.stored_nodes import StoredMetaGraph, StoredNodes
from migrate.sources.budget import small_bytes
from migrate.sources.watch import OWN_BYTES, TICK_BYTES, Watch

_MOST_OTHER_BYTES = 4 << 20
"""Of everything that is no node; it is parsed."""
_LARGE_NODE_BYTES = 1 << 18
"""Of what is no large string: two bytes may be a hundred in memory."""
_NODE, _META_GRAPHS, _GRAPH_DEF = 1, 2, 2

_BYTES_A_NODE, _BYTES_A_PROPOSED_NODE = 130, 310
"""Beside its own bytes: of the index, and of what holds the most names at once (measured: 100 and 310). The latter
where there is no signature, and audit looks for one to propose."""


def read_stored(file: str, data: bytes, watch: Watch, too_large: str) -> tuple[MetaGraphDef, bool] | None:
    """Reads a GraphDef, or a SavedModel of one MetaGraphDef, without parsing its nodes at once.

    Args:
      file: its path, for messages.
      data: its bytes.
      watch: over the audit, which has been told of the file.
      too_large: what is said of it where it has to be parsed as a whole.

    Returns:
      What answers as the MetaGraphDef, and whether it is a SavedModel's. None for anything else, and for a graph with
      functions or objects, or with nodes that cannot be told apart by their names.

    Raises:
      InputError: it takes too much memory in this form, too.
    """
    rest = MetaGraphDef()
    start, end = 0, len(data)
    is_saved_model = data[:1] == b"\x08"  # Its version, which all exporters write first.
    try:
        for number in (_META_GRAPHS, _GRAPH_DEF) if is_saved_model else ():
            starts, ends, others = _divided(data, start, end, number)
            if len(starts) != 1:
                return None
            start, end = starts[0], ends[0]
        if is_saved_model:
            rest.ParseFromString(others)
        starts, ends, others = _divided(data, start, end, _NODE)
        rest.graph_def.ParseFromString(others)
        own = 2 * OWN_BYTES + TICK_BYTES + len(data)
        needed = own + _BYTES_A_NODE * len(starts)
        if needed > watch.bytes_allowed:
            what = f"about {needed >> 20:,} MB for {len(starts):,} nodes"
            raise InputError(f"{file}: {watch.memory_message(what, needed)}")
        if not starts or rest.graph_def.library.ByteSize() or rest.object_graph_def.nodes:
            return None
        if any(_swells(data[first:last]) for first, last in zip(starts, ends, strict=True)):
            return None
        may_propose = own + _BYTES_A_PROPOSED_NODE * len(starts) <= watch.bytes_allowed
        found = StoredMetaGraph(rest, StoredNodes(data, starts, ends), too_large, may_propose)
        return cast(MetaGraphDef, found), is_saved_model
    except (ValueError, DecodeError):
        return None


def _swells(node: bytes) -> bool:
    """Whether a large node takes much more memory than its bytes, once it is parsed."""
    return len(node) > _LARGE_NODE_BYTES and small_bytes(node, _LARGE_NODE_BYTES) >= _LARGE_NODE_BYTES


def _divided(data: bytes, start: int, end: int, number: int) -> tuple[array[int], array[int], bytes]:
    """Where the messages of one field of a message begin and end, and all its other fields as bytes.

    Raises:
      ValueError: this is no message, or there are too many other fields.
    """
    starts, ends = array("I"), array("I")
    others = bytearray()
    position = start
    while position < end:
        first = position
        tag, position = varint(data, position)
        kind = tag & 7
        length = 0
        if kind == 2:
            length, position = varint(data, position)
        elif kind == 0:
            _, position = varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("no message")
        content, position = position, position + length
        if position > end:
            raise ValueError("cut off")
        if tag == number << 3 | 2:
            starts.append(content)
            ends.append(position)
        elif len(others) + position - first > _MOST_OTHER_BYTES:
            raise ValueError("too much beside what is looked for")
        else:
            others += data[first:position]
    return starts, ends, bytes(others)
