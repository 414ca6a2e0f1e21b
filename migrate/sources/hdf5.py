"""Reads HDF5 files with h5py, which is imported where one is read; no link in a file is followed to another file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from migrate.errors import InputError, first_line
from migrate.frozen import frozen
from migrate.sources.not_a_model import describe_stray


@frozen
class StoredTensor:
    """A weight as it is stored, in an HDF5 file or a checkpoint.

    Attributes:
      name: its path in the file.
      dtype: TensorFlow's name.
      shape: static and known.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


def import_h5py() -> None:
    """Once here, rather than in each fork; that it is missing is said by `open_hdf5`."""
    with contextlib.suppress(ImportError):
        import h5py  # noqa: F401


@contextlib.contextmanager
def open_hdf5(path: str, stream: IO[bytes] | None = None) -> Iterator[Any]:
    """An open h5py.File.

    Raises:
      InputError: it cannot be opened, or turns out to be damaged while it is read.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: an HDF5 file, which needs h5py; run: pip install h5py ({error})") from None
    try:
        with h5py.File(stream if stream is not None else path, "r") as content:
            yield content
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # TypeError: a type that numpy has not.
        stray = None
        if stream is None and os.path.isfile(path):
            with open(path, "rb") as file:
                stray = describe_stray(file.read(1024))
        raise InputError(f"{path}: {stray or f'cannot be read as HDF5: {first_line(error)}'}") from None


def has_entry(group: Any, name: str) -> bool:
    """Whether a group has an entry. `name in group` would open the file that an external link leads to."""
    return bool(group.id.links.exists(_encoded(name)))


def is_in_file(group: Any, name: str) -> bool:
    """Whether an entry of a group is an object of this file, rather than a path here or in another file."""
    import h5py

    links = group.id.links
    return bool(links.exists(_encoded(name)) and links.get_info(_encoded(name)).type == h5py.h5l.TYPE_HARD)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")  # As h5py gives names (_hl/base.py).


def elements(value: Any) -> list[Any]:
    """The elements of an attribute that is one value, or an array of any shape."""
    flattened = getattr(value, "ravel", None)
    return list(flattened()) if flattened is not None else [value]


def datasets(group: Any, prefix: str, links: list[str], seen: set[tuple[int, int]]) -> Iterator[StoredTensor]:
    """Datasets of a group and below; what leads, or may lead, to another file goes to `links` and is not followed.

    That are external links, and soft links, whose path may pass through one. h5py opens the target of either when it is
    asked for anything but the link itself.

    A group that has several names is looked into once: hard links may lead round, or by more ways than can be gone.
    """
    import h5py

    place = h5py.h5o.get_info(group.id)
    if (place.fileno, place.addr) in seen:
        return
    seen.add((place.fileno, place.addr))
    for name in group:
        path = f"{prefix}{name}"
        if not is_in_file(group, name):
            links.append(path)
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from datasets(item, f"{path}/", links, seen)
        elif isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                links.append(path)
            else:
                dtype = "string" if item.dtype.kind in "OS" else item.dtype.name
                yield StoredTensor(path, dtype, tuple(item.shape or ()))
