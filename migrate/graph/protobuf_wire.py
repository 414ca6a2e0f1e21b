"""The wire format of protocol buffers, as far as it is needed without a message's class.

Source: protobuf.dev, Encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

LENGTH_DELIMITED = 2
"""The wire type of messages, strings and bytes."""


def varint(data: bytes | mmap.mmap, position: int) -> tuple[int, int]:
    """Reads a number of 64 bits at most.

    Returns:
      The number and the position after it, which is past the end where the data ends within the number. The byte before
      that position has its high bit set where the number has more than 64 bits.

    Example:
      >>> varint(b"\\x96\\x01", 0)
      (150, 2)
    """
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


def write_varint(number: int) -> bytes:
    """The bytes of a number that is not negative.

    Example:
      >>> varint(write_varint(300), 0)
      (300, 2)
    """
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def messages(data: bytes) -> list[tuple[int, bytes]]:
    """(field number, content) of a message of which every field is a message or a string, in order.

    Raises:
      ValueError: it has a field of another type, or is cut off.

    Example:
      >>> messages(b"\\x0a\\x02ab\\x12\\x00")
      [(1, b'ab'), (2, b'')]
    """
    found = []
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        length, position = varint(data, position)
        if tag & 7 != LENGTH_DELIMITED or position + length > len(data):
            raise ValueError("not a message of messages and strings")
        found.append((tag >> 3, data[position : position + length]))
        position += length
    return found


class Field(NamedTuple):
    """A field of a message.

    Attributes:
      number: of the field.
      kind: its wire type.
      start: where its tag begins.
      content: where its content begins.
      end: where it ends.
    """

    number: int
    kind: int
    start: int
    content: int
    end: int


def fields(data: bytes | mmap.mmap, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two positions, in order.

    Raises:
      ValueError: it is no message, or is cut off.

    Example:
      >>> [tuple(field) for field in fields(b"\\x08\\x05\\x12\\x01a", 0, 5)]
      [(1, 0, 0, 1, 2), (2, 2, 2, 4, 5)]
    """
    position = start
    while position < end:
        first = position
        tag, position = varint(data, position)
        content = position
        match tag & 7:
            case 0:
                _, position = varint(data, position)
            case 1:
                position += 8
            case 2:
                length, content = varint(data, position)
                position = content + length
            case 5:
                position += 4
            case _:
                raise ValueError("not a message")
        if position > end:
            raise ValueError("cut off")
        yield Field(tag >> 3, tag & 7, first, content, position)
