"""Copies directories of a model into another model: file by file, holes as holes, links as what they are.

What is copied and what cannot be is decided in one walk, `entries`, so that audit says in advance what convert does.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.regular_files import open_regular
from migrate.sources.boundary import Boundary, LinkError
from migrate.sources.files import open_file

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, copy on write.
STAT_BLOCK_BYTES = 512
"""What `st_blocks` counts (stat(3type))."""
_CHUNK_BYTES = 1 << 20
_RANGE_BYTES = 1 << 30
_MOST_FOLLOWED = 1000
"""Links to directories outside that one copy follows: links to links double what is copied with each."""


class Kind(enum.Enum):
    """What becomes of an entry of a directory."""

    DIRECTORY = "directory"
    FILE = "file"
    LINK = "link"
    """A link to a directory that is copied as well; it stays a link."""
    OUTSIDE = "outside"
    """A link that leads out of the model; it is not followed."""
    NOT_COPIED = "not copied"


@frozen
class Entry:
    """One entry of a directory that is copied, or is not.

    Attributes:
      name: its path in that directory; empty for the directory itself.
      path: where it is.
      kind: what becomes of it.
      target: of `LINK`, what the new link holds; of `OUTSIDE` and `NOT_COPIED`, what is said of it.
    """

    name: str
    path: str
    kind: Kind
    target: str = ""


def entries(root: str, boundary: Boundary | None) -> Iterator[Entry]:
    """Walks a directory that is to be copied, each directory before what is in it.

    A link to a file stands for the file. A link to a directory that is copied itself stays a link, so that no circle
    of links is ever walked. Another directory of the model is not copied through a link.

    Args:
      root: the directory.
      boundary: where links may lead; None for anywhere.
    """
    top = os.path.realpath(root)
    pending: list[tuple[str, str, tuple[str, ...]]] = [("", top, (top,))]
    followed = 0
    while pending:
        name, folder, above = pending.pop()
        yield Entry(name, folder, Kind.DIRECTORY)
        try:
            with os.scandir(folder) as found:
                below = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Entry(name, folder, Kind.NOT_COPIED, f"cannot be listed ({error.strerror})")
            continue
        for item in below:
            inner = os.path.join(name, item.name)
            if not item.is_symlink():
                kind = _plain(item.path)
                if kind is Kind.DIRECTORY:
                    pending.append((inner, item.path, above))
                elif kind is Kind.FILE:
                    yield Entry(inner, item.path, kind)
                else:
                    yield Entry(inner, item.path, kind, "is a pipe, a socket or a device")
                continue
            real = os.path.realpath(item.path)
            if not os.path.exists(real):
                yield Entry(inner, item.path, Kind.NOT_COPIED, f"is a link that leads nowhere ({real})")
            elif boundary is not None and not boundary.holds(real):
                yield Entry(inner, item.path, Kind.OUTSIDE, real)
            elif os.path.isfile(real):
                yield Entry(inner, item.path, Kind.FILE)
            elif not os.path.isdir(real):
                yield Entry(inner, item.path, Kind.NOT_COPIED, "is a link to a pipe, a socket or a device")
            elif _is_below(real, top):
                yield Entry(inner, item.path, Kind.LINK, os.path.relpath(real, folder))
            elif boundary is not None:
                yield Entry(inner, item.path, Kind.NOT_COPIED, f"is a link to {real}, which is not copied with it")
            elif any(_is_below(other, real) for other in above):
                yield Entry(inner, item.path, Kind.NOT_COPIED, f"is a link to {real}, which it is in itself")
            elif followed >= _MOST_FOLLOWED:
                yield Entry(inner, item.path, Kind.NOT_COPIED, f"is one of more than {_MOST_FOLLOWED:,} such links")
            else:
                followed += 1
                pending.append((inner, real, (*above, real)))


def copy_tree(source: str, destination: str, boundary: Boundary | None) -> None:
    """Copies a directory as `entries` says.

    Args:
      source: the directory.
      destination: made where it is not there; a file of it that is there already is an error.
      boundary: where links may lead; None for anywhere.

    Raises:
      InputError: something in it cannot be copied.
      OSError: the copy cannot be written.
    """
    for entry in entries(source, boundary):
        target = os.path.join(destination, entry.name) if entry.name else destination
        if entry.kind is Kind.DIRECTORY:
            os.makedirs(target, exist_ok=True)
        elif entry.kind is Kind.FILE:
            copy_file(entry.path, target, boundary)
        elif entry.kind is Kind.LINK:
            os.symlink(entry.target, target)
        elif entry.kind is Kind.OUTSIDE:
            raise LinkError(f"{entry.path}: a link to {entry.target}, outside of the model; --follow_links copies it")
        else:
            raise InputError(f"{entry.path}: {entry.target}; it cannot be copied")


def copy_file(source: str, destination: str, boundary: Boundary | None = None) -> None:
    """Copies a regular file with its mode and times, to a path where nothing is.

    Raises:
      InputError: the source is no regular file, is outside of the boundary, or cannot be read.
      OSError: the copy cannot be written.
    """
    old = open_file(source, boundary)
    try:
        new = open_regular(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            copy_data(old, new)
            status = os.fstat(old)
            os.fchmod(new, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(new)
    finally:
        os.close(old)


def copy_data(old: int, new: int) -> None:
    """Copies the bytes of an open file to an empty one. Blocks are shared where the file system can; holes stay.

    Raises:
      OSError: the copy cannot be written.
    """
    with contextlib.suppress(OSError):
        fcntl.ioctl(new, _FICLONE, old)
        return
    size = os.fstat(old).st_size
    for start, end in data_ranges(old, size):
        _copy_range(old, new, start, end)
    os.ftruncate(new, size)


def data_ranges(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each part of an open file that is no hole."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(handle, offset, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: only a hole is left.
                yield offset, size  # A file system that does not tell.
            return
        yield start, min(end, size)
        offset = end


def data_bytes(path: str, status: os.stat_result) -> int:
    """Bytes of a regular file without its holes, which is what a copy of it takes.

    Args:
      path: of the file.
      status: what `os.stat` gives for it.
    """
    if status.st_blocks * STAT_BLOCK_BYTES >= status.st_size:
        return status.st_size
    try:
        handle = open_file(path)
    except (OSError, InputError):
        return status.st_size
    try:
        return sum(end - start for start, end in data_ranges(handle, status.st_size))
    finally:
        os.close(handle)


def tree_bytes(root: str, boundary: Boundary | None) -> int:
    """Bytes that a copy of a directory takes, as `entries` says what is copied."""
    return sum(
        data_bytes(entry.path, os.stat(entry.path)) for entry in entries(root, boundary) if entry.kind is Kind.FILE
    )


def _copy_range(old: int, new: int, start: int, end: int) -> None:
    while start < end:
        try:
            count = os.copy_file_range(old, new, min(end - start, _RANGE_BYTES), start, start)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise
            break  # Another file system, or one that cannot.
        if not count:
            return  # The file has become shorter.
        start += count
    while start < end and (chunk := os.pread(old, min(_CHUNK_BYTES, end - start), start)):
        view = memoryview(chunk)
        while view:
            written = os.pwrite(new, view, start)
            start += written
            view = view[written:]


def _plain(path: str) -> Kind:
    """What an entry that is no link is."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return Kind.NOT_COPIED
    return Kind.DIRECTORY if stat.S_ISDIR(mode) else Kind.FILE if stat.S_ISREG(mode) else Kind.NOT_COPIED


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
