"""Directories that one process owns: nobody else removes one before the process has ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator


def clear_leftovers(parent: str, prefix: str) -> None:
    """Removes directories named `prefix` and anything that no living process has `claim`ed: its owner was killed."""
    for entry in os.listdir(parent):
        if not entry.startswith(prefix):
            continue
        path = os.path.join(parent, entry)
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)


@contextlib.contextmanager
def claim(prefix: str, parent: str) -> Iterator[str]:
    """A new directory that is ours until the block ends or this process dies, and is then free to be cleared away.

    The kernel keeps the lock, so neither a process id that was given out again nor a clock can make a living
    process's directory look dead, or a dead one's alive.
    """
    directory, handle = _claimed(prefix, parent)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(handle)


def _claimed(prefix: str, parent: str) -> tuple[str, int]:
    """A new directory and its lock."""
    while True:
        directory = tempfile.mkdtemp(prefix=prefix, dir=parent)
        try:
            handle = os.open(directory, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Cleared away by another process before it could be locked.
        with contextlib.suppress(OSError):  # A file system without locks; then nothing is ever cleared away.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.isdir(directory):
            return directory, handle
        os.close(handle)  # Cleared away while this process waited for the lock.
