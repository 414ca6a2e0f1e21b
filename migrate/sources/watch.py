"""What an audit may take, in memory and in time, and the watch over it while it runs.

What can be known before is refused before (`budget`). The rest is watched: the kernel's profiling timer interrupts the
process each time it has computed for a while, and what is over its bounds is ended there, wherever it is.
"""

from __future__ import annotations

# `signal` makes enumerations of it when it is imported, which takes as long as reading a small model.
import _signal as signal  # type: ignore[import-not-found]
import math
import resource
import threading
import time
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from migrate.errors import InputError

MEMORY_BYTES = 500 << 20
"""What an audit may take by default, beyond `TIMES` the bytes of the files that are parsed."""
TIMES = 4
OWN_BYTES = 50 << 20
"""Of the interpreter and this program."""
SECONDS = 30.0
"""Processor time that an audit may take by default, beyond what its nodes and bytes are worth."""
NODES_A_SECOND = 5_000
BYTES_A_SECOND = 20 << 20
"""Constants of gigabytes are read, parsed and looked at."""
_BYTES_AN_ORDINARY_NODE = 2_500
"""Once it is parsed and planned (measured: 1,000 to 2,100), for a hint in a message."""
UNPACKED_BYTES = 256 << 20
"""What an archive may unpack to by default, however small it is."""
_TICK_SECONDS = 0.05
TICK_BYTES = 30 << 20
"""What Python's objects take that are made within a tick (measured: 10 MB, on a slow machine)."""
_PATIENCE_SECONDS = 2.0
"""After an exception was raised; where it was swallowed (a `__del__` does so), it is raised again."""


class OverBoundsError(BaseException):
    """An audit takes more than it may. No `Exception`, so that nothing on its way takes it for an error of its own."""


class Watch:
    """What one audit may take, and has taken since it began.

    Attributes:
      memory_bytes: what it may take beyond `TIMES` the bytes of the files that are parsed.
      unpacked_bytes: what an archive may unpack to, however small it is.
      may_be_stored: whether nodes may stay bytes that are parsed when they are asked for (`stored`).
      is_whole: whether a graph is parsed as a whole where it could be stored, whatever memory that takes: converting
        needs it so.
    """

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        seconds: float = SECONDS,
        unpacked_bytes: int = UNPACKED_BYTES,
        may_be_stored: bool = True,
        is_whole: bool = False,
        clock: Callable[[], float] = time.thread_time,
        memory: Callable[[], int] | None = None,
    ) -> None:
        """Begins.

        Args:
          memory_bytes: see above.
          seconds: processor time that it may take, beyond what its nodes and bytes are worth.
          unpacked_bytes: see above.
          may_be_stored: see above.
          is_whole: see above.
          clock: gives the processor time that was taken so far.
          memory: gives the bytes that the process has resident.
        """
        self.memory_bytes = memory_bytes
        self.unpacked_bytes = unpacked_bytes
        self.may_be_stored = may_be_stored
        self.is_whole = is_whole
        self._is_lifted = False
        self._memory = memory or resident_bytes
        self._clock = clock
        self._seconds = seconds
        self._size = 0
        self._nodes = 0
        self._bytes_before = self._memory()
        self._clock_before = clock()
        self._found: str | None = None

    def has_read(self, size: int) -> None:
        """Allows what a file of so many bytes is worth, which is about to be parsed."""
        self._size += size

    def has_nodes(self, nodes: int) -> None:
        """Allows what so many nodes are worth."""
        self._nodes = nodes

    def lift(self) -> None:
        """Stops watching the memory."""
        self._is_lifted = True

    @property
    def bytes_allowed(self) -> int:
        """What the whole process may take where it does nothing else."""
        return self.memory_bytes + TIMES * self._size

    @property
    def seconds_allowed(self) -> float:
        """Processor time that may be taken."""
        return self._seconds + self._nodes / NODES_A_SECOND + self._size / BYTES_A_SECOND

    @property
    def is_over(self) -> bool:
        """Whether something was found to be over its bound."""
        return self._found is not None

    @property
    def excess(self) -> str:
        """What was found to be over its bound, with the flag that raises it."""
        return self._found or "takes more than it may"

    def _excess(self) -> str | None:
        taken = self._memory() - self._bytes_before
        if not self._is_lifted and taken > self.bytes_allowed - OWN_BYTES - TICK_BYTES:
            return self.memory_message(f"more than {self.bytes_allowed >> 20:,} MB")
        if self._clock() - self._clock_before > self.seconds_allowed:
            most = f"{self._seconds:,.0f} s, 1 s for each {NODES_A_SECOND:,} of its {self._nodes:,} nodes"
            return (
                f"takes more than {self.seconds_allowed:,.0f} s of processor time, where {most} and 1 s for each "
                f"{BYTES_A_SECOND >> 20} MB are the most; allow more with --audit_seconds=SECONDS "
                f"({max(2 * self._seconds, SECONDS):,.0f}, or more)"
            )
        return None

    def memory_message(self, what: str, enough_bytes: int = 0) -> str:
        """Says that a file takes more memory than it may.

        Args:
          what: how much.
          enough_bytes: what it takes at most, where that is known.
        """
        megabytes = (enough_bytes - TIMES * self._size >> 20) + 1
        more = max(2 * self.memory_bytes, 20 * self._size, _BYTES_AN_ORDINARY_NODE * self._nodes) >> 20
        enough = f"{megabytes} suffices" if enough_bytes else f"{more}, or more"
        return (
            f"takes {what} in memory, where {self.memory_bytes >> 20:,} MB and {TIMES} times its {self._size:,} bytes "
            f"are the most; allow more with --graph_memory=MEGABYTES ({enough})"
        )

    def check(self) -> None:
        """Looks whether all is within its bounds.

        Raises:
          OverBoundsError: something is not.
        """
        if self._found is None:
            self._found = self._excess()
        if self._found is not None:
            raise OverBoundsError

    def running(self, path: str) -> _Running:
        """Ends what runs in a `with` block where it goes over its bounds.

        In a thread that is not the main one, and where somebody else uses the profiling timer, only `check` does so.

        Args:
          path: what the model is called.

        Returns:
          A context manager that raises InputError where it did.
        """
        return _Running(self, path)


class _Running:
    """See `Watch.running`. A class and no generator, so that nothing of it runs outside of this file."""

    def __init__(self, watch: Watch, path: str) -> None:
        self._watch = watch
        self._path = path
        self._is_on = False
        self._seconds_told = -math.inf
        self._before: Any = None
        self._blocked: Collection[int] = ()

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread() or not _is_free():
            return
        self._is_on = True
        self._before = signal.signal(signal.SIGPROF, self._tick)
        self._blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
        signal.setitimer(signal.ITIMER_PROF, _TICK_SECONDS, _TICK_SECONDS)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._is_on:
            self._is_on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
            signal.signal(signal.SIGPROF, self._before)
        # What it was raised in may have made another exception of it.
        if self._watch.is_over and kind is not None and not issubclass(kind, KeyboardInterrupt):
            raise InputError(f"{self._path}: {self._watch.excess}") from None

    def _tick(self, _: int, frame: FrameType | None) -> None:
        """What the signal calls, whatever the program is doing."""
        if not self._is_on or frame is None or frame.f_code.co_filename == __file__:
            return  # An exception here would leave the timer on.
        now = time.monotonic()
        if now - self._seconds_told < _PATIENCE_SECONDS:
            return  # What is being ended puts away what it had begun.
        self._seconds_told = now
        self._watch.check()
        self._seconds_told = -math.inf


class Undisturbed:
    """Keeps a watch from ending what runs in a `with` block; it is ended soon after, where it is over its bounds.

    For what computes little and would leave something behind: a process that nobody waits for, an open file. A class in
    this file, so that no exception is raised while it begins or ends.
    """

    def __init__(self) -> None:
        """Blocks nothing yet."""
        self._blocked: Collection[int] = ()

    def __enter__(self) -> None:
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)


def resident_bytes() -> int:
    """Bytes of this process that are in memory; 0 where that cannot be read."""
    return mapped_and_resident()[1]


def mapped_and_resident() -> tuple[int, int]:
    """Bytes that this process has mapped, and that are in memory (proc(5), statm); 0 where that cannot be read."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as stream:
            mapped, resident = stream.read(100).split()[:2]
            return int(mapped) * resource.getpagesize(), int(resident) * resource.getpagesize()
    except (OSError, ValueError):
        return 0, 0


def _is_free() -> bool:
    """Whether nobody else uses the profiling timer and its signal."""
    return signal.getsignal(signal.SIGPROF) in (signal.SIG_DFL, signal.SIG_IGN) and not any(
        signal.getitimer(signal.ITIMER_PROF)
    )
