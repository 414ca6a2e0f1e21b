"""Puts a finished model in its place: whole or not at all. Nothing here starts TensorFlow."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import tempfile
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.processes.claims import claim, clear_leftovers
from migrate.regular_files import flush

_STAGED = "model"
_LONGEST_NAME_BYTES = 200
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2): swap two paths in one step.


def check_destination(source: str, destination: str, overwrite: bool, tree: str = "") -> None:
    """Says in advance why a destination cannot be written.

    Args:
      source: the model, or the tree of models.
      destination: the new model.
      overwrite: whether it may exist.
      tree: the new tree that it is in, which the user has named; empty where the user has named the destination.

    Raises:
      InputError: it exists, is in the source or around it, or its parent cannot be written.
    """
    real, target, shown = os.path.realpath(source), os.path.realpath(destination), tree or destination
    if target == real or target.startswith(real + os.sep):
        where = "is the source" if real in (target, os.path.realpath(shown)) else f"is in the source {source}"
        raise InputError(f"{shown}: {where}, which is never written to; choose a destination outside of it")
    if real.startswith(target + os.sep) and overwrite:
        raise InputError(f"{shown}: --overwrite would replace the source {source}; choose another destination")
    if os.path.lexists(destination) and not overwrite:
        raise InputError(f"{shown}: exists already; choose another destination, or replace it with --overwrite")
    parent = os.path.dirname(os.path.abspath(destination))
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        raise InputError(f"{shown}: {parent} is a file, not a directory; choose another destination")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{shown}: no permission to write in {parent}; choose another destination")


def check_writable(destination: str) -> None:
    """Tries to write where a destination is to be, since permissions do not tell all (`/proc`, a full disk).

    Raises:
      InputError: nothing can be written there.
    """
    parent = os.path.dirname(os.path.abspath(destination))
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".migrate-", dir=parent):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(
            f"{destination}: nothing can be written in {parent} ({why}); choose another destination"
        ) from None


@contextlib.contextmanager
def staging(destination: str) -> Iterator[str]:
    """A directory beside the destination in which to build, gone when the block ends.

    Its name is no integer, so no model server takes it for a version (tensorflow_serving,
    file_system_storage_path_source.cc). The model's own name in it says nothing of a format: Keras writes HDF5 to what
    ends in `.h5`. What a killed process left is cleared away by the next one that builds for the same destination.

    Yields:
      path of a model directory that does not exist yet.
    """
    destination = os.path.abspath(destination)
    parent, name = os.path.split(destination)
    _make(parent)
    clear_staging(destination)
    with claim(_prefix(name), parent) as directory:
        yield os.path.join(directory, _STAGED)


def _make(directory: str) -> None:
    """Makes a directory and those above it, each on the disk before anything is in it."""
    if os.path.isdir(directory):
        return
    _make(os.path.dirname(directory))
    os.makedirs(directory, exist_ok=True)
    flush(os.path.dirname(directory))


def clear_staging(destination: str) -> bool:
    """Removes what dead processes have left of building for a destination; whether nothing is left."""
    parent, name = os.path.split(os.path.abspath(destination))
    if not os.path.isdir(parent):
        return True
    clear_leftovers(parent, _prefix(name))
    return not any(entry.startswith(_prefix(name)) for entry in os.listdir(parent))


def _prefix(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST_NAME_BYTES:
        # Names of files have 255 bytes at most (limits.h, NAME_MAX), of which the name's own may be all.
        start = encoded[: _LONGEST_NAME_BYTES - 65].decode(errors="ignore")
        name = f"{start}-{hashlib.sha256(encoded).hexdigest()}"
    return f".{name}.migrate-"


def publish(staged: str, destination: str, overwrite: bool) -> None:
    """Flushes a finished model to the disk and renames it to its destination, in one step.

    Raises:
      InputError: the destination has appeared meanwhile, and `overwrite` is not set.
      OSError: the file system does not let us.
    """
    destination = os.path.abspath(destination)
    for folder, _, files in os.walk(staged):
        for file in files:
            flush(os.path.join(folder, file))
        flush(folder)
    if os.path.lexists(destination):
        if not overwrite:
            raise InputError(f"{destination}: has appeared while the model was converted; nothing was replaced")
        _exchange(staged, destination)
    else:
        os.rename(staged, destination)
    flush(os.path.dirname(destination))


def _exchange(staged: str, destination: str) -> None:
    """Swaps the two, so that at every moment one whole model is at the destination."""
    libc = ctypes.CDLL(None, use_errno=True)
    swapped = getattr(libc, "renameat2", None)
    if swapped is not None and not swapped(
        _AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(destination), _RENAME_EXCHANGE
    ):
        return
    # No such call, or a file system without it: the old model stays beside until the new one is in place.
    aside = staged + ".old"
    os.rename(destination, aside)
    try:
        os.rename(staged, destination)
    except OSError:
        os.rename(aside, destination)
        raise
