"""The object graph in a checkpoint, which says what each entry is of. No TensorFlow."""

from __future__ import annotations

from migrate.graph.protobuf_wire import varint
from migrate.graph.protos import TrackableObjectGraph
from migrate.sources.bundle import data_file, read_bundle
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.files import open_stream

_LARGEST = 1 << 28


def read_stored_objects(prefix: str) -> TrackableObjectGraph:
    """The object graph of a checkpoint: a string tensor, of a length, a checksum of it, and the bytes.

    Args:
      prefix: of the checkpoint.

    Raises:
      InputError: there is no checkpoint that can be read.
      ValueError: it has no object graph, or a damaged one; so does `DecodeError` of protocol buffers.
      OSError: a file of it cannot be read.
    """
    bundle = read_bundle(prefix)
    entry = bundle.entries.get(OBJECT_GRAPH_KEY)
    if entry is None or entry.dtype != "string" or entry.shape or not 0 < entry.size < _LARGEST:
        raise ValueError("the checkpoint has no object graph")
    with open_stream(data_file(prefix, entry.shard, bundle.num_shards)) as stream:
        stream.seek(entry.offset)
        data = stream.read(entry.size)
    length, position = varint(data, 0)
    if position + 4 + length != len(data):
        raise ValueError("the checkpoint's object graph is damaged")
    graph = TrackableObjectGraph.FromString(data[position + 4 :])
    if not graph.nodes:
        raise ValueError("the checkpoint's object graph is empty")
    return graph
