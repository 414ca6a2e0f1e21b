"""Decides whether the proto in a file may be parsed, before it is: two bytes of a file can be a hundred in memory.

Most files are small, or consist of constants, whose bytes are as many in memory. The parsing of the others is tried in
a fork of this process, whose memory is limited.
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint
from migrate.sources.forked import fork
from migrate.sources.parsed import Parsed, all_nodes, meta_graphs
from migrate.sources.watch import (
    BYTES_A_SECOND,
    OWN_BYTES,
    SECONDS,
    TICK_BYTES,
    Undisturbed,
    Watch,
    mapped_and_resident,
)

_BYTES_A_BYTE = 120
"""What the smallest message, of two bytes, takes once it is parsed and listed (measured: 107 and 120 bytes)."""
_BYTES_A_NODE = 600
"""What this program knows of a node, at least (measured: 600 to 1,300)."""
_MOST_BYTES_A_NODE = 1_300
_BYTES_AN_ENTRY = 250
"""The same of a signature or an asset."""
_LARGE_BYTES = 1 << 16
_ANSWER = struct.Struct("<QQQQ")


class Excess(NamedTuple):
    """A proto may take more memory than it may.

    Attributes:
      said: what it takes, for `Watch.memory_message`.
      enough_bytes: what suffices; 0 where that is not known.
      is_certain: whether it does so in any case; else it depends on what the graph is.
    """

    said: str
    enough_bytes: int = 0
    is_certain: bool = True


def over_budget(data: bytes, parse: Callable[[], Parsed], watch: Watch) -> Excess | None:
    """Says that a proto may take more memory than it may. What it takes beyond what is counted here is watched.

    Args:
      data: its bytes.
      parse: parses them; called in a fork of this process.
      watch: over the audit, which has been told of the file.

    Returns:
      What is too much; None where nothing is.
    """
    allowed = watch.bytes_allowed
    spare = max(0, allowed - OWN_BYTES - len(data))  # The file is in memory while it is parsed.
    if len(data) * (1 + _BYTES_A_BYTE) <= spare:
        return None
    # What is large in it is as large in memory.
    small = small_bytes(data, max(0, spare - len(data)) // _BYTES_A_BYTE + 1)
    if len(data) + _BYTES_A_BYTE * small <= spare:
        return None
    found = _tried(parse, spare)
    if found is None:
        return Excess(f"more than {allowed >> 20:,} MB")
    taken, nodes, entries, copies = found
    needed = OWN_BYTES + copies * taken + _BYTES_A_NODE * nodes + _BYTES_AN_ENTRY * entries
    most = needed + (_MOST_BYTES_A_NODE - _BYTES_A_NODE) * nodes
    said = f"about {needed >> 20:,} MB for {nodes:,} nodes"
    return Excess(said, most + TICK_BYTES, needed > allowed) if most > allowed else None


def small_bytes(data: bytes, enough: int) -> int:
    """How many bytes of a message are not in large strings. Counts no further than to `enough`.

    No message class is needed: a field of more than 64 KB is looked into as if it were a message, which a string of
    other bytes ceases to be after a few of them.
    """
    found = 0
    pending = [(0, len(data))]
    while pending and found < enough:
        position, end = pending.pop()
        while position < end and found < enough:
            start = position
            tag, position = varint(data, position)
            kind = tag & 7 if tag >> 3 else 7  # No field has the number 0.
            if kind == 2:
                length, position = varint(data, position)
                if length > _LARGE_BYTES:
                    pending.append((position, min(position + length, end)))
                    found += position - start
                    position += length
                    continue
                position += length
            elif kind == 0:
                _, position = varint(data, position)
            elif kind in (1, 5):
                position += 8 if kind == 1 else 4
            elif kind in (6, 7):
                break  # No message, or no more of one.
            found += min(position, end) - start
    return found


def _copies(parsed: Parsed) -> int:
    """How often the graph is in memory at once: twice where functions may be inlined, or something be left out."""
    return max(
        2 if m.graph_def.library.function or m.asset_file_def or m.collection_def else 1 for m in meta_graphs(parsed)
    )


def _tried(parse: Callable[[], Parsed], limit: int) -> tuple[int, int, int, int] | None:
    """What `parse` makes, found in a fork: bytes, nodes, entries, copies; None where it takes more than a limit."""
    with Undisturbed():
        pid, answer = fork(lambda end: _try(parse, limit, end))
        try:
            found = b""
            while chunk := os.read(answer, _ANSWER.size):
                found += chunk
        finally:
            os.close(answer)
            os.waitpid(pid, 0)
    if len(found) != _ANSWER.size:
        return None
    taken, nodes, entries, copies = _ANSWER.unpack(found)
    return None if taken > limit else (taken, nodes, entries, copies)


def _try(parse: Callable[[], Parsed], limit: int, end: int) -> NoReturn:
    """In the fork; does not return."""
    try:
        mapped, resident = mapped_and_resident()
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if mapped:
                _lower(resource.RLIMIT_AS, mapped + limit)
            _lower(resource.RLIMIT_CPU, int(SECONDS) + limit // BYTES_A_SECOND)
        nodes, entries, copies = 0, 0, 1
        with contextlib.suppress(InputError):  # It is damaged, and parsing it again says how.
            parsed = parse()
            nodes, copies = all_nodes(parsed), _copies(parsed)
            entries = sum(len(m.signature_def) + len(m.asset_file_def) for m in meta_graphs(parsed))
        os.write(end, _ANSWER.pack(max(0, mapped_and_resident()[1] - resident), nodes, entries, copies))
        os._exit(0)
    finally:
        os._exit(1)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
