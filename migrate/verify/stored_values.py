"""Values of a checkpoint, read without TensorFlow, to be compared with constants."""

from __future__ import annotations

import os
from collections.abc import Collection

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint
from migrate.regular_files import open_regular
from migrate.sources.bundle import Bundle, Entry, data_file, read_bundle
from migrate.sources.sniff import is_v1_checkpoint
from migrate.verify.values import Content, content_of, content_of_strings

_CHECKSUM_BYTES = 4
"""After the lengths of strings (tensor_bundle.cc, WriteStringTensor)."""


def stored_contents(prefix: str | None, forms: Collection[tuple[str, tuple[int, ...]]]) -> frozenset[Content] | None:
    """The values of a checkpoint's tensors of some dtypes and shapes; None where it is of TF1's first format.

    Args:
      prefix: of the checkpoint, or None.
      forms: dtypes by TensorFlow's name, and shapes.
    """
    if prefix is None:
        return frozenset()
    try:
        bundle = read_bundle(prefix)
    except InputError:
        return None if is_v1_checkpoint(prefix) else frozenset()
    found = set()
    for entry in bundle.entries.values():
        if (entry.dtype, entry.shape) in forms and not entry.slices:
            content = _content(bundle, prefix, entry)
            if content is not None:
                found.add(content)
    return frozenset(found)


def _content(bundle: Bundle, prefix: str, entry: Entry) -> Content | None:
    try:
        with os.fdopen(open_regular(data_file(prefix, entry.shard, bundle.num_shards), os.O_RDONLY), "rb") as file:
            file.seek(entry.offset)
            raw = file.read(entry.size)
    except (OSError, InputError):
        return None
    if entry.dtype != "string":
        return content_of(entry.dtype, entry.shape, raw) if len(raw) == entry.size else None
    strings = strings_of(raw, entry.shape)
    return None if strings is None else content_of_strings(entry.shape, strings)


def strings_of(raw: bytes, shape: tuple[int, ...]) -> list[bytes] | None:
    """The strings of a tensor as a bundle stores it: lengths, a checksum, and the bytes; None where it is damaged."""
    count = 1
    for size in shape:
        count *= size
    lengths: list[int] = []
    position = 0
    while len(lengths) < count:
        length, position = varint(raw, position)
        if position > len(raw):
            return None
        lengths.append(length)
    position += _CHECKSUM_BYTES
    if len(raw) != position + sum(lengths):
        return None
    found = []
    for length in lengths:
        found.append(raw[position : position + length])
        position += length
    return found
