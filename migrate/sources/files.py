"""Reads and copies what a model's directory claims to hold; what is no regular file is refused, not waited for."""

from __future__ import annotations

import os
import shutil
import stat

from migrate.errors import InputError


def read_file(path: str, largest_bytes: int) -> bytes:
    """The bytes of a regular file.

    A pipe would block for ever, a device or a sparse file would fill the memory.

    Args:
      path: the file; links are followed.
      largest_bytes: what no sound file of this kind exceeds.

    Raises:
      FileNotFoundError: nothing is there.
      InputError: it is no regular file, too large, or cannot be read.
    """
    check_regular(path)
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > largest_bytes:
                raise InputError(f"{path}: {size:,} bytes, where {largest_bytes:,} are the most that makes sense")
            return stream.read(size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


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
        raise InputError(f"{path}: no regular file but a pipe, a socket or a device")


def copy_file(source: str, destination: str) -> str:
    """As `shutil.copy2`, of regular files alone; a `copy_function` for `shutil.copytree`.

    Raises:
      InputError: the source is no regular file.
    """
    check_regular(source)
    return str(shutil.copy2(source, destination))
