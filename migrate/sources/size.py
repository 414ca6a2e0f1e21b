"""How much of the disk a model takes."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator

from migrate.sources.copies import data_bytes
from migrate.sources.discover import CHUNKED_SAVED_MODEL_FILE, SAVED_MODEL_FILES, Place
from migrate.sources.sniff import SHARDED_V1, Form

_OWN_FILES = (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE, "fingerprint.pb", "keras_metadata.pb", "tfhub_module.pb")
OWN_FOLDERS = ("variables", "assets", "assets.extra")


def stored_bytes(path: str, place: Place) -> int | None:
    """Adds up the files of a model, without holes; another model's that lies in the same directory do not count.

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


def own_paths(place: Place) -> Iterator[str]:
    """Paths of a model's own files, and of its own directories."""
    if place.form is not Form.SAVED_MODEL:
        yield place.file
        if place.checkpoint is not None:
            sharded = re.search(SHARDED_V1, place.checkpoint)
            stem = place.checkpoint[: sharded.start()] if sharded else place.checkpoint
            yield from glob.iglob(glob.escape(stem) + place.checkpoint[len(stem) :])
            yield from (f for f in glob.iglob(f"{glob.escape(place.checkpoint)}.*") if not f.endswith(".meta"))
        return
    try:
        there = os.listdir(place.file)
    except OSError:
        return
    yield from (os.path.join(place.file, name) for name in there if name in _OWN_FILES or name in OWN_FOLDERS)


def _files(place: Place) -> Iterator[str]:
    for path in own_paths(place):
        if place.form is Form.SAVED_MODEL and os.path.basename(path) in OWN_FOLDERS:
            for below, _, names in os.walk(path):
                yield from (os.path.join(below, inner) for inner in names)
        else:
            yield path


def _size(file: str) -> int | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return data_bytes(file, status) if stat.S_ISREG(status.st_mode) else None
