"""Ends the process of a call that waits for something that never comes."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from migrate.frozen import frozen

BLOCKED = 87
"""Exit code of such a process."""
PATIENCE_SECONDS = 5.0
"""How long a call may do nothing at all. An empty queue is waited for without end, and so are a barrier and a staging
area, whose kernel no time limit of a Session interrupts."""

_WINDOWS = 5
"""That time is looked at in so many parts, in each of which nothing must be done."""
_IDLE_SHARE = 0.01  # Of one core; a process on a crowded machine gets more.
_PAUSED_TIMES = 2  # A part that takes longer than this is one in which the process was stopped.


@contextlib.contextmanager
def watched(seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Ends this process where the block does nothing for so long.

    That is: takes no processor's time worth mentioning and reads nothing from a disk. A call that computes is never
    ended here, however long it takes.

    Args:
      seconds: how long.
    """
    watcher = _watcher(os.getpid(), seconds)
    before = watcher.begin(object())
    try:
        yield
    finally:
        watcher.begin(before)


@frozen
class Window:
    """What a process has done in one part of the time.

    Attributes:
      seconds: how long it was.
      busy_seconds: time of all its threads on processors.
      reads: how often it has waited for a disk.
    """

    seconds: float
    busy_seconds: float
    reads: int


def is_idle(windows: Sequence[Window], window_seconds: float) -> bool:
    """Whether a process waits for something that never comes.

    Args:
      windows: what it has done so far, part by part.
      window_seconds: how long a part should be.
    """
    last = windows[-_WINDOWS:]
    return len(last) == _WINDOWS and all(
        w.seconds <= _PAUSED_TIMES * window_seconds and w.busy_seconds < _IDLE_SHARE * w.seconds and not w.reads
        for w in last
    )


class _Watcher:
    """Looks at what is done for one call after another, in a thread that ends where there is none for a while.

    A thread for each call would take as long as a small model's call.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._call: object | None = None
        self._lock = threading.Lock()
        self._is_running = False

    def begin(self, call: object | None) -> object | None:
        """Says which call is made now, or that none is; gives the one before."""
        with self._lock:
            before, self._call = self._call, call
            if call is not None and not self._is_running:
                threading.Thread(target=self._watch, daemon=True).start()
                self._is_running = True
        return before

    def _watch(self) -> None:
        windows: list[Window] = []
        call: object | None = None
        while True:
            with self._lock:
                if self._call is None and call is None and windows:
                    self._is_running = False
                    return
                if self._call is not call:
                    call, windows = self._call, []
            busy, reads, start = time.process_time(), _reads(), time.monotonic()
            time.sleep(self._seconds / _WINDOWS)
            waited = time.monotonic() - start
            windows = [*windows[1 - _WINDOWS :], Window(waited, time.process_time() - busy, _reads() - reads)]
            if call is not None and call is self._call and is_idle(windows, self._seconds / _WINDOWS):
                print(f"the call has done nothing for {self._seconds:g} seconds", file=sys.stderr, flush=True)
                os._exit(BLOCKED)


@functools.cache
def _watcher(_: int, seconds: float) -> _Watcher:
    """The watcher of a process, by its id: a fork has none of the threads of its parent."""
    return _Watcher(seconds)


def _reads() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_majflt + used.ru_inblock
