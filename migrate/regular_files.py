"""Opens the files that this program writes: regular files, and never through a link.

Where others may write, a name of ours may already be a link to a file of theirs, a pipe that blocks, or a device. A
hard link cannot be told from the file itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import IO

_NO_LINK = "a link, through which nothing is read or written"
_NOT_REGULAR = "not a regular file"


def open_regular(path: str, flags: int, mode: int = 0o666, *, folder: int | None = None) -> int:
    """Opens a regular file, or makes it.

    Args:
      path: of the file; its last name must not be a link.
      flags: as `os.open` takes them.
      mode: of a file that is made.
      folder: descriptor of the directory that `path` is relative to, or None for the working directory.

    Returns:
      A descriptor.

    Raises:
      OSError: it cannot be opened, is a link, or is not a regular file; `strerror` says which.
    """
    try:
        # O_NONBLOCK: a pipe is not waited for. It means nothing to a regular file.
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, mode, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, _NO_LINK, path) from error
        if error.errno == errno.ENXIO:  # A pipe that nobody reads, or a socket (open(2)).
            raise OSError(errno.EINVAL, _NOT_REGULAR, path) from error
        raise
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, _NOT_REGULAR, path)


def create(path: str) -> IO[bytes]:
    """A new or emptied regular file to write to.

    Raises:
      OSError: see `open_regular`.
    """
    return os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")


def replace(path: str, data: bytes, mode: int = 0o666) -> None:
    """Writes a file, which appears whole or not at all; a file or link of that name is replaced, never written through.

    Args:
      path: of the file.
      data: its bytes.
      mode: of the file, as far as the process's mask allows.

    Raises:
      OSError: it cannot be written; what was there is still there.

    Example:
      >>> import tempfile
      >>> folder = tempfile.TemporaryDirectory()
      >>> file = os.path.join(folder.name, "file")
      >>> replace(file, b"old"), replace(file, b"new")
      (None, None)
      >>> open(file, "rb").read(), os.listdir(folder.name)
      (b'new', ['file'])
    """
    # Not by the process's number alone: several machines may write to one directory.
    partial = os.path.join(os.path.dirname(path), f".partial-{os.getpid()}-{os.urandom(6).hex()}")
    handle = open_regular(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def flush(path: str) -> None:
    """Waits until a file or a directory is on the disk.

    Raises:
      OSError: it cannot be opened or written.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_directory(path: str) -> int:
    """Opens a directory that is no link; its descriptor serves as `folder` for `open_regular`.

    Raises:
      OSError: it cannot be opened, or is a link or a file; `strerror` says which.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if os.path.islink(path):
            raise OSError(errno.ELOOP, _NO_LINK, path) from error
        raise
