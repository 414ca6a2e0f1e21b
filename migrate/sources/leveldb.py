"""Reads and writes tables of TensorFlow's tensorflow/core/lib/io, LevelDB's format, and the ordered code of its keys.

A table is a run of blocks, an index block that points to them and a footer that points to the index
(format.cc, table.cc, block.cc). Everything but the footer is under a checksum.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import google_crc32c

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint, write_varint
from migrate.sources.files import check_regular

_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
"""format.h, kTableMagicNumber."""
_FOOTER_BYTES = 48
"""format.h, Footer::kEncodedLength: two handles of 2 varints of 10 bytes at most, padded, and the magic."""
_TRAILER_BYTES = 5
"""format.h, kBlockTrailerSize: compression type and masked CRC-32C of block and type."""
_CRC_MASK_DELTA = 0xA282EAD8
"""crc32c.h, kMaskDelta."""
_NOT_COMPRESSED, _SNAPPY = 0, 1
_LARGEST_BLOCK_BYTES = 1 << 26
"""Blocks are closed at some kilobytes (table_options.h, block_size); one of more than 64 MB is no index's."""


class _OutOfBytesError(Exception):
    """A number or an entry reaches past the end of what holds it."""


def is_table(path: str) -> bool:
    """Whether a file ends as a table does. A missing or unreadable file does not."""
    try:
        check_regular(path)
        with open(path, "rb") as stream:
            return ends_as_table(stream.fileno())
    except (OSError, InputError):
        return False


def ends_as_table(handle: int) -> bool:
    """Whether an open file ends as a table does."""
    size = os.fstat(handle).st_size
    return size >= _FOOTER_BYTES and os.pread(handle, len(_MAGIC), size - len(_MAGIC)) == _MAGIC


def read_table(data: bytes, file: str) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table, in the order of the keys.

    Args:
      data: the whole file.
      file: its name, for messages.

    Raises:
      InputError: the bytes are no table, are cut off, fail a checksum or are compressed.
    """
    if len(data) < _FOOTER_BYTES or data[-len(_MAGIC) :] != _MAGIC:
        raise InputError(
            f"{file}: not a tensor bundle's index, or cut off (its {len(data):,} bytes do not end with the "
            "magic number of a table)"
        )
    footer = data[-_FOOTER_BYTES : -len(_MAGIC)]
    last_key: bytes | None = None
    try:
        # The metaindex, which TensorFlow leaves empty and does not read.
        _, position = _varint(footer, 0)
        _, position = _varint(footer, position)
        index = _block(data, footer, position, file)
        for _, handle in _entries(index):
            for key, value in _entries(_block(data, handle, 0, file)):
                if last_key is not None and key <= last_key:
                    raise InputError(f"{file}: damaged: its keys are out of order after {last_key!r}")
                last_key = key
                yield key, value
    except _OutOfBytesError as error:
        raise InputError(f"{file}: damaged or cut off: {error}") from error


def _block(data: bytes, handle: bytes, position: int, file: str) -> bytes:
    """The contents of the block that a handle at a position points to, after checking them (ReadBlock)."""
    offset, position = _varint(handle, position)
    size, _ = _varint(handle, position)
    end = offset + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES:
        raise _OutOfBytesError(f"a block of {size:,} bytes at {offset:,} reaches past the end")
    expected = int.from_bytes(data[end + 1 : end + _TRAILER_BYTES], "little")
    if masked_crc32c(data[offset : end + 1]) != expected:
        raise InputError(f"{file}: damaged: the block at byte {offset:,} does not match its checksum")
    compression = data[end]
    if compression == _SNAPPY:
        import cramjam  # Only here, since most indexes are not compressed and start-up should be short.

        unfolded, _ = _varint(data, offset)  # A Snappy block starts with its length (format_description.txt).
        if unfolded > _LARGEST_BLOCK_BYTES:
            raise InputError(f"{file}: damaged: the block at byte {offset:,} would unfold to {unfolded:,} bytes")
        try:
            return bytes(cramjam.snappy.decompress_raw(data[offset:end]))
        except cramjam.DecompressionError as error:
            raise InputError(f"{file}: damaged: the block at byte {offset:,} cannot be decompressed") from error
    if compression != _NOT_COMPRESSED:
        raise InputError(f"{file}: the block at byte {offset:,} has an unknown compression ({compression})")
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block, each key stored as what differs from the one before (block_builder.cc)."""
    if len(block) < 4:
        raise _OutOfBytesError("a block without restart points")
    restarts = int.from_bytes(block[-4:], "little")
    limit = len(block) - 4 - 4 * restarts
    if limit < 0:
        raise _OutOfBytesError("a block of restart points alone")
    key = b""
    position = 0
    while position < limit:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        value_bytes, position = _varint(block, position)
        value_start = position + unshared
        end = value_start + value_bytes
        if shared > len(key) or end > limit:
            raise _OutOfBytesError("an entry reaches past the end of its block")
        key = key[:shared] + block[position:value_start]
        yield key, block[value_start:end]
        position = end


def masked_crc32c(data: bytes) -> int:
    """CRC-32C, masked as TensorFlow stores it (crc32c.h, Mask)."""
    return mask(google_crc32c.value(data))


def mask(crc: int) -> int:
    """A CRC-32C as TensorFlow stores it, since a checksum of checksums is weak (crc32c.h, Mask)."""
    return (((crc >> 15) | (crc << 17)) + _CRC_MASK_DELTA) & 0xFFFFFFFF


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number at a position, and the position after it (coding.cc, GetVarint64Ptr)."""
    value, end = varint(data, position)
    if end > len(data):
        raise _OutOfBytesError("a number reaches past the end")
    if data[end - 1] >= 0x80:
        raise _OutOfBytesError("a number of more than 64 bits")
    return value, end


# Ordered code (tensorflow/core/lib/strings/ordered_code.cc): each function gives a value and the position
# after it, and raises ValueError where the bytes are no such code.


def read_ordered_string(code: bytes, position: int) -> tuple[bytes, int]:
    """A string: 00 01 ends it, 00 FF means 00 and FF 00 means FF.

    Example:
      >>> read_ordered_string(b"ab\\x00\\x01rest", 0)
      (b'ab', 4)
    """
    value = bytearray()
    while True:
        pair = code[position : position + 2]
        if pair == b"\x00\x01":
            return bytes(value), position + 2
        if pair in (b"\x00\xff", b"\xff\x00"):
            value.append(pair[0])
            position += 2
        elif not pair or pair[0] in (0x00, 0xFF):
            raise ValueError("a string without an end")
        else:
            value.append(pair[0])
            position += 1


def read_ordered_unsigned(code: bytes, position: int) -> tuple[int, int]:
    """An unsigned number: a byte that counts those after it, which hold the number, big-endian."""
    length = code[position] if position < len(code) else 9
    end = position + 1 + length
    if length > 8 or end > len(code):
        raise ValueError("an unsigned number without an end")
    return int.from_bytes(code[position + 1 : end], "big"), end


def read_ordered_signed(code: bytes, position: int) -> tuple[int, int]:
    """A signed number: as many leading bits like the sign as it has bytes (1 to 10), one unlike, the rest.

    A negative number is stored as the complement of the code of its own complement.
    """
    if position >= len(code):
        raise ValueError("a signed number without an end")
    negative = code[position] < 0x80
    flip = 0xFFFF if negative else 0
    head = int.from_bytes(code[position : position + 2].ljust(2, b"\0"), "big") ^ flip
    length = 16 - (head ^ 0xFFFF).bit_length()
    end = position + length
    if length > 10 or end > len(code):
        raise ValueError("a signed number without an end")
    bits = int.from_bytes(code[position:end], "big")
    if negative:
        bits ^= (1 << 8 * length) - 1
    value = bits & ((1 << 7 * length - 1) - 1)
    return (~value if negative else value), end


_RESTART_INTERVAL = 16  # table_options.h, block_restart_interval
_BLOCK_BYTES = 4096


def write_table(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A table of keys and values, uncompressed, as TableBuilder writes it (table_builder.cc, block_builder.cc).

    Args:
      items: in the order of their keys, each key once.

    Example:
      >>> list(read_table(write_table([(b"a", b"1"), (b"b", b"2")]), "x.index"))
      [(b'a', b'1'), (b'b', b'2')]
    """
    data = bytearray()
    index: list[tuple[bytes, bytes]] = []
    block: list[tuple[bytes, bytes]] = []
    size = 0

    def close() -> None:
        index.append((block[-1][0], _write_block(data, block)))
        block.clear()

    for key, value in items:
        block.append((key, value))
        size += len(key) + len(value)
        if size >= _BLOCK_BYTES:
            close()
            size = 0
    if block:
        close()
    meta = _write_block(data, [])
    footer = meta + _write_block(data, index)
    return bytes(data) + footer.ljust(_FOOTER_BYTES - len(_MAGIC), b"\0") + _MAGIC


def _write_block(data: bytearray, items: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Appends a block with its trailer to `data`; gives its handle."""
    block = bytearray()
    restarts = []
    last = b""
    for number, (key, value) in enumerate(items):
        shared = 0
        if number % _RESTART_INTERVAL:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        else:
            restarts.append(len(block))
        block += write_varint(shared) + write_varint(len(key) - shared) + write_varint(len(value))
        block += key[shared:] + value
        last = key
    for restart in restarts or [0]:
        block += restart.to_bytes(4, "little")
    block += max(1, len(restarts)).to_bytes(4, "little")
    handle = write_varint(len(data)) + write_varint(len(block))
    block.append(_NOT_COMPRESSED)
    data += block
    data += masked_crc32c(bytes(block)).to_bytes(4, "little")
    return handle
