"""Ends the process of a call that waits for something that never comes, or goes on when its time is over."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

from migrate.frozen import frozen

BLOCKED = 87
"""Exit code of a process whose call waits for something that never comes."""
OVERDUE = 88
"""Exit code of one whose call goes on when its time is over: a kernel that never asks whether it is to stop."""
PATIENCE_SECONDS = 5.0
"""How long a call may do nothing at all. An empty queue is waited for without end, and so are a barrier and a staging
area, whose kernel no time limit of a Session interrupts."""

GRACE_SECONDS = 10.0
"""How long a call may go on when its time is over. A Session that has a time limit waits until all kernels have ended
(DirectSession::WaitForNotification, core/common_runtime/direct_session.cc)."""

_WINDOWS = 5
"""That time is looked at in so many parts, in each of which nothing must be done."""
_IDLE_SHARE = 0.01  # Of one core; a process on a crowded machine gets more.
_PAUSED_TIMES = 2  # A part that takes longer than this is one in which the process was stopped.


@contextlib.contextmanager
def watched(seconds: float = PATIENCE_SECONDS, limit: float | None = None) -> Iterator[None]:
    """Ends this process where the block does nothing for so long.

    That is: takes no processor's time worth mentioning and reads nothing from a disk. A call that computes and has no
    limit is never ended here, however long it takes.

    Args:
      seconds: how long.
      limit: seconds after which the block must have ended, None for any.
    """
    watcher = _watcher(os.getpid(), seconds)
    before = watcher.begin(_Watched(None if limit is None else time.monotonic() + limit))
    try:
        yield
    finally:
        watcher.begin(before)


def limited(seconds: float) -> contextlib.AbstractContextManager[None]:
    """Watches a run of a Session whose time limit is so many seconds; 0 is none, and then nothing is watched here."""
    return watched(limit=seconds + GRACE_SECONDS) if seconds else contextlib.nullcontext()


class _Watched:
    """A call.

    Attributes:
      end: when it must have ended, by the monotonic clock, or None.
    """

    def __init__(self, end: float | None) -> None:
        self.end = end


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
        self._call: _Watched | None = None
        self._lock = threading.Lock()
        self._is_running = False

    def begin(self, call: _Watched | None) -> _Watched | None:
        """Says which call is made now, or that none is; gives the one before."""
        with self._lock:
            before, self._call = self._call, call
            if call is not None and not self._is_running:
                threading.Thread(target=self._watch, daemon=True).start()
                self._is_running = True
        return before

    def _watch(self) -> None:
        windows: list[Window] = []
        call: _Watched | None = None
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
            if call is None or call is not self._call:
                continue
            if is_idle(windows, self._seconds / _WINDOWS):
                _end(BLOCKED, f"has done nothing for {self._seconds:g} seconds")
            if call.end is not None and time.monotonic() > call.end:
                _end(OVERDUE, "goes on when its time is over")


def _end(code: int, why: str) -> NoReturn:
    print(f"the call {why}", file=sys.stderr, flush=True)
    os._exit(code)


@functools.cache
def _watcher(_: int, seconds: float) -> _Watcher:
    """The watcher of a process, by its id: a fork has none of the threads of its parent."""
    return _Watcher(seconds)


def _reads() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_majflt + used.ru_inblock
