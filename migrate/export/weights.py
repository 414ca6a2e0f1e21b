"""Brings a checkpoint's data files into a new model. Nothing here starts TensorFlow.

A TF2 SavedModel's checkpoint is the same tensor bundle as TF1's (tensor_bundle.cc): data files, and an index that says
where in them each tensor lies. A variable whose value is a whole tensor of the source, or exactly one of its stored
slices, keeps its bytes, so what is to be done with them is known with the plan, seconds before TensorFlow is there to
build the rest. `take_over` decides, links and shares blocks, in a time that the size of the weights does not change;
`run` is the job that reads every byte once: it is copied, flushed, and compared with its checksum on the way.
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence

import google_crc32c

from migrate.checks.checkpoint import parse_slice
from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.dtypes import base_name
from migrate.plan.records import Plan, VariablePlan
from migrate.plan.restore import FromCheckpoint
from migrate.records import Failed
from migrate.regular_files import create, open_regular
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import Bundle, Entry, Slice, data_file, index_file, read_bundle
from migrate.sources.copies import STAT_BLOCK_BYTES, data_ranges
from migrate.sources.files import open_file, open_stream
from migrate.sources.leveldb import mask

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, copy on write.
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h: start writing dirty pages, do not wait for them.
_CHUNK_BYTES = 1 << 16
"""What is read stays in the processor's cache while it is summed and written. Larger chunks took up to three times as
long (measured: a fresh megabyte is mapped, and its pages cleared, for every read)."""
_WRITE_BACK_BYTES = 1 << 25
_HOLE = bytes(1 << 20)
_LITTLE_BYTES = 1 << 23
"""So much is copied in the time in which a process is started."""


@frozen
class Part:
    """The bytes of one tensor, or of one stored slice, in a data file.

    Attributes:
      offset: of the first byte in the old file.
      size: in bytes.
      crc32c: masked CRC-32C that the source's index has for them.
      key: the tensor's name in the source's checkpoint.
      variable: name of a variable that they fill.
    """

    offset: int
    size: int
    crc32c: int
    key: str
    variable: str


@frozen
class Move:
    """A data file whose bytes are to be read.

    Attributes:
      old: the file to read.
      new: the file to write, with the parts one after the other, or None: the bytes are compared only.
      parts: in the order of their offsets; no two share a byte.
      boundary: where the old file may be; None for anywhere.
    """

    old: str
    new: str | None
    parts: tuple[Part, ...]
    boundary: Boundary | None = None


@frozen
class WeightsJob:
    """What a child process needs to bring the bytes along."""

    moves: tuple[Move, ...]

    @property
    def is_little(self) -> bool:
        """Whether it is done sooner than a process is started."""
        return sum(part.size for move in self.moves for part in move.parts) <= _LITTLE_BYTES


@frozen
class Weights:
    """The data files of a new checkpoint that are taken over.

    Attributes:
      taken: where each variable's bytes lie in them, by identity; `shard` counts `files`, `key` is the source's.
      files: the new data files, under names of their own until their number is known (see `put`).
      job: what remains to be done before they can be used.
    """

    taken: Mapping[str, Entry]
    files: tuple[str, ...]
    job: WeightsJob


@frozen
class Done:
    """Every byte is there, on the disk, and as its checksum says."""


def take_over(
    plan: Plan, source: str, directory: str, mode: str, check: bool, boundary: Boundary | None = None
) -> Weights:
    """Decides which bytes of a checkpoint are taken over, and prepares their files.

    Data files that nobody needs stay behind. With `link`, and where the file system can share blocks, no byte is read
    here; nor is one anywhere without `check`.

    Args:
      plan: says what fills which variable.
      source: prefix of the source's checkpoint.
      directory: for the new data files; made where it is not there.
      mode: `auto` (share blocks where the file system can, else copy), `link` (hard links, which share bytes with the
        source), `copy`, or `rewrite` (nothing is taken over).
      check: compare the checksum of every tensor that is linked; those that are copied always are.
      boundary: where the source's files may be; None for anywhere.

    Raises:
      InputError: the index is damaged, a data file cannot be read, or the file system cannot link.
    """
    bundle = _bundle(plan, source, boundary) if mode != "rewrite" else None
    found = {} if bundle is None else _takeable(plan.variables, bundle)
    if bundle is None or not found:
        return Weights({}, (), WeightsJob(()))
    os.makedirs(directory, exist_ok=True)
    names = {variable.identity: variable.name for variable in plan.variables}
    taken: dict[str, Entry] = {}
    files: list[str] = []
    moves: list[Move] = []
    for number, shard in enumerate(sorted({entry.shard for entry in found.values()})):
        mine = {identity: entry for identity, entry in found.items() if entry.shard == shard}
        # Two variables may be filled by one tensor.
        parts = {(e.offset, e.size): Part(e.offset, e.size, e.crc32c, e.key, names[i]) for i, e in mine.items()}
        ordered = tuple(parts[place] for place in sorted(parts))
        old = data_file(bundle.prefix, shard, bundle.num_shards)
        new = os.path.join(directory, str(number))
        if mode == "link":
            _link(old, new, boundary)
            moves.append(Move(new, None, ordered if check else ()))
        elif mode == "auto" and _share_blocks(old, new, boundary):
            moves.append(Move(new, None, ordered))
        else:
            moves.append(Move(old, new, ordered, boundary))
        places = {p.offset: p.offset for p in ordered} if moves[-1].new is None else _packed(ordered)
        for identity, entry in mine.items():
            taken[identity] = dataclasses.replace(entry, shard=number, offset=places[entry.offset])
        files.append(new)
    return Weights(taken, tuple(files), WeightsJob(tuple(move for move in moves if move.parts)))


def check_room(job: WeightsJob) -> None:
    """Says that there is no room for what a job copies, before anything else is done.

    Raises:
      InputError: more is needed than is free.
    """
    needed, folder = 0, ""
    for move in job.moves:
        if move.new is None:
            continue
        folder = os.path.dirname(move.new)
        try:
            source = open_file(move.old, move.boundary)
        except OSError:
            return  # Who carries the job out says why.
        try:
            holes = _holes(source)
        finally:
            os.close(source)
        size, empty = _sizes(move, holes)
        needed += size - empty
    free = shutil.disk_usage(folder).free if needed else 0
    if needed > free:
        raise InputError(
            f"the weights of the new model take {needed:,} bytes, and its file system has {free:,} free; make room, or "
            "choose another destination"
        )


def run(job: WeightsJob) -> Done | Failed:
    """Carries a job out: reads every byte once, in little memory."""
    try:
        for move in job.moves:
            _carry_out(move)
    except InputError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(f"the new model cannot be written: {error.strerror or error}")
    return Done()


def put(weights: Weights, destination: str, count: int) -> None:
    """Gives the data files their names in a bundle of `count` of them; the others bear the numbers after theirs."""
    for number, file in enumerate(weights.files):
        os.rename(file, data_file(destination, number, count))


def _bundle(plan: Plan, source: str, boundary: Boundary | None) -> Bundle | None:
    if not any(isinstance(variable.value, FromCheckpoint) for variable in plan.variables):
        return None
    if not os.path.exists(index_file(source)):
        return None  # A V1 checkpoint, which TensorFlow reads.
    bundle = read_bundle(source, boundary)
    return bundle if bundle.endianness == "LITTLE" else None


def _takeable(variables: Sequence[VariablePlan], bundle: Bundle) -> dict[str, Entry]:
    """The entries whose bytes are a variable's value as they are, by the variable's identity."""
    found = {v.identity: entry for v in variables if (entry := _entry(v, bundle)) is not None}
    # Tensors that share bytes in part are nobody's but a forger's; TensorFlow reads them one by one.
    shared = set()
    end = (0, 0)
    for place in sorted({(e.shard, e.offset, e.size, e.crc32c) for e in found.values()}):
        shard, offset, size, _ = place
        if (shard, offset) < end:
            shared.add(shard)
        end = max(end, (shard, offset + size))
    return {identity: entry for identity, entry in found.items() if entry.shard not in shared}


def _entry(variable: VariablePlan, bundle: Bundle) -> Entry | None:
    """The entry whose bytes are the variable's value as it is, or None."""
    value = variable.value
    if not isinstance(value, FromCheckpoint) or value.key not in bundle.entries:
        return None
    # A string tensor carries its lengths, and its checksum counts otherwise.
    if base_name(variable.dtype) == "string" or bundle.entries[value.key].dtype != base_name(variable.dtype):
        return None
    shape = bundle.entries[value.key].shape
    if not value.slice_spec:
        return bundle.find_slice(value.key, Slice((0,) * len(shape), shape))
    parsed = parse_slice(value.slice_spec)
    if parsed is None or parsed[0] != shape:
        return None
    return bundle.find_slice(value.key, parsed[1])


def _link(old: str, new: str, boundary: Boundary | None) -> None:
    try:
        os.link(os.path.realpath(old), new)
        if boundary is not None:
            handle = open_file(old, boundary)
            try:
                if not os.path.samestat(os.fstat(handle), os.lstat(new)):
                    raise InputError(f"{old}: was changed while it was linked; convert it again")
            finally:
                os.close(handle)
    except OSError as error:
        raise InputError(f"{old}: cannot be linked to {new} ({error.strerror}); use --checkpoint=copy") from error


def _share_blocks(old: str, new: str, boundary: Boundary | None) -> bool:
    """Makes the new file of the old one's blocks; False on another file system, or one that cannot."""
    try:
        with open_stream(old, boundary) as source, create(new) as target:
            fcntl.ioctl(target, _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def _packed(parts: Sequence[Part]) -> dict[int, int]:
    """New offsets by old ones, where parts lie one after the other."""
    places = {}
    end = 0
    for part in parts:
        places[part.offset] = end
        end += part.size
    return places


def _carry_out(move: Move) -> None:
    try:
        source = open_file(move.old, move.boundary)
    except OSError as error:
        raise InputError(f"{move.old}: cannot be read ({error.strerror})") from error
    try:
        holes = _holes(source)
        if move.new is None:
            for part in move.parts:
                _compare(part, _chunks(source, part, holes))
            return
        with _Target(move.new, *_sizes(move, holes)) as target:
            for part in move.parts:
                _compare(part, _chunks(source, part, holes), target)
    finally:
        os.close(source)


def _compare(part: Part, chunks: Iterator[bytes], target: _Target | None = None) -> None:
    """Sums up a tensor's bytes, and writes them where they have somewhere to go.

    Raises:
      InputError: they do not match their checksum.
    """
    crc = 0
    for chunk in chunks:
        crc = google_crc32c.extend(crc, chunk)
        if target is not None:
            (target.skip if chunk is _HOLE else target.write)(chunk)
    if mask(crc) != part.crc32c:
        raise InputError(
            f"the checkpoint is damaged: the bytes of {part.key!r} do not match their checksum; "
            f"they fill variable {part.variable!r}"
        )


def _chunks(source: int, part: Part, holes: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes of a part; fewer where the file ends before. A megabyte of a hole is `_HOLE` itself."""
    offset = part.offset
    for start, end in (*_holes_of(part, holes), (part.offset + part.size,) * 2):
        while offset < start:
            chunk = os.pread(source, min(_CHUNK_BYTES, start - offset), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)
        yield from itertools.repeat(_HOLE, (end - start) // len(_HOLE))
        offset = end


def _holes(source: int) -> tuple[tuple[int, int], ...]:
    """Start and end of each hole of a file."""
    status = os.fstat(source)
    if status.st_blocks * STAT_BLOCK_BYTES >= status.st_size:
        return ()
    ranges = [(0, 0), *data_ranges(source, status.st_size), (status.st_size,) * 2]
    return tuple((end, start) for (_, end), (start, _) in itertools.pairwise(ranges) if end < start)


def _sizes(move: Move, holes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Bytes of the parts of a move, and how many of them are holes of its source."""
    empty = sum(end - start for part in move.parts for start, end in _holes_of(part, holes))
    return sum(part.size for part in move.parts), empty


def _holes_of(part: Part, holes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of the holes lies in a part, in whole megabytes; what is less is read and written as zeros."""
    first = bisect.bisect_right(holes, part.offset, key=lambda hole: hole[1])
    for start, end in itertools.islice(holes, first, None):
        if start >= part.offset + part.size:
            return
        start, end = max(start, part.offset), min(end, part.offset + part.size)
        whole = (end - start) // len(_HOLE) * len(_HOLE)
        if whole > 0:
            yield start, start + whole


class _Target:
    """A new data file, which is on the disk when the block ends.

    The disk begins to write while the rest is still being copied, so that flushing waits for what is left only.
    """

    def __init__(self, path: str, size: int, empty: int = 0) -> None:
        """Makes the file.

        Args:
          path: of the file.
          size: of all that will be written and skipped.
          empty: how much of it will be skipped.
        """
        self._written = 0
        self._started = 0
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = open_regular(path, os.O_WRONLY | os.O_CREAT)
        try:
            if empty:
                self._check_room(size - empty)
            else:
                self._allocate(size)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if os.fstat(self._file).st_size < self._written:
                    os.ftruncate(self._file, self._written)  # It ends in a hole.
                os.fsync(self._file)
        finally:
            os.close(self._file)

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._written += len(data)
        if self._written - self._started >= _WRITE_BACK_BYTES:
            self._write_back()

    def skip(self, zeros: bytes) -> None:
        """Appends a hole that is as long as these zeros."""
        os.lseek(self._file, len(zeros), os.SEEK_CUR)
        self._written += len(zeros)

    def _check_room(self, size: int) -> None:
        """The same as `_allocate` for a file with holes, whose space cannot be reserved in one piece."""
        file_system = os.fstatvfs(self._file)
        if size > file_system.f_bavail * file_system.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _allocate(self, size: int) -> None:
        """Reserves the space: a full disk is told before the copying, and pages are written for less."""
        allocate = getattr(self._libc, "fallocate", None)  # posix_fallocate would write zeros where it cannot.
        if allocate is None or not size:
            return
        if allocate(self._file, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
            number = ctypes.get_errno()
            if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise OSError(number, os.strerror(number))

    def _write_back(self) -> None:
        start = getattr(self._libc, "sync_file_range", None)
        if start is not None:
            length = self._written - self._started
            with contextlib.suppress(OSError):
                start(self._file, ctypes.c_int64(self._started), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)
        self._started = self._written
