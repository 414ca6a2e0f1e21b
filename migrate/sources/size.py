"""How much of the disk a model takes."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator

from migrate.sources.discover import CHUNKED_SAVED_MODEL_FILE, SAVED_MODEL_FILES, Place
from migrate.sources.sniff import Form

_OWN_FILES = (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE, "fingerprint.pb", "keras_metadata.pb", "tfhub_module.pb")
_OWN_FOLDERS = ("variables", "assets", "assets.extra")


def stored_bytes(path: str, place: Place) -> int | None:
    """Adds up the files of a model; another model's that lies in the same directory do not count.

    Args:
      path: what the user calls the model; an archive counts as it lies there.
      place: where it lies.

    Returns:
      None where nothing could be looked at.
    """
    if os.path.isfile(path) and place.file != path:
        return _size(path)
    sizes = [size for file in set(_files(place)) if (size := _size(file)) is not None]
    return sum(sizes) if sizes else None


def _files(place: Place) -> Iterator[str]:
    if place.form is not Form.SAVED_MODEL:
        yield place.file
        if place.checkpoint is not None:
            yield from glob.iglob(place.checkpoint)
            yield from (f for f in glob.iglob(f"{glob.escape(place.checkpoint)}.*") if not f.endswith(".meta"))
        return
    try:
        there = os.listdir(place.file)
    except OSError:
        return
    for name in there:
        if name in _OWN_FILES:
            yield os.path.join(place.file, name)
        elif name in _OWN_FOLDERS:
            for below, _, names in os.walk(os.path.join(place.file, name)):
                yield from (os.path.join(below, inner) for inner in names)


def _size(file: str) -> int | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
