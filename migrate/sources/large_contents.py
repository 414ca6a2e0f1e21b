"""What large constants hold, left in the file of a model: processes tell each other where it is, and map it."""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.cut_constants import GRAPH_DEF, META_GRAPH_DEF, SAVED_MODEL, Level, Part, cut
from migrate.graph.large_constants import LARGE_BYTES
from migrate.sources.boundary import Boundary
from migrate.sources.files import open_file

_HEAD_BYTES = 64
_COMPARED_BYTES = 1 << 22

Place = tuple[int, int]
"""In a file: the first byte of a content, and the one after its last."""


@frozen
class InFile:
    """What the stubs of a graph hold (see `graph.large_constants`).

    Attributes:
      file: path of the file with what is not carried along; empty where all is.
      parts: by the stub's number: what it holds, or where that is in the file.
      state: of the file when it was read: its size, and the time of its last change in nanoseconds.
    """

    file: str = ""
    parts: Sequence[bytes | Place] = ()
    state: tuple[int, int] = (0, 0)

    @contextlib.contextmanager
    def contents(self) -> Iterator[Sequence[Part]]:
        """What the stubs hold, by number; the file is mapped until the block ends.

        Raises:
          InputError: the file is not as it was.
        """
        if not self.file:
            yield [part for part in self.parts if isinstance(part, bytes)]
            return
        with mapped(self.file) as (data, state):
            if state != self.state:
                raise InputError(f"{self.file}: was changed while it was read; do it again")
            with memoryview(data) as view, contextlib.ExitStack() as held:
                yield [
                    part if isinstance(part, bytes) else held.enter_context(view[part[0] : part[1]])
                    for part in self.parts
                ]

    def size(self, number: int) -> int:
        """Bytes of what a stub holds."""
        part = self.parts[number]
        return len(part) if isinstance(part, bytes) else part[1] - part[0]


@contextlib.contextmanager
def mapped(file: str, boundary: Boundary | None = None) -> Iterator[tuple[mmap.mmap, tuple[int, int]]]:
    """The bytes of a file that is not empty, and its state (see `InFile`).

    Raises:
      OSError, InputError: see `open_file`.
    """
    handle = open_file(file, boundary)
    try:
        status = os.fstat(handle)
        with mmap.mmap(handle, 0, prot=mmap.PROT_READ) as data:
            yield data, (status.st_size, status.st_mtime_ns)
    finally:
        os.close(handle)


class Finder:
    """Finds where a file with a SavedModel, a MetaGraphDef or a GraphDef has what large constants hold."""

    def __init__(self, data: mmap.mmap) -> None:
        """See the class."""
        self._data = data

    @functools.cached_property
    def _known(self) -> Mapping[tuple[int, bytes], Sequence[Place]]:
        """The places by the length of what is there, and by how it begins."""
        known: dict[tuple[int, bytes], list[Place]] = {}
        # Exporters write the version of a SavedModel first. What is found is compared, whatever the file is.
        levels = (SAVED_MODEL,) if self._data[:1] == b"\x08" else (GRAPH_DEF, META_GRAPH_DEF)
        for start, end in next(filter(None, map(self._places, levels)), ()):
            known.setdefault((end - start, self._data[start : start + _HEAD_BYTES]), []).append((start, end))
        return known

    def _places(self, level: Level) -> Sequence[Place]:
        try:
            return cut(self._data, level).places
        except (ValueError, DecodeError):
            return ()

    def place(self, content: bytes) -> Place | None:
        """A place in the file that has these bytes; None where there is none."""
        for place in self._known.get((len(content), content[:_HEAD_BYTES]), ()):
            if self._is_at(place[0], content):
                return place
        return None

    def _is_at(self, start: int, content: bytes) -> bool:
        # In parts, each of which is copied.
        for first in range(0, len(content), _COMPARED_BYTES):
            part = content[first : first + _COMPARED_BYTES]
            if self._data[start + first : start + first + len(part)] != part:
                return False
        return True


@contextlib.contextmanager
def finder_in(
    file: str, least: int = LARGE_BYTES, boundary: Boundary | None = None
) -> Iterator[tuple[Finder, tuple[int, int]] | None]:
    """A finder for a file, and the file's state (see `InFile`).

    Args:
      file: its path.
      least: None is given for a file that has fewer bytes, and where there is none.
      boundary: where it may be; None for anywhere.
    """
    if not os.path.isfile(file) or os.path.getsize(file) < least:
        yield None
        return
    with mapped(file, boundary) as (data, state):
        yield Finder(data), state
