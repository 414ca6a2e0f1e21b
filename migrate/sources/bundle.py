"""Reads the index of a tensor bundle (a V2 checkpoint), and judges whether its data is there.

`PREFIX.index` is a table: the key "" holds a BundleHeaderProto, every other key a BundleEntryProto that
says where in `PREFIX.data-00000-of-00001` a tensor's bytes are (core/util/tensor_bundle/tensor_bundle.cc).
A tensor saved in slices has an entry without bytes that lists them, and one more entry for each slice, whose
key is the ordered code of tensor name and slice (core/util/saved_tensor_slice_util.cc).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.dtypes import dtype_name, dtype_value
from migrate.graph.protos import BundleEntryProto, BundleHeaderProto
from migrate.records import Finding, refusal
from migrate.regular_files import create
from migrate.sources.boundary import Boundary
from migrate.sources.checkpoint_files import INDEX
from migrate.sources.files import open_stream, read_file
from migrate.sources.leveldb import (
    read_ordered_signed,
    read_ordered_string,
    read_ordered_unsigned,
    read_table,
    write_table,
)
from migrate.sources.not_a_model import describe_stray

FULL_EXTENT = -1
"""Length of a slice that takes a dimension whole (tensor_slice.h, kFullExtent); its start is 0."""

_READER_VERSION = 1
"""tensor_bundle.cc, kTensorBundleVersion: a bundle that asks for a newer reader cannot be read."""

_LARGEST_INDEX_BYTES = 1 << 28
"""Some hundred bytes a tensor: room for a million of them."""

_MOST_ENTRIES, _BYTES_AN_ENTRY = 500_000, 250
"""An entry takes up to a kilobyte of memory, and an index of 500 MB and four times its bytes is the most."""
_LARGEST_ENTRY_BYTES = 1 << 20
"""Room for the slices of a tensor that is stored in 50,000 parts. In memory it is fifty times as much."""

_STRAY_BYTES = 1024
"""Larger data files are judged by their size alone."""


@frozen
class Slice:
    """A part of a tensor, one start and one length a dimension (TensorSliceProto).

    Attributes:
      starts: first index.
      lengths: number of indices, or `FULL_EXTENT` for the whole dimension.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def resolved(self, shape: Sequence[int]) -> Slice:
        """The same part of a tensor of a shape, without full extents."""
        return Slice(
            self.starts,
            tuple(dim if length == FULL_EXTENT else length for length, dim in zip(self.lengths, shape, strict=True)),
        )


@frozen
class Entry:
    """Where one tensor, or one stored slice of a tensor, is (BundleEntryProto).

    Attributes:
      key: the tensor's name; for a stored slice the name of the tensor that it is a part of.
      dtype: TensorFlow's name of the dtype (`float32`, `string`).
      shape: shape of the tensor, or of the stored slice.
      shard: number of the data file.
      offset: of its first byte in that file, in bytes.
      size: in bytes, as stored (a string tensor: with lengths and their checksum).
      crc32c: masked CRC-32C of those bytes.
      slices: the slices that the tensor was saved in; such an entry has no bytes of its own.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[Slice, ...] = ()


@frozen
class Bundle:
    """The index of a tensor bundle.

    Attributes:
      prefix: path without `.index`.
      num_shards: number of data files.
      endianness: `LITTLE` or `BIG`, the byte order of the data.
      version: producer version of the format.
      entries: by tensor name, in the order of the index.
      stored_slices: the entries of stored slices, by tensor name and slice as stored.
    """

    prefix: str
    num_shards: int
    endianness: str
    version: int
    entries: Mapping[str, Entry]
    stored_slices: Mapping[tuple[str, Slice], Entry]

    def find_slice(self, key: str, wanted: Slice) -> Entry | None:
        """Finds the entry whose bytes are a part of a tensor, no more and no less.

        Args:
          key: tensor name.
          wanted: one start and one length a dimension of the tensor.

        Returns:
          The tensor's own entry when it is stored whole and `wanted` takes all of it, the entry of the stored
          slice that is equal, or None: there is no such tensor, or it must be cut from other slices.
        """
        entry = self.entries.get(key)
        if entry is None or not len(entry.shape) == len(wanted.starts) == len(wanted.lengths):
            return None
        exact = wanted.resolved(entry.shape)
        if not entry.slices:
            whole = Slice((0,) * len(entry.shape), entry.shape)
            return entry if exact == whole else None
        for stored in entry.slices:
            if stored.resolved(entry.shape) == exact:
                return self.stored_slices.get((key, stored))
        return None


def index_file(prefix: str) -> str:
    """Path of a bundle's index (naming.cc, MetaFilename).

    Example:
      >>> index_file("model.ckpt")
      'model.ckpt.index'
    """
    return prefix + INDEX


def data_file(prefix: str, shard: int, num_shards: int) -> str:
    """Path of a bundle's data file (naming.cc, DataFilename).

    Example:
      >>> data_file("model.ckpt", 0, 2)
      'model.ckpt.data-00000-of-00002'
    """
    return f"{prefix}.data-{shard:05d}-of-{num_shards:05d}"


def read_bundle(prefix: str, boundary: Boundary | None = None) -> Bundle:
    """Reads a bundle's index; the data files are not looked at (see `check_shards`).

    Args:
      prefix: what TensorFlow calls the checkpoint's path: the index's path without `.index`.
      boundary: where its files may be; None for anywhere.

    Raises:
      InputError: there is no index, or it cannot be read; the message names the file.

    Example:
      >>> read_bundle("testdata/forms/saver_steps/model.ckpt-5").num_shards
      2
    """
    file = index_file(prefix)
    try:
        data = read_file(file, _LARGEST_INDEX_BYTES, boundary)
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; the weights of this model are missing") from error
    stray = describe_stray(data)
    if stray is not None:
        raise InputError(f"{file}: {stray}")
    return _bundle(prefix, read_table(data, file), file)


def _bundle(prefix: str, table: Iterator[tuple[bytes, bytes]], file: str) -> Bundle:
    first = next(table, None)
    if first is None or first[0] != b"":
        raise InputError(f"{file}: a table without a bundle's header; not a tensor bundle's index")
    header = BundleHeaderProto()
    _parse(header, first[1], file, "the header")
    if header.version.min_consumer > _READER_VERSION:
        raise InputError(f"{file}: written by a newer TensorFlow (format {header.version.producer})")
    if header.num_shards < 1:
        raise InputError(f"{file}: a header without data files; not a tensor bundle's index")
    if header.endianness not in BundleHeaderProto.Endianness.values():
        raise InputError(f"{file}: an unknown byte order ({header.endianness})")
    entries: dict[str, Entry] = {}
    stored_slices: dict[tuple[str, Slice], Entry] = {}
    most = _MOST_ENTRIES + os.path.getsize(file) // _BYTES_AN_ENTRY
    count = 0
    for code, value in table:
        # A tensor's name never starts with a zero byte, a slice's key always does.
        if code[0] == 0:
            key, stored = _decode_slice_key(code, file)
            stored_slices[key, stored] = _entry(key, value, header.num_shards, file)
        else:
            key = _text(code, file)
            entry = entries[key] = _entry(key, value, header.num_shards, file)
            count += len(entry.slices) + len(entry.shape) // 8
        count += 1
        if count > most:
            raise InputError(f"{file}: more than {most:,} tensors and slices, as no checkpoint has")
    for key, entry in entries.items():
        for stored in entry.slices:
            if len(stored.starts) != len(entry.shape) or (key, stored) not in stored_slices:
                raise InputError(f"{file}: damaged: tensor {key!r} lists a slice that is not there")
    return Bundle(
        prefix,
        header.num_shards,
        BundleHeaderProto.Endianness.Name(header.endianness),
        header.version.producer,
        entries,
        stored_slices,
    )


def _entry(key: str, value: bytes, num_shards: int, file: str) -> Entry:
    proto = BundleEntryProto()
    if len(value) > _LARGEST_ENTRY_BYTES:
        raise InputError(f"{file}: damaged: the entry of tensor {key!r} has {len(value):,} bytes")
    _parse(proto, value, file, f"the entry of tensor {key!r}")
    try:
        dtype = dtype_name(proto.dtype)
    except ValueError as error:
        raise InputError(
            f"{file}: tensor {key!r} has dtype number {proto.dtype}, unknown to this TensorFlow"
        ) from error
    shape = tuple(dim.size for dim in proto.shape.dim)
    if proto.shape.unknown_rank or any(size < 0 for size in shape):
        raise InputError(f"{file}: damaged: tensor {key!r} has no complete shape")
    if proto.offset < 0 or proto.size < 0 or not 0 <= proto.shard_id < num_shards:
        raise InputError(
            f"{file}: damaged: tensor {key!r} has an impossible place "
            f"(shard {proto.shard_id} of {num_shards}, offset {proto.offset}, {proto.size} bytes)"
        )
    slices = tuple(
        Slice(
            tuple(extent.start for extent in stored.extent),
            # No length set is a full extent (tensor_slice.cc, GetExtentLength).
            tuple(e.length if e.HasField("length") else FULL_EXTENT for e in stored.extent),
        )
        for stored in proto.slices
    )
    return Entry(key, dtype, shape, proto.shard_id, proto.offset, proto.size, proto.crc32c, slices)


def _parse(message: BundleHeaderProto | BundleEntryProto, value: bytes, file: str, what: str) -> None:
    try:
        message.ParseFromString(value)
    except DecodeError as error:
        raise InputError(f"{file}: damaged: {what} cannot be parsed") from error


def _decode_slice_key(code: bytes, file: str) -> tuple[str, Slice]:
    """Tensor name and slice of a stored slice's key (saved_tensor_slice_util.cc, DecodeTensorNameSlice)."""
    try:
        _, position = read_ordered_unsigned(code, 0)
        name, position = read_ordered_string(code, position)
        rank, position = read_ordered_unsigned(code, position)
        starts, lengths = [], []
        for _ in range(rank):
            start, position = read_ordered_signed(code, position)
            length, position = read_ordered_signed(code, position)
            starts.append(start)
            lengths.append(length)
    except ValueError as error:
        raise InputError(f"{file}: damaged: a slice's key is {error}") from error
    return _text(name, file), Slice(tuple(starts), tuple(lengths))


def _text(name: bytes, file: str) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: damaged: a tensor name is not UTF-8: {name!r}") from error


def write_index(prefix: str, entries: Iterable[Entry], num_shards: int) -> None:
    """Writes the index of a bundle of whole tensors in little-endian byte order.

    Args:
      prefix: path of the new bundle without `.index`.
      entries: one a tensor, without slices.
      num_shards: number of its data files.
    """
    header = BundleHeaderProto(num_shards=num_shards, endianness=BundleHeaderProto.LITTLE)
    header.version.producer = _READER_VERSION
    items = [(b"", header.SerializeToString())]
    for entry in entries:
        proto = BundleEntryProto(
            dtype=dtype_value(entry.dtype),
            shard_id=entry.shard,
            offset=entry.offset,
            size=entry.size,
            crc32c=entry.crc32c,
        )
        proto.shape.SetInParent()
        for size in entry.shape:
            proto.shape.dim.add(size=size)
        items.append((entry.key.encode(), proto.SerializeToString()))
    with create(index_file(prefix)) as file:
        file.write(write_table(sorted(items)))


def check_shards(bundle: Bundle, boundary: Boundary | None = None) -> tuple[Finding, ...]:
    """Compares the sizes of the data files with what the index says is in them; no data is read.

    Args:
      bundle: an index.
      boundary: where the files may be; None for anywhere.

    Returns:
      A refusal for each data file that holds some tensor and is missing (`checkpoint-shard-missing`),
      or that ends before the last tensor does or is a Git LFS pointer (`checkpoint-shard-short`). A data file
      that holds no tensor may be missing: TensorFlow opens a file when it reads from it.
    """
    tensors: dict[int, int] = {}
    ends: dict[int, int] = {}
    for entry in (*bundle.entries.values(), *bundle.stored_slices.values()):
        if not entry.slices:
            tensors[entry.shard] = tensors.get(entry.shard, 0) + 1
            ends[entry.shard] = max(ends.get(entry.shard, 0), entry.offset + entry.size)
    return tuple(
        finding
        for shard in sorted(ends)
        if (
            finding := _check_shard(
                data_file(bundle.prefix, shard, bundle.num_shards), tensors[shard], ends[shard], boundary
            )
        )
    )


def _check_shard(file: str, tensors: int, end: int, boundary: Boundary | None) -> Finding | None:
    stray = None
    try:
        with open_stream(file, boundary) as stream:
            size = os.fstat(stream.fileno()).st_size
            # A pointer file may be larger than a small model's weights. An empty file may be a checkpoint's.
            if 0 < size < _STRAY_BYTES:
                stray = describe_stray(stream.read())
    except (OSError, InputError) as error:
        reason = f"{file}: {error.strerror}" if isinstance(error, OSError) else str(error)
        return refusal(
            "checkpoint-shard-missing",
            f"{reason}; {tensors} of the checkpoint's tensors are in it.",
            (file,),
            "Copy the whole checkpoint: the index and all of its data files.",
        )
    if size >= end and stray is None:
        return None
    what = stray or f"has {size:,} bytes, although the checkpoint's tensors fill {end:,} bytes of it"
    return refusal(
        "checkpoint-shard-short",
        f"{file}: {what}.",
        (file,),
        "Copy the file again from where it is whole.",
    )
