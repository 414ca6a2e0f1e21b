"""Values of single tensors of a checkpoint, for what must be known of a model before it is converted."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator

import google_crc32c
from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.graph.dtypes import dtype_value
from migrate.graph.protobuf_wire import varint
from migrate.graph.protos import TensorProto
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import Bundle, Entry, data_file, index_file, read_bundle
from migrate.sources.files import open_stream, read_file
from migrate.sources.leveldb import mask, masked_crc32c, read_table

_LARGEST_BYTES = 1 << 25
"""Room for a thousand trees of five hundred nodes; in memory it is some twenty times as much."""
_LARGEST_TABLE_BYTES = 1 << 30
"""A V1 checkpoint has to be read as a whole."""
_CHECKSUM_BYTES = 4


class TensorValues:
    """The tensors of a checkpoint, of which each is read when it is asked for."""

    def __init__(self, prefix: str | None, boundary: Boundary | None = None) -> None:
        """Begins.

        Args:
          prefix: what a restore op is given; None for no checkpoint.
          boundary: where its files may be; None for anywhere.
        """
        self._prefix, self._boundary = prefix, boundary

    def read(self, key: str) -> TensorProto:
        """A tensor that is stored whole.

        Args:
          key: its name in the checkpoint.

        Raises:
          InputError: there is no such tensor, or it cannot be read.
        """
        if self._prefix is None:
            raise InputError("there is no checkpoint")
        try:
            if os.path.exists(index_file(self._prefix)):
                return self._read(self._prefix, key)
            return self._read_v1(self._prefix, key)
        except OSError as error:
            raise InputError(f"{self._prefix}: cannot be read ({error.strerror})") from error

    @functools.cached_property
    def _bundle(self) -> Bundle:
        assert self._prefix is not None
        return read_bundle(self._prefix, self._boundary)

    def _read(self, prefix: str, key: str) -> TensorProto:
        bundle = self._bundle
        entry = bundle.entries.get(key)
        if entry is None or entry.slices:
            raise InputError(f"{prefix}: the checkpoint has no tensor {key!r}, or has it in slices")
        if bundle.endianness != "LITTLE":
            raise InputError(f"{prefix}: the checkpoint is of a big-endian machine")
        file = data_file(prefix, entry.shard, bundle.num_shards)
        if entry.size > _LARGEST_BYTES:
            raise InputError(f"{file}: tensor {key!r} has {entry.size:,} bytes; {_LARGEST_BYTES:,} are the most")
        with open_stream(file, self._boundary) as stream:
            stream.seek(entry.offset)
            data = stream.read(entry.size)
        values = list(_strings(data, math.prod(entry.shape))) if entry.dtype == "string" else []
        if len(data) != entry.size or not _is_whole(entry, data, values):
            raise InputError(f"{file}: damaged: tensor {key!r} has another checksum than the index says")
        proto = TensorProto(dtype=dtype_value(entry.dtype), string_val=values)
        for size in entry.shape:
            proto.tensor_shape.dim.add(size=size)
        proto.tensor_shape.SetInParent()
        if entry.dtype != "string":
            proto.tensor_content = data
        return proto

    def _read_v1(self, path: str, key: str) -> TensorProto:
        """The same of a V1 checkpoint, whose tables have TensorProtos."""
        from migrate.graph.data_protos import SavedTensorSlices
        from migrate.sources.v1_checkpoint import read_v1_checkpoint

        known = read_v1_checkpoint(path, self._boundary)
        tensor = known.tensors.get(key)
        if tensor is None or len(tensor.slices) > 1:
            raise InputError(f"{path}: the checkpoint has no tensor {key!r}, or has it in slices")
        for file in known.files:
            for name, value in read_table(read_file(file, _LARGEST_TABLE_BYTES, self._boundary), file):
                if name == b"":
                    continue
                try:
                    stored = SavedTensorSlices.FromString(value)
                except DecodeError as error:
                    raise InputError(f"{file}: damaged: a part of a tensor cannot be parsed") from error
                if stored.data.name == key:
                    proto = TensorProto()
                    proto.CopyFrom(stored.data.data)
                    proto.dtype = dtype_value(tensor.dtype)
                    del proto.tensor_shape.dim[:]
                    for size in tensor.shape:
                        proto.tensor_shape.dim.add(size=size)
                    return proto
        raise InputError(f"{path}: the checkpoint lists the tensor {key!r} and does not have it")


def _strings(data: bytes, count: int) -> Iterator[bytes]:
    """The elements of a tensor of strings: lengths, their checksum, then the bytes (tensor_bundle.cc)."""
    lengths = []
    position = 0
    for _ in range(min(count, len(data))):
        length, position = varint(data, position)
        lengths.append(length)
    position += _CHECKSUM_BYTES
    for length in lengths:
        yield data[position : position + length]
        position += length


def _is_whole(entry: Entry, data: bytes, values: list[bytes]) -> bool:
    """Whether the bytes of a tensor have its checksum."""
    if entry.dtype != "string":
        return masked_crc32c(data) == entry.crc32c
    checksum = google_crc32c.Checksum()
    for value in values:
        # Lengths count as numbers of four or eight bytes (tensor_bundle.cc, WriteStringTensor).
        checksum.update(len(value).to_bytes(4 if len(value) < 1 << 32 else 8, "little"))
    lengths = mask(int.from_bytes(checksum.digest(), "big"))
    checksum.update(lengths.to_bytes(_CHECKSUM_BYTES, "little"))
    for value in values:
        checksum.update(value)
    return mask(int.from_bytes(checksum.digest(), "big")) == entry.crc32c
