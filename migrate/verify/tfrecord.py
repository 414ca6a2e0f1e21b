"""Reads TFRecord files: each record with its length and two checksums (tensorflow/core/lib/io/record_writer.h)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.sources.leveldb import masked_crc32c

_LENGTH = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")


def is_tfrecord(head: bytes) -> bool:
    """Whether a file that begins so is a TFRecord file: the checksum of its first length says so."""
    if len(head) < _LENGTH.size:
        return False
    return bool(_LENGTH.unpack_from(head)[1] == masked_crc32c(head[:8]))


def records(path: str, data: bytes) -> Iterator[bytes]:
    """The records of a file, each of which is checked before it is given.

    Args:
      path: of the file, for messages.
      data: its content.

    Raises:
      InputError: at a record that is damaged or cut short, or where the file is no TFRecord file.
    """
    position, number = 0, 0
    while position < len(data):
        where = f"{path}: record {number}"
        if len(data) - position < _LENGTH.size:
            raise InputError(f"{where}: the file ends inside of it" if number else f"{path}: no TFRecord file")
        length, crc = _LENGTH.unpack_from(data, position)
        if crc != masked_crc32c(data[position : position + 8]):
            raise InputError(f"{where}: damaged: the checksum of its length differs" if number else _other(path, data))
        start, end = position + _LENGTH.size, position + _LENGTH.size + length
        if end + _CHECKSUM.size > len(data):
            left = max(0, len(data) - start - _CHECKSUM.size)
            raise InputError(f"{where}: the file ends inside of it: {length:,} bytes, of which {left:,} are there")
        record = data[start:end]
        if _CHECKSUM.unpack_from(data, end)[0] != masked_crc32c(record):
            raise InputError(f"{where}: damaged: the checksum of its {length:,} bytes differs")
        yield record
        position, number = end + _CHECKSUM.size, number + 1


def _other(path: str, data: bytes) -> str:
    """What a file is that does not begin with a record."""
    if data.startswith(_GZIP) or data[:2] in _ZLIB:
        return f"{path}: is compressed; a model server reads its requests uncompressed, and so does migrate"
    return f"{path}: no TFRecord file: the checksum of its first length differs"
