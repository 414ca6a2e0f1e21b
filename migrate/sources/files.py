"""Opens, reads and copies what a model's directory claims to hold.

Anything that is not a regular file is rejected rather than opened, and a file outside of the model's boundary rather
than read. All files below a model that this program reads by itself are opened in `open_file`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from typing import IO

from migrate.errors import InputError
from migrate.sources.boundary import Boundary

_CHUNK_BYTES = 1 << 20


def open_file(path: str, boundary: Boundary | None = None) -> int:
    """Opens a regular file for reading.

    Args:
      path: the file; links are followed within the boundary.
      boundary: where it may be; None for anywhere.

    Returns:
      A descriptor.

    Raises:
      FileNotFoundError: nothing is there.
      LinkError: it is outside of the boundary.
      InputError: it is not a regular file, or cannot be opened.
    """
    check_regular(path)
    try:
        # O_NONBLOCK: it may have become a pipe since.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{path}: a pipe, a socket or a device, not a regular file")
        if boundary is not None:
            boundary.check(handle, path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_stream(path: str, boundary: Boundary | None = None) -> IO[bytes]:
    """As `open_file`, as a file object."""
    return os.fdopen(open_file(path, boundary), "rb")


def read_file(
    path: str, largest_bytes: int, boundary: Boundary | None = None, expect: Callable[[int], object] | None = None
) -> bytes:
    """The bytes of a regular file.

    A pipe would block for ever, a device or a sparse file would fill the memory.

    Args:
      path: the file; links are followed within the boundary.
      largest_bytes: what no sound file of this kind exceeds.
      boundary: where it may be; None for anywhere.
      expect: told how many bytes they are before they are read.

    Raises:
      FileNotFoundError: nothing is there.
      LinkError: it is outside of the boundary.
      InputError: it is no regular file, too large, or cannot be read.
    """
    with open_stream(path, boundary) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > largest_bytes:
            raise InputError(f"{path}: {size:,} bytes, where {largest_bytes:,} are the most that makes sense")
        if expect is not None:
            expect(size)
        try:
            return stream.read(size)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def digest_of(file: str, boundary: Boundary | None = None) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Args:
      file: its path.
      boundary: where it may be; None for anywhere.

    Raises:
      OSError: it cannot be read.
      InputError: it is no regular file, or outside of the boundary.
    """
    digest = hashlib.sha256()
    with open_stream(file, boundary) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_regular(path: str) -> None:
    """Looks at a path without opening it.

    Raises:
      FileNotFoundError: nothing is there.
      InputError: it is a pipe, a device, a socket or a directory, or cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: cannot be read (Is a directory)")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: a pipe, a socket or a device, not a regular file")
