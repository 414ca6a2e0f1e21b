"""What files hold, told by checksums: tensors of checkpoints, and assets."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Hashable, Iterator, Sequence

from migrate.errors import InputError
from migrate.graph.dtypes import base_name
from migrate.graph.protos import TensorProto
from migrate.proof.constants import numbers, shape_of, strings
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import FULL_EXTENT, Bundle, Entry, Slice, check_shards, data_file, index_file, read_bundle
from migrate.sources.files import open_stream, read_file
from migrate.sources.leveldb import read_table
from migrate.sources.sniff import is_v1_checkpoint


class Checkpoint:
    """A checkpoint, read when it is asked for."""

    def __init__(self, prefix: str | None, boundary: Boundary | None = None, reads_data: bool = False) -> None:
        """Begins.

        Args:
          prefix: what a restore op is given; None for no checkpoint.
          boundary: where its files may be; None for anywhere.
          reads_data: whether the data must have the checksums that the index says; TensorFlow fails on other data.
        """
        self._prefix, self._boundary, self._reads_data = prefix, boundary, reads_data
        self._bundle: Bundle | None = None
        self._v1: bool | None = None
        self._tensors: dict[str, dict[Slice, Hashable]] = {}
        self.problem = "" if prefix is not None else "there is no checkpoint"

    def content(self, key: str, slice_spec: str = "") -> Hashable | None:
        """Dtype, shape, size and checksum of a tensor, or of a slice of it; None where there is no such.

        Args:
          key: the tensor's name.
          slice_spec: as RestoreV2 takes it (`10 4 0,4:0,4`; `-` for all of a dimension), or empty.
        """
        if self._is_v1():
            return self._v1_content(key, slice_spec)
        bundle = self._read()
        if bundle is None:
            return None
        entry: Entry | None = bundle.entries.get(key)
        if entry is None:
            return None
        if slice_spec:
            wanted = _slice(slice_spec, entry.shape)
            entry = None if wanted is None else bundle.find_slice(key, wanted)
        elif entry.slices:
            entry = bundle.find_slice(key, Slice((0,) * len(entry.shape), entry.shape))
        if entry is None or (self._reads_data and not self._is_whole(bundle, entry)):
            return None
        return (entry.dtype, entry.shape, entry.size, entry.crc32c, bundle.endianness)

    def _is_whole(self, bundle: Bundle, entry: Entry) -> bool:
        """Whether the data of a tensor has its checksum."""
        import google_crc32c

        checksum = google_crc32c.Checksum()
        left = entry.size
        with open_stream(data_file(bundle.prefix, entry.shard, bundle.num_shards), self._boundary) as stream:
            stream.seek(entry.offset)
            if entry.dtype == "string":
                sizes = _lengths(stream.read(min(left, 10 * math.prod(entry.shape))), math.prod(entry.shape))
                if sizes is None:
                    return False
                # Of strings the lengths count as numbers of four or eight bytes (tensor_bundle.cc, WriteStringTensor).
                for length in sizes[0]:
                    checksum.update(length.to_bytes(4 if length < 1 << 32 else 8, "little"))
                left -= sizes[1]
                stream.seek(entry.offset + sizes[1])
            while left and (block := stream.read(min(left, _BLOCK_BYTES))):
                checksum.update(block)
                left -= len(block)
        crc = int.from_bytes(checksum.digest(), "big")
        return not left and _masked(crc) == entry.crc32c

    def _is_v1(self) -> bool:
        if self._v1 is None:
            prefix = self._prefix
            self._v1 = prefix is not None and not os.path.exists(index_file(prefix)) and is_v1_checkpoint(prefix)
        return self._v1

    def _v1_content(self, key: str, slice_spec: str) -> Hashable | None:
        """The same of a V1 checkpoint, which has no checksums: of the bytes that a V2 one would hold."""
        if not self._tensors and not self.problem:
            try:
                self._tensors = dict(_v1_tensors(self._prefix or "", self._boundary))
            except (InputError, OSError) as error:
                self.problem = str(error)
        parts = self._tensors.get(key)
        if parts is None:
            return None
        if not slice_spec and len(parts) == 1:
            found = next(iter(parts.values()))
            return found if all(extent == FULL_EXTENT for extent in next(iter(parts)).lengths) else None
        for stored, content in parts.items():
            rank = len(stored.starts)
            full = tuple(map(int, slice_spec.split(" ")[:-1])) if slice_spec else ()
            if len(full) == rank:
                wanted = _slice(slice_spec, full)
                if wanted is not None and wanted.resolved(full) == stored.resolved(full):
                    return content
        return None

    def _read(self) -> Bundle | None:
        if self._bundle is None and not self.problem and self._prefix is not None:
            try:
                self._bundle = read_bundle(self._prefix, self._boundary)
                missing = check_shards(self._bundle, self._boundary)
                if missing:
                    self.problem, self._bundle = missing[0].message, None
            except (InputError, OSError) as error:
                self.problem = str(error)
        return self._bundle


_BLOCK_BYTES = 1 << 22
_LARGEST_TABLE_BYTES = 1 << 30
"""A V1 checkpoint has to be read as a whole; a larger one is not proved."""


def _v1_tensors(path: str, boundary: Boundary | None) -> Iterator[tuple[str, dict[Slice, Hashable]]]:
    """What each slice of each tensor of a V1 checkpoint holds."""
    from migrate.graph.data_protos import SavedTensorSlices
    from migrate.sources.v1_checkpoint import read_v1_checkpoint

    known = read_v1_checkpoint(path, boundary)
    found: dict[str, dict[Slice, Hashable]] = {}
    for file in known.files:
        data = read_file(file, _LARGEST_TABLE_BYTES, boundary)
        for key, value in read_table(data, file):
            if key == b"":
                continue
            slices = SavedTensorSlices.FromString(value)
            name = slices.data.name
            tensor = known.tensors.get(name)
            if tensor is None:
                continue
            extents = slices.data.slice.extent
            stored = Slice(
                tuple(extent.start for extent in extents),
                tuple(e.length if e.HasField("length") else FULL_EXTENT for e in extents),
            )
            if len(stored.starts) != len(tensor.shape):
                continue
            shape = stored.resolved(tensor.shape).lengths
            proto = slices.data.data
            content = numbers(proto, tensor.dtype, math.prod(shape))
            if content is None:
                continue
            found.setdefault(name, {})[stored] = as_stored(tensor.dtype, shape, content)
    yield from found.items()


def as_stored(dtype: str, shape: tuple[int, ...], data: bytes) -> Hashable:
    """What a V2 checkpoint says of a tensor of numbers: dtype, shape, size, masked checksum, byte order."""
    import google_crc32c

    return (dtype, shape, len(data), _masked(google_crc32c.value(data)), "LITTLE")


def strings_as_stored(shape: tuple[int, ...], values: Sequence[bytes]) -> Hashable:
    """The same of a tensor of strings: lengths, a checksum of them, then the bytes (tensor_bundle.cc)."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    size = _CHECKSUM_BYTES
    for value in values:
        length = len(value)
        checksum.update(length.to_bytes(4 if length < 1 << 32 else 8, "little"))
        size += max(1, -(-length.bit_length() // 7)) + length
    of_lengths = _masked(int.from_bytes(checksum.digest(), "big"))
    checksum.update(of_lengths.to_bytes(_CHECKSUM_BYTES, "little"))
    for value in values:
        checksum.update(value)
    return ("string", shape, size, _masked(int.from_bytes(checksum.digest(), "big")), "LITTLE")


def constant_as_stored(proto: TensorProto) -> Hashable | None:
    """What a checkpoint would say of a constant; None for one that nobody can read."""
    shape, dtype = shape_of(proto), base_name(proto.dtype)
    if shape is None:
        return None
    if dtype == "string":
        values = strings(proto, math.prod(shape))
        return None if values is None else strings_as_stored(shape, values)
    data = numbers(proto, dtype, math.prod(shape))
    return None if data is None else as_stored(dtype, shape, data)


_CHECKSUM_BYTES = 4


def _masked(crc: int) -> int:
    """A checksum as it is stored (crc32c.h, Mask)."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _lengths(data: bytes, count: int) -> tuple[list[int], int] | None:
    """Lengths of the strings of a tensor, which come before them as varints, and how many bytes they take."""
    found = []
    position = 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(data) or shift > 63:
                return None
            byte = data[position]
            length |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if byte < 128:
                break
        found.append(length)
    return found, position


def _slice(spec: str, shape: tuple[int, ...]) -> Slice | None:
    """A slice as RestoreV2 takes it (saved_tensor_slice_util.cc, ParseShapeAndSlice)."""
    *sizes, bounds = spec.split(" ")
    parts = bounds.split(":")
    try:
        if tuple(map(int, sizes)) != shape or len(parts) != len(shape):
            return None
        pairs = [
            (0, size) if part == "-" else tuple(map(int, part.split(",")))
            for part, size in zip(parts, shape, strict=True)
        ]
    except ValueError:
        return None
    if any(len(pair) != 2 for pair in pairs):
        return None
    return Slice(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def file_digest(path: str, boundary: Boundary | None = None) -> Hashable | None:
    """A digest of a file's bytes; None where it cannot be read."""
    try:
        if not os.path.isfile(path):
            return None
        digest = hashlib.sha256()
        with open_stream(path, boundary) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.digest()
    except (OSError, InputError):
        return None
