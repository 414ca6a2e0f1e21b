"""Tells whether a model's files are the same as before, and whether two models are the same."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.sources.boundary import Boundary, boundary_of
from migrate.sources.checkpoint_files import DATA_FILE, INDEX, META, STATE_FILE
from migrate.sources.copies import data_bytes
from migrate.sources.files import open_stream
from migrate.sources.forms import ENDS_OF_UNREADABLE, Beside, form_of, row_of
from migrate.sources.location import Form
from migrate.sources.saved_model_files import OWN_FOLDERS

_WHOLE_BYTES = 1 << 26
"""So many bytes of a model count themselves, those of the smallest files first: protos, indexes (which hold a checksum
of every tensor), assets. Of the other files size and time of change are taken, so that looking again at terabytes of
models costs seconds, however many files hold their weights."""
_CHUNK_BYTES = 1 << 20
_MOST_DESCRIBED = 10_000
"""Files of a directory outside of the model that are looked at."""
_METADATA = "metadata.json"
"""In which Keras 3 says of which version it is."""


@frozen
class Fingerprint:
    """What is known of a model's files without looking into the large ones.

    Attributes:
      content: digest of the names and sizes of all files and of the bytes of small ones.
      large: name, size and time of change (ns) of each file whose bytes do not count.
      bytes: size of all files, without holes.
    """

    content: str
    large: tuple[tuple[str, int, int], ...]
    bytes: int

    @property
    def identity(self) -> str:
        """One string for all of it: another one means that the files have changed."""
        return hashlib.sha256(repr((self.content, self.large)).encode()).hexdigest()


def fingerprint(path: str) -> Fingerprint | None:
    """Gives a model's fingerprint, or None where a file of it cannot be read.

    The model's own files count: those in its directory, and all below `variables`, `assets` and
    `assets.extra`. Of a model that is a file or a checkpoint's prefix, the files beside it that share its name, too,
    and whatever may be another part of it where that is an architecture or weights of Keras.
    A file outside that a link leads to is not read: its path, size and time of change count.
    """
    digest = hashlib.sha256()
    large: list[tuple[str, int, int]] = []
    total = 0
    boundary = boundary_of(path)
    try:
        found = [(name, file, _outside(file, boundary)) for name, file in sorted(_own_files(path, boundary))]
        for name, _, real in found:
            if real is not None:
                digest.update(f"{name}\0{_described(real)}\0".encode(errors="surrogateescape"))
        files = [(name, file, os.stat(file)) for name, file, real in found if real is None]
        sizes = sorted(status.st_size for _, _, status in files if stat.S_ISREG(status.st_mode))
        # Files of one size are treated alike, so that which of them count does not hang on their names.
        ends = dict(zip(sizes, itertools.accumulate(sizes), strict=True))
        for name, file, status in files:
            digest.update(f"{name}\0{stat.S_IFMT(status.st_mode)}\0".encode(errors="surrogateescape"))
            if not stat.S_ISREG(status.st_mode):
                continue
            digest.update(f"{status.st_size}\0".encode())
            total += data_bytes(file, status)
            if ends[status.st_size] > _WHOLE_BYTES:
                large.append((name, status.st_size, status.st_mtime_ns))
                continue
            with open_stream(file, boundary) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
    except (OSError, InputError):
        return None
    return Fingerprint(digest.hexdigest(), tuple(large), total)


def same_files(path: str, mark: Fingerprint, other: str, other_mark: Fingerprint) -> bool:
    """Whether two models consist of the same bytes. Large files are read where all else is equal."""
    if mark.content != other_mark.content:
        return False
    # A model that is one file, or files of one stem, is in a directory with others.
    first, second = (p if os.path.isdir(p) else os.path.dirname(p) for p in (path, other))
    try:
        pairs = [(os.path.join(first, name), os.path.join(second, name)) for name, _, _ in mark.large]
        return all(filecmp.cmp(one, two, shallow=False) for one, two in pairs)
    except OSError:
        return False


def _own_files(path: str, boundary: Boundary) -> Iterator[tuple[str, str]]:
    """Relative and full path of each file, of each thing that is neither a file nor a directory, and of each link out.

    Links to directories within the boundary are followed.
    """
    if not os.path.isdir(path):
        folder, name = os.path.split(path)
        stem = os.path.splitext(name)[0] if os.path.isfile(path) else name
        is_part = _parts_of(path, boundary)
        for entry in os.listdir(folder or os.curdir):
            file = os.path.join(folder, entry)
            if entry == name or entry.startswith((stem + ".", stem + "-")) or is_part(file):
                yield entry, file
        return
    with os.scandir(path) as entries:
        yield from [(entry.name, entry.path) for entry in entries if not entry.is_dir()]
    for own in OWN_FOLDERS:
        top = os.path.join(path, own)
        if _outside(top, boundary) is not None:
            yield own, top
            continue
        seen = set()
        for folder, folders, files in os.walk(top, followlinks=True, onerror=_raise):
            if os.path.realpath(folder) in seen:
                folders.clear()
                continue
            seen.add(os.path.realpath(folder))
            out = [f for f in folders if _outside(os.path.join(folder, f), boundary) is not None]
            folders[:] = [f for f in folders if f not in out]
            yield from (
                (os.path.relpath(os.path.join(folder, f), path), os.path.join(folder, f)) for f in (*files, *out)
            )


def _parts_of(path: str, boundary: Boundary) -> Callable[[str], bool]:
    """What tells whether a file beside a model's file or prefix may be a part of it, under a name of its own.

    These are the parts of a Keras model, see `sources.keras_files`. More of them than are taken does no harm.
    """
    form = form_of(path) if os.path.isfile(path) and not re.search(DATA_FILE, path) else Form.TABLE
    beside = Beside.NOTHING if form is None else row_of(form).beside
    if beside is Beside.ANYTHING:
        return lambda file: _is_weights(file) or _may_be(file, boundary, (Form.KERAS_JSON, Form.HDF5))
    if beside is Beside.ARCHITECTURE:
        # Many models may be in one directory: none of them is opened for each of the others.
        return lambda file: not _is_model(file) and _may_be(file, boundary, (Form.KERAS_JSON,))
    return lambda file: False


def _is_weights(file: str) -> bool:
    return file.endswith(INDEX) or os.path.basename(file) == STATE_FILE or bool(re.search(DATA_FILE, file))


def _is_model(file: str) -> bool:
    return file.endswith((INDEX, META, *ENDS_OF_UNREADABLE)) or bool(re.search(DATA_FILE, file))


def _may_be(file: str, boundary: Boundary, forms: Sequence[Form]) -> bool:
    """Whether a file has one of some forms; one outside is not opened, and may have any."""
    if _outside(file, boundary) is not None:
        return os.path.isfile(file)
    return os.path.basename(file) == _METADATA or (os.path.isfile(file) and form_of(file) in forms)


def _outside(file: str, boundary: Boundary) -> str | None:
    """The real path of what a link leads to outside of the boundary; None for anything else."""
    if not os.path.islink(file):
        return None
    real = os.path.realpath(file)
    return None if boundary.holds(real) else real


def _described(real: str) -> list[tuple[str, int, int, int]]:
    """What is there to be seen of a file or directory outside without reading it; of a large directory, a part.

    Raises:
      OSError: nothing is there.
    """
    os.lstat(real)
    found: list[tuple[str, int, int, int]] = []
    pending = [real]
    while pending and len(found) < _MOST_DESCRIBED:
        path = pending.pop()
        try:
            status = os.lstat(path)
        except OSError:
            found.append((path, 0, 0, 0))
            continue
        is_dir = stat.S_ISDIR(status.st_mode)
        found.append((path, stat.S_IFMT(status.st_mode), 0 if is_dir else status.st_size, status.st_mtime_ns))
        if is_dir:
            with contextlib.suppress(OSError), os.scandir(path) as entries:
                pending += sorted(entry.path for entry in entries)
    return found


def _raise(error: OSError) -> None:
    # A folder that is not there is one without files.
    if not isinstance(error, FileNotFoundError):
        raise error
