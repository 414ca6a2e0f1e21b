"""Copies of SavedModels with another graph, in a directory that goes away again: their other files are links."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

from migrate.graph.protos import SavedModel

_LOADED = ("assets", "variables")
"""The directories of a SavedModel whose files a loader reads."""


@contextlib.contextmanager
def changed_copy(path: str, saved_model: SavedModel, change: Callable[[SavedModel], None]) -> Iterator[str]:
    """A copy of a SavedModel whose graph is another one.

    Args:
      path: of the model.
      saved_model: what is in its file; it stays as it is.
      change: makes the other graph of a copy of it.

    Yields:
      The directory of the copy.
    """
    changed = SavedModel()
    changed.CopyFrom(saved_model)
    change(changed)
    with tempfile.TemporaryDirectory(prefix="migrate_seeded_") as scratch:
        for name in _LOADED:
            there = os.path.join(os.path.abspath(path), name)
            if os.path.isdir(there):
                os.symlink(there, os.path.join(scratch, name))
        with open(os.path.join(scratch, "saved_model.pb"), "wb") as file:
            file.write(changed.SerializeToString())
        yield scratch
