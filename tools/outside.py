"""Files beside a mutant that belong to no model: whoever opens or changes one of them has escaped."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

SECRET, PIPE, FOLDER = "secret", "pipe", "folder"
_OLD = (10**18, 2 * 10**18)
"""Times of access and of change, in nanoseconds: the kernel notes a read of what has changed since the last one."""


def make_outside(place: str) -> None:
    """Makes a directory with a file, a pipe without a writer and a directory; mutants move files of theirs to it."""
    os.makedirs(os.path.join(place, FOLDER))
    for path in (os.path.join(place, SECRET), os.path.join(place, FOLDER, SECRET)):
        with open(path, "w", encoding="ascii") as stream:
            stream.write("7\n")
    os.mkfifo(os.path.join(place, PIPE))


class Outside:
    """Such a directory, as it is when a mutant is done and before migrate sees it."""

    def __init__(self, place: str) -> None:
        self._place = place
        for path in _below(place):
            if not os.path.islink(path):
                os.utime(path, ns=_OLD)
        self._before = _seen(place)

    def touched(self, *, read: bool = True) -> list[str]:
        """What has been changed, made, taken away or, where that counts, read since, by whatever process."""
        after = _seen(self._place)
        skip = 0 if read else 1
        return sorted(
            path
            for path in {*self._before, *after}
            if path not in self._before or path not in after or self._before[path][skip:] != after[path][skip:]
        )

    def holds(self, path: str) -> bool:
        """Whether a path leads there, through links or not."""
        real = os.path.realpath(path)
        return real == self._place or real.startswith(self._place + os.sep)

    def remove(self) -> None:
        """Takes it away."""
        shutil.rmtree(self._place, ignore_errors=True)


def _below(place: str) -> Iterator[str]:
    for folder, _, names in os.walk(place, topdown=False):
        yield from (os.path.join(folder, name) for name in names)
        yield folder


def _seen(place: str) -> dict[str, tuple[int, ...]]:
    """Time of the last read, where it is a file, and time of the last change, mode and size of all that is there."""
    found: dict[str, tuple[int, ...]] = {}
    for path in _below(place):
        status = os.lstat(path)
        read = status.st_atime_ns if stat.S_ISREG(status.st_mode) else 0
        found[path] = (read, status.st_mtime_ns, status.st_mode, status.st_size)
    return found
