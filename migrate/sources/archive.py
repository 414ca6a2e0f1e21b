"""Looks into zip and tar archives, and unpacks one into a temporary directory: only files and directories, all of
them below that directory, no more of them than a model has."""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import os
import posixpath
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from migrate.errors import InputError
from migrate.frozen import frozen

_MAX_MEMBERS = 5_000
"""Making a file takes up to a millisecond, and no model has as many."""
_MAX_BYTES = 1 << 36
"""64 GiB, unpacked: no model in an archive is larger, and what a small archive unpacks to may be."""
_MAX_RATIO = 1100
"""DEFLATE's bound is 1032 to 1 (zlib, Technical Details); nested tricks go beyond, and weights far below."""
_MAX_LEVELS = 100
"""Directories within one another: no model has as many, and walking them takes the square of their number."""
_FREE_BYTES_KEPT = 1 << 28
_LOOKED_AT_MEMBERS = 10_000
_MODEL_ENDS = (".pb", ".pbtxt", ".meta", ".index", ".h5", ".hdf5", ".keras")
_CHUNK_BYTES = 1 << 20

DAMAGE = (
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What Python's readers of archives raise on a damaged one, beside OSError: their documents name only some."""


@frozen
class _Member:
    """A file or directory in an archive; `name` is relative and has no `..`."""

    name: str
    is_dir: bool
    size: int


def holds_model(file: str) -> bool:
    """Whether an archive names a file as models have them; False for one that cannot be read."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith(_MODEL_ENDS) for name in archive.namelist())
        with tarfile.open(file) as tar:
            for number, member in enumerate(tar):
                if member.isfile() and member.name.endswith(_MODEL_ENDS):
                    return True
                if number >= _LOOKED_AT_MEMBERS or member.offset > _MAX_BYTES:
                    return False
    except (OSError, *DAMAGE):
        return False
    return False


@contextlib.contextmanager
def unpacked(file: str) -> Iterator[str]:
    """A temporary directory with an archive's content, gone when the block ends.

    Links, devices and other special files, absolute names, names with `..` and encrypted members are refused, and so
    is an archive that would fill the disk or is far smaller than what comes out of it.

    Raises:
      InputError: the archive is refused, cannot be read, or the disk is full; the message says why.
    """
    with tempfile.TemporaryDirectory(prefix="migrate-archive-") as directory:
        try:
            if zipfile.is_zipfile(file):
                _unpack_zip(file, directory)
            else:
                _unpack_tar(file, directory)
        except InputError:
            raise
        except OSError as error:
            # Unpacking reads and writes; gzip's and tarfile's own errors have no errno.
            raise InputError(f"{file}: cannot be unpacked ({error.strerror or error})") from error
        except DAMAGE as error:
            raise InputError(f"{file}: a damaged archive ({str(error) or type(error).__name__})") from error
        yield directory


def _unpack_zip(file: str, directory: str) -> None:
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        members = []
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise InputError(f"{file}: holds {info.filename!r}, a link or special file; unpack it yourself")
            if info.flag_bits & 1:
                raise InputError(f"{file}: is encrypted; unpack it yourself and pass the directory")
            members.append(_Member(_safe(file, info.filename), info.filename.endswith("/"), info.file_size))
        budget = _Budget(file, directory)
        budget.declare(len(members), sum(member.size for member in members))
        for info, member in zip(infos, members, strict=True):
            if member.is_dir:
                os.makedirs(os.path.join(directory, member.name), exist_ok=True)
                continue
            with archive.open(info) as stream:
                _write(stream, directory, member, budget)


def _unpack_tar(file: str, directory: str) -> None:
    budget = _Budget(file, directory)
    # A stream is read once from start to end: an index first would unpack all of it twice.
    with tarfile.open(file, "r|*") as archive:
        for number, info in enumerate(archive, 1):
            if not (info.isfile() or info.isdir()):
                raise InputError(f"{file}: holds {info.name!r}, a link or special file; unpack it yourself")
            member = _Member(_safe(file, info.name), info.isdir(), info.size)
            budget.declare(number, budget.written + member.size)
            if member.is_dir:
                os.makedirs(os.path.join(directory, member.name), exist_ok=True)
                continue
            stream = archive.extractfile(info)
            if stream is not None:
                _write(stream, directory, member, budget)


def _safe(file: str, name: str) -> str:
    """A member's name, relative and without `..`.

    Raises:
      InputError: it leads out of the directory, or is none.
    """
    if not name:
        raise InputError(f"{file}: a damaged archive (it holds something without a name)")
    path = name.replace("\\", "/")
    parts = posixpath.normpath(path).split("/")
    if path.startswith("/") or ".." in path.split("/") or "\0" in path or (len(path) > 1 and path[1] == ":"):
        raise InputError(f"{file}: holds {name!r}, which leads out of the archive; nothing was unpacked to there")
    if len(parts) > _MAX_LEVELS:
        raise InputError(f"{file}: holds {name[:100]!r}..., {len(parts):,} levels deep, as no model is")
    return os.path.join(*parts)


@dataclasses.dataclass
class _Budget:
    """What an archive may still unpack to."""

    file: str
    directory: str
    written: int = 0

    def declare(self, members: int, size: int) -> None:
        packed = os.stat(self.file).st_size
        limit = min(_MAX_BYTES, packed * _MAX_RATIO)
        if members > _MAX_MEMBERS:
            raise InputError(
                f"{self.file}: holds more than {_MAX_MEMBERS:,} members, no model does; unpack it yourself"
            )
        if size > limit:
            raise InputError(
                f"{self.file}: {packed:,} bytes that unpack to {size:,} or more, as no model does; unpack it yourself"
            )
        if size - self.written > shutil.disk_usage(self.directory).free - _FREE_BYTES_KEPT:
            raise InputError(f"{self.file}: unpacks to {size:,} bytes, for which {self.directory} has no room")

    def spend(self, count: int) -> None:
        """Counts bytes that were in fact written: what an archive says of itself need not be true."""
        self.written += count
        if self.written > min(_MAX_BYTES, os.stat(self.file).st_size * _MAX_RATIO):
            raise InputError(f"{self.file}: unpacks to more than it says; unpack it yourself")


def _write(stream: IO[bytes], directory: str, member: _Member, budget: _Budget) -> None:
    target = os.path.join(directory, member.name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "xb") as out:  # A name that comes twice is an error, not an overwriting.
        while chunk := stream.read(_CHUNK_BYTES):
            budget.spend(len(chunk))
            out.write(chunk)
