"""Bytes of protos that are written by hand."""

from __future__ import annotations


def length(size: int) -> bytes:
    """A length as a varint."""
    found = b""
    while size > 127:
        found += bytes([size & 127 | 128])
        size >>= 7
    return found + bytes([size])
