"""A job in a process of its own: how it is started, watched and waited for, whatever makes the process.

A `Channel` makes the process: as a fork of this one (`forks.ForkChannel`), or as a fork of a server
(`server_channel.ServerChannel`). The rest is the same for every job and is done here: its files, its limits of time and
memory, the call that it is at, its result, and that nothing of it is left behind.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

from migrate.processes.job_files import JobFiles, result_of
from migrate.records import Crashed, TimedOut

POLL_SECONDS = 0.5
"""How often a process is looked at; its end may not be reported in another way."""

_MEMORY_POLL_SECONDS = 0.05

Counted = Callable[[int, int], None]
"""Takes which of its calls a job makes, from 1, and how many there are."""


class Channel(Protocol):
    """Makes the process of one job and learns of its end. It holds nothing before `start`."""

    def start(self, files: JobFiles) -> int:
        """Starts the process and gives its id. Where this raises, `close` is the only method that may follow."""

    def wait(self, seconds: float) -> int | None:
        """Waits at most so long for the end; the exit code, or None where the process still runs."""

    def kill(self) -> None:
        """Kills the process and what it has started, and waits until it is gone. Does nothing once it has ended."""

    def close(self) -> None:
        """Gives back what it holds."""


class Job:
    """A job that was started, with limits. It must be stopped, whether it has ended or not.

    Args:
      channel: makes its process; a new one.
      step: name of the step, for the report.
      kind: the type of its result, as `codec.decode` takes it.
      timeout_seconds: after which it is killed, counted from its start.
      memory_limit_bytes: resident memory above which it is killed, or None.
      counted: told which call it makes, whenever that is new, or None.
    """

    def __init__(
        self,
        channel: Channel,
        step: str,
        kind: Any,
        timeout_seconds: float,
        memory_limit_bytes: int | None = None,
        counted: Counted | None = None,
    ) -> None:
        self._channel = channel
        self._step = step
        self._kind = kind
        self._timeout_seconds = timeout_seconds
        self._memory_limit = memory_limit_bytes
        self._counted = counted
        self._told: tuple[int, int] | None = None
        with contextlib.ExitStack() as held:
            self._files = held.enter_context(JobFiles())
            held.callback(channel.close)
            self._pid = channel.start(self._files)
            self._held = held.pop_all()
        self._deadline = time.monotonic() + timeout_seconds

    def result(self) -> Any:
        """Waits for its result; how it ended where it has none. See `Runner.run`."""
        ending = self._ending()
        if not isinstance(ending, int):
            self._channel.kill()
        return result_of(self._step, self._files, self._kind, ending)

    def stop(self) -> None:
        """Kills it, unless it has ended, and removes its files."""
        with self._held:  # After the kill: the directory is removed, and nobody must write there.
            self._channel.kill()

    def _ending(self) -> int | Crashed | TimedOut:
        """Its exit code, or the reason for which it must be killed."""
        poll = POLL_SECONDS if self._memory_limit is None else _MEMORY_POLL_SECONDS
        while True:
            code = self._channel.wait(min(poll, max(0.0, self._deadline - time.monotonic())))
            if code is not None:
                return code
            self._tell_count()
            held = 0 if self._memory_limit is None else _resident_bytes(self._pid)
            if self._memory_limit is not None and held > self._memory_limit:
                limit = f"more than the {self._memory_limit >> 20:,} MB that --memory_limit allows"
                return Crashed(self._step, -signal.SIGKILL, f"migrate killed it: it held {held >> 20:,} MB, {limit}")
            if time.monotonic() >= self._deadline:
                return TimedOut(self._step, self._timeout_seconds)

    def _tell_count(self) -> None:
        if self._counted is not None:
            found = self._files.count()
            if found is not None and found != self._told:
                self._told = found
                self._counted(*found)


def finished(job: Job) -> Any:
    """Waits for a job's result and stops it."""
    try:
        return job.result()
    finally:
        job.stop()


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process (proc(5), statm), TensorFlow's own pages included; 0 where it cannot be read."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0
