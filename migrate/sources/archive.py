"""Looks into zip and tar archives, and unpacks one into a temporary directory: only files and directories, all of
them below that directory, no more of them than a model has."""

from __future__ import annotations

import contextlib
import dataclasses
import io
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
from typing import IO, Any

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.processes.claims import claim, clear_leftovers
from migrate.sources.watch import UNPACKED_BYTES

_PREFIX = "migrate-archive-"
_MAX_MEMBERS = 5_000
"""Making a file takes up to a millisecond, and no model has as many."""
_MAX_BYTES = 1 << 36
"""64 GiB, unpacked: no model in an archive is larger, and what a small archive unpacks to may be."""
_MAX_RATIO = 20
"""Weights and graphs shrink to a tenth at the best; zeros, to a thousandth (zlib, Technical Details)."""
_MAX_LEVELS = 100
"""Directories within one another: no model has as many, and walking them takes the square of their number."""
_FREE_BYTES_KEPT = 1 << 28
_LOOKED_AT_MEMBERS = 10_000
_LOOKED_AT_BYTES = 1 << 31
"""Bytes of a tar archive's content that are passed over in search of a model's file: some seconds of unpacking."""
_MAX_HEADER_BYTES = 1 << 24
"""Headers with long names or attributes (POSIX.1-2017, pax) are read into memory; most members have a kilobyte."""
_MAX_DIRECTORY_BYTES = 1 << 22
"""The central directory of a zip file is read into memory, too, and a member takes 46 bytes of it or more."""
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


class _TooLargeError(InputError):
    """An archive's own tables are larger than those of any archive of a model."""


_MEMBER_TYPES = (
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.CONTTYPE,
    tarfile.DIRTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)
"""Types of tar headers whose size is that of a member, which is read in pieces."""


class _Header(tarfile.TarInfo):
    """A tar header that is refused where what it announces would take memory without end. See `_headers`."""

    spent = 0

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """See `tarfile.TarInfo.frombuf`, which every header passes through."""
        header = super().frombuf(buf, encoding, errors)
        if header.type not in _MEMBER_TYPES:
            cls.spent += max(header.size, 0)
            if cls.spent > _MAX_HEADER_BYTES:
                raise _TooLargeError(f"long headers of {cls.spent:,} bytes, where {_MAX_HEADER_BYTES:,} are the most")
        return header

    # The map of a sparse member may have any length. The names of these methods are tarfile's own; where another
    # version has other ones, such a member is refused after its map was read.

    def _proc_sparse(self, *_: object) -> tarfile.TarInfo:
        raise _TooLargeError("a sparse member")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_sparse


def _headers() -> type[_Header]:
    """A class of headers for one archive, which counts what they take together."""
    return type("_CountedHeader", (_Header,), {"spent": 0})


class _Limited:
    """A file of which nobody reads more than so many bytes at once; what `zipfile` asks of a file, and no more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.limit: int | None = _MAX_DIRECTORY_BYTES

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            count = max(0, os.fstat(self._file.fileno()).st_size - self._file.tell())
        if self.limit is not None and count > self.limit:
            raise _TooLargeError(f"a list of members of {count:,} bytes, where {self.limit:,} are the most")
        return self._file.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


@contextlib.contextmanager
def open_zip(file: str) -> Iterator[zipfile.ZipFile]:
    """An open zip archive, whose list of members is no longer than any model needs.

    Raises:
      InputError: its list of members is too long.
      OSError, or one of `DAMAGE`: it cannot be read.
    """
    with open(file, "rb") as stream:
        limited = _Limited(stream)
        with zipfile.ZipFile(limited) as archive:
            limited.limit = None
            yield archive


_IN_MEMORY_BYTES = 1 << 28
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT, 4.3.7: signature, lengths of the name and the extra field


@contextlib.contextmanager
def open_member(file: str, archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """An open member of a zip archive in which one can go back; `zipfile` reads all from the start to do so.

    Args:
      file: path of the archive.
      archive: the same, open.
      name: of the member. One that is compressed and has more than 256 MB is as `zipfile` gives it.

    Raises:
      OSError, or one of `DAMAGE`: it cannot be read.
    """
    info = archive.getinfo(name)
    with archive.open(info) as stream:  # It refuses what is damaged or encrypted.
        if info.compress_type == zipfile.ZIP_STORED:
            with open(file, "rb") as whole:
                head = os.pread(whole.fileno(), _LOCAL_HEADER.size, info.header_offset)
                _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(head)
                start = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
                yield io.BufferedReader(_Part(whole.fileno(), start, info.file_size))
        elif info.file_size <= _IN_MEMORY_BYTES:
            unpacked = io.BytesIO()
            shutil.copyfileobj(stream, unpacked, _CHUNK_BYTES)
            yield unpacked
        else:
            yield stream


class _Part(io.RawIOBase):
    """A part of an open file."""

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle = handle
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._size - self._position))
        data = os.pread(self._handle, wanted, self._start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def holds_name(file: str, ends: tuple[str, ...]) -> bool:
    """Whether an archive holds a file whose name ends in one of some ways; False for one that cannot be read.

    One that would take too much to find out counts as if it did: unpacking it says what is wrong with it.
    """
    try:
        if zipfile.is_zipfile(file):
            with open_zip(file) as archive:
                return any(name.endswith(ends) for name in archive.namelist())
        most = min(_LOOKED_AT_BYTES, _most(file, UNPACKED_BYTES))
        with tarfile.open(file, tarinfo=_headers()) as tar:
            for number, member in enumerate(tar):
                if member.isfile() and member.name.endswith(ends):
                    return True
                if number >= _LOOKED_AT_MEMBERS:
                    return False
                if member.offset_data + member.size > most:
                    return True
    except _TooLargeError:
        return True
    except (OSError, *DAMAGE):
        return False
    return False


def _most(file: str, bytes_allowed: int) -> int:
    """Bytes that an archive may unpack to: what any may, or so many times its own."""
    return min(_MAX_BYTES, max(bytes_allowed, os.stat(file).st_size * _MAX_RATIO))


@contextlib.contextmanager
def unpacked(file: str, bytes_allowed: int = UNPACKED_BYTES) -> Iterator[str]:
    """A temporary directory with an archive's content, gone when the block ends.

    The next call clears away what a killed process left.

    Links, devices and other special files, absolute names, names with `..` and encrypted members are refused, and so
    is an archive that would fill the disk or is far smaller than what comes out of it.

    Args:
      file: the archive.
      bytes_allowed: what it may unpack to, however small it is.

    Raises:
      InputError: the archive is refused, cannot be read, or the disk is full; the message says why.
    """
    parent = tempfile.gettempdir()
    clear_leftovers(parent, _PREFIX)
    with claim(_PREFIX, parent) as directory:
        try:
            if zipfile.is_zipfile(file):
                _unpack_zip(file, _Budget(file, directory, _most(file, bytes_allowed)))
            else:
                _unpack_tar(file, _Budget(file, directory, _most(file, bytes_allowed)))
        except _TooLargeError as error:
            raise InputError(f"{file}: has {error}, as no archive of a model has; unpack it yourself") from error
        except OSError as error:
            # Unpacking reads and writes; gzip's and tarfile's own errors have no errno.
            raise InputError(f"{file}: cannot be unpacked ({error.strerror or error})") from error
        except DAMAGE as error:
            raise InputError(f"{file}: a damaged archive ({str(error) or type(error).__name__})") from error
        yield directory


def _unpack_zip(file: str, budget: _Budget) -> None:
    with open_zip(file) as archive:
        infos = archive.infolist()
        members = []
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise InputError(f"{file}: holds {info.filename!r}, a link or special file; unpack it yourself")
            if info.flag_bits & 1:
                raise InputError(f"{file}: is encrypted; unpack it yourself and pass the directory")
            members.append(_Member(_safe(file, info.filename), info.filename.endswith("/"), info.file_size))
        budget.declare(len(members), sum(member.size for member in members))
        for info, member in zip(infos, members, strict=True):
            if member.is_dir:
                os.makedirs(os.path.join(budget.directory, member.name), exist_ok=True)
                continue
            with archive.open(info) as stream:
                _write(stream, member, budget)


def _stream(file: str) -> tarfile.TarFile:
    try:
        return tarfile.open(file, "r|*", tarinfo=_headers())
    except TypeError as error:  # tarfile's own, of a gzip header that ends early
        raise tarfile.ReadError("it ends in its first header") from error


def _unpack_tar(file: str, budget: _Budget) -> None:
    # A stream is read once from start to end: an index first would unpack all of it twice.
    with _stream(file) as archive:
        for number, info in enumerate(archive, 1):
            if info.issparse():
                raise _TooLargeError("a sparse member")
            if not (info.isfile() or info.isdir()):
                raise InputError(f"{file}: holds {info.name!r}, a link or special file; unpack it yourself")
            member = _Member(_safe(file, info.name), info.isdir(), info.size)
            budget.declare(number, budget.written + member.size)
            if member.is_dir:
                os.makedirs(os.path.join(budget.directory, member.name), exist_ok=True)
                continue
            stream = archive.extractfile(info)
            if stream is not None:
                _write(stream, member, budget)


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
    most: int
    written: int = 0

    def declare(self, members: int, size: int) -> None:
        if members > _MAX_MEMBERS:
            raise InputError(
                f"{self.file}: holds more than {_MAX_MEMBERS:,} members, no model does; unpack it yourself"
            )
        if size > self.most:
            raise InputError(
                f"{self.file}: {os.stat(self.file).st_size:,} bytes that unpack to {size:,} or more, where "
                f"{self.most:,} are the most ({_MAX_RATIO} times its own or --unpacked_size=MEGABYTES, and never more "
                f"than {_MAX_BYTES >> 30} GB); raise the flag, or unpack it yourself"
            )
        if size - self.written > shutil.disk_usage(self.directory).free - _FREE_BYTES_KEPT:
            raise InputError(f"{self.file}: unpacks to {size:,} bytes, for which {self.directory} has no room")

    def spend(self, count: int) -> None:
        """Counts bytes that were in fact written: what an archive says of itself need not be true."""
        self.written += count
        if self.written > self.most:
            raise InputError(f"{self.file}: unpacks to more than it says; unpack it yourself")


def _write(stream: IO[bytes], member: _Member, budget: _Budget) -> None:
    target = os.path.join(budget.directory, member.name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "xb") as out:  # A name that comes twice is an error, not an overwriting.
        while chunk := stream.read(_CHUNK_BYTES):
            budget.spend(len(chunk))
            out.write(chunk)
