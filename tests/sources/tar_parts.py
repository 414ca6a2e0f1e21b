"""Parts of tar files, which say what one likes."""

from __future__ import annotations

import tarfile

BLOCK = tarfile.BLOCKSIZE


def header(kind: bytes, size: int, name: str = "header") -> bytes:
    """A header alone; what it announces need not follow."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes = b"") -> bytes:
    """A file."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf() + data + bytes(-len(data) % BLOCK)


def pax(**values: str) -> bytes:
    """A pax header; a dot in a key is written `__`."""
    records = b""
    for key, value in values.items():
        key = key.replace("__", ".")
        length = len(f" {key}={value}\n".encode())
        total = length + len(str(length))
        total = length + len(str(total))
        records += f"{total} {key}={value}\n".encode()
    return header(tarfile.XHDTYPE, len(records)) + records + bytes(-len(records) % BLOCK)
