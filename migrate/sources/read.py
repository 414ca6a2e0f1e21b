"""Opens a model of any form, and has the form's reader read it or join its files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrate.errors import InputError
from migrate.sources.boundary import boundary_of
from migrate.sources.discover import find_models, place_of
from migrate.sources.forms import row_of
from migrate.sources.location import Form, Location
from migrate.sources.source import Source
from migrate.sources.watch import UNPACKED_BYTES, Watch

if TYPE_CHECKING:
    from migrate.sources.keras_source import KerasFiles


@contextlib.contextmanager
def opened(path: str, follow_links: bool = False, watch: Watch | None = None) -> Iterator[Location]:
    """The place of the model that a path means; an archive stays unpacked until the block ends.

    Args:
      path: what the user calls it.
      follow_links: whether links may lead out of the model.
      watch: see `Location`.

    Raises:
      InputError: there is no model, there are several, or the archive is refused.
    """
    place = place_of(path)
    if place.form is not Form.ARCHIVE:
        boundary = None if follow_links else boundary_of(path)
        yield dataclasses.replace(place, boundary=boundary, watch=watch)
        return
    from migrate.sources.archive import unpacked

    with unpacked(place.file, UNPACKED_BYTES if watch is None else watch.unpacked_bytes) as directory:
        try:
            models = find_models(directory)
        except InputError as error:
            raise InputError(f"{path}: no model in this archive") from error
        if len(models) > 1:
            listed = ", ".join(os.path.relpath(model, directory) for model in models[:5])
            raise InputError(f"{path}: holds {len(models)} models ({listed}); unpack it and pass the directory")
        inner = place_of(models[0])
        if inner.form is Form.ARCHIVE:
            raise InputError(f"{path}: an archive in an archive; unpack it and pass what is in it")
        boundary = boundary_of(directory)
        yield dataclasses.replace(inner, unpacked=directory, boundary=boundary, watch=watch)


def read_source(place: Location, path: str) -> Source:
    """Reads a model that is a graph: a SavedModel, a MetaGraphDef with its checkpoint, or a GraphDef.

    Args:
      place: where it is; its form has a reader in `forms`.
      path: what the user calls it.

    Raises:
      InputError: it cannot be read; the message says why.
    """
    read = row_of(place.form).read
    assert read is not None, place.form
    return read(place, path)


def files_of(place: Location, architecture: str | None = None, root: str | None = None) -> KerasFiles | None:
    """Where the parts of a Keras model are: weights are beside an architecture, or inside a whole model.

    Args:
      place: where it is: one of `forms.KERAS_FORMS`, or a checkpoint without a graph.
      architecture: the file with the architecture of weights, or None for the one beside them.
      root: where in a checkpoint's object graph the model is, or None for where its layers are.

    Returns:
      None for a checkpoint without an architecture beside it.

    Raises:
      InputError: an HDF5 file that is not Keras's, or what belongs together cannot be told.
    """
    join = row_of(place.form).keras_files
    assert join is not None, place.form
    return join(place, architecture, root)
