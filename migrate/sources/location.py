"""Where a model is, and what the file is that says so."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator

from migrate.frozen import frozen
from migrate.records import Finding, Severity
from migrate.sources.boundary import Boundary
from migrate.sources.watch import Watch


class Form(enum.Enum):
    """What a single file may be; the value is what messages call it."""

    GRAPH_DEF = "GraphDef"
    META_GRAPH = "MetaGraphDef"
    SAVED_MODEL = "SavedModel"
    TABLE = "table"
    HDF5 = "HDF5 file"
    KERAS_V3 = ".keras archive"
    KERAS_JSON = "Keras configuration"
    ARCHIVE = "archive"
    STRAY = "stray"


FormOf = Callable[[str], Form | None]
"""Recognises a file, see `forms.form_of`."""


@frozen
class Location:
    """Where one model is.

    Attributes:
      form: what `file` is; for a checkpoint without a graph `Form.TABLE`.
      path: what it is called in a report when other models are beside it.
      file: the file that says what the model is.
      checkpoint: what a restore op is fed with, or None.
      others: prefixes of other checkpoints that the same graph could be filled from, in the same directory.
      unpacked: the temporary directory that an archive was unpacked into, or None.
      boundary: where its files may be; None for anywhere.
      watch: over the audit that reads it; None for the bounds that are set by default.
    """

    form: Form
    path: str
    file: str
    checkpoint: str | None = None
    others: tuple[str, ...] = ()
    unpacked: str | None = None
    boundary: Boundary | None = None
    watch: Watch | None = None


def chosen_among(place: Location) -> Iterator[Finding]:
    """Says that a directory holds several checkpoints, and which one was taken."""
    if place.others:
        names = [os.path.basename(other) for other in place.others]
        whole = os.path.isfile(place.checkpoint or "")
        yield Finding(
            "checkpoint-chosen",
            Severity.NOTE,
            f"of {len(names) + 1} checkpoints in the directory {os.path.basename(place.checkpoint or '')!r} is taken; "
            f"left aside: {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}",
            (),
            f"to take another one, pass its {'file' if whole else 'prefix'}, for example DIRECTORY/{names[0]}",
        )
