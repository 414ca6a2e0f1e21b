"""How much of the disk a model takes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from migrate.sources.discover import CHUNKED_SAVED_MODEL_FILE, SAVED_MODEL_FILES

_OWN_FILES = (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE, "fingerprint.pb")
_OWN_FOLDERS = ("variables", "assets", "assets.extra")


def stored_bytes(path: str) -> int | None:
    """Adds up the files of a model; another model's that lies in the same directory do not count.

    Args:
      path: a model's directory, or a file that is a model.

    Returns:
      None where nothing could be looked at.
    """
    if os.path.isfile(path):
        return os.stat(path).st_size
    sizes = [size for file in _files(path) if (size := _size(file)) is not None]
    return sum(sizes) if sizes else None


def _files(path: str) -> Iterator[str]:
    for name in _OWN_FILES:
        yield os.path.join(path, name)
    for folder in _OWN_FOLDERS:
        for below, _, names in os.walk(os.path.join(path, folder)):
            yield from (os.path.join(below, name) for name in names)


def _size(file: str) -> int | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
