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

from migrate.errors import InputError
from migrate.sources.wire import varint

MEMORY_BYTES = 500 << 20
"""What an audit may take by default, beyond `_TIMES` the bytes of the file."""

_TIMES = 4
_OWN_BYTES = 50 << 20
"""Of the interpreter and this program."""
_BYTES_A_BYTE = 54
"""What the smallest message, of two bytes, takes once it is parsed (measured: 107 bytes)."""
_COPIES = 2.2
"""The graph that was read, the one that is rewritten, and what changes (measured: 2 to 2.2)."""
_BYTES_A_NODE = 600
"""What this program knows of a node (measured: 470 to 1,000)."""
_LARGE_BYTES = 1 << 16
_PROCESSOR_SECONDS, _BYTES_A_SECOND = 30, 20 << 20
_ANSWER = struct.Struct("<QQ")


def check_budget(file: str, data: bytes, parse: Callable[[], int], memory_bytes: int) -> None:
    """Refuses a proto that would take more memory than it may.

    Args:
      file: its path, for messages.
      data: its bytes.
      parse: parses them and gives the number of nodes; called in a fork of this process.
      memory_bytes: what is allowed beyond four times the file.

    Raises:
      InputError: it takes more; the message names the flag that allows it.
    """
    allowed = memory_bytes + _TIMES * len(data)
    spare = allowed - _OWN_BYTES - len(data)  # For what becomes of the bytes.
    if len(data) * (1 + _BYTES_A_BYTE) <= spare / _COPIES:
        return
    # What is large in it is as large in memory, and is in memory as often as all the rest.
    small = small_bytes(data, int(max(0, spare - _COPIES * len(data)) / (_COPIES * _BYTES_A_BYTE)) + 1)
    if len(data) + _BYTES_A_BYTE * small <= max(0, spare) / _COPIES:
        return
    found = _tried(parse, int(max(0, spare) / _COPIES))
    if found is None:
        raise InputError(_too_large(file, f"more than {allowed >> 20:,} MB", len(data), memory_bytes))
    taken, nodes = found
    needed = int(_OWN_BYTES + len(data) + _COPIES * taken + _BYTES_A_NODE * nodes)
    if needed > allowed:
        what = f"about {needed >> 20:,} MB for {nodes:,} nodes"
        raise InputError(_too_large(file, what, len(data), memory_bytes))


def _too_large(file: str, what: str, size: int, memory_bytes: int) -> str:
    return (
        f"{file}: takes {what} in memory, where {memory_bytes >> 20:,} MB and {_TIMES} times its {size:,} bytes are "
        "the most; allow more with --graph_memory=MEGABYTES"
    )


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


def _tried(parse: Callable[[], int], limit: int) -> tuple[int, int] | None:
    """Bytes and nodes of what `parse` makes, found in a fork; None where it takes more than a limit."""
    answer, end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(answer)
        _try(parse, limit, end)
    os.close(end)
    try:
        found = b""
        while chunk := os.read(answer, _ANSWER.size):
            found += chunk
    finally:
        os.close(answer)
        os.waitpid(pid, 0)
    if len(found) != _ANSWER.size:
        return None
    taken, nodes = _ANSWER.unpack(found)
    return None if taken > limit else (taken, nodes)


def _try(parse: Callable[[], int], limit: int, end: int) -> None:
    """In the fork; does not return."""
    try:
        mapped, resident = _memory()
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if mapped:
                _lower(resource.RLIMIT_AS, mapped + limit)
            _lower(resource.RLIMIT_CPU, _PROCESSOR_SECONDS + limit // _BYTES_A_SECOND)
        nodes = 0
        with contextlib.suppress(InputError):  # It is damaged, and parsing it again says how.
            nodes = parse()
        os.write(end, _ANSWER.pack(max(0, _memory()[1] - resident), nodes))
        os._exit(0)
    finally:
        os._exit(1)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _memory() -> tuple[int, int]:
    """Bytes that this process has mapped, and that are resident (proc(5), statm); 0 where that cannot be read."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as stream:
            mapped, resident = stream.read(100).split()[:2]
            return int(mapped) * resource.getpagesize(), int(resident) * resource.getpagesize()
    except (OSError, ValueError):
        return 0, 0
