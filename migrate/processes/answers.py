"""What a server (`fork_server.py`) and a job say of the job, as the process reads it that has asked for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from migrate.processes.forks import said, wait_for

_READ_BYTES = 1 << 14
_LINE_BYTES = 1 << 12
"""What has no end of line until then is cut there."""


class Answers:
    """The pipe on which a server answers, and the one on which the job itself may say what it does.

    Takes both descriptors over; `close` closes them.

    Args:
      answers: what `fork_server.ask` gives.
      lines: the end of a pipe that the job writes to, or None.
      say: takes each of its lines, without anything in it that a terminal would obey.
    """

    def __init__(self, answers: int, lines: int | None = None, say: Callable[[str], None] | None = None) -> None:
        self._answers = _Lines(answers)
        self._lines = None if lines is None else _Lines(lines)
        self._say = say
        self.ended = False
        """Whether there will be no more answers."""
        self.code: int | None = None
        """The job's exit code, once it is known; None where the server died before the job."""

    def close(self) -> None:
        """Closes both pipes."""
        self._answers.close()
        if self._lines is not None:
            self._lines.close()

    def pid(self, seconds: float | None) -> int | None:
        """The job's process id; None where the server died before it had one.

        Raises:
          TimeoutError: there is no answer yet.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not (found := self._answers.taken()):
            if self._answers.at_end:
                self.ended = True
                return None
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not wait_for((), left, self._answers.descriptor):
                raise TimeoutError
            self._answers.fill()
        return int(found.partition(b" ")[2])

    def wait(self, seconds: float) -> bool:
        """Waits until the job has ended; whether it has. Says what the job says meanwhile."""
        if not self._take():
            lines = [] if self._lines is None or self._lines.at_end else [self._lines.descriptor]
            ready = wait_for((), seconds, self._answers.descriptor, *lines)
            # The lines first: they were written before the job ended.
            if self._lines is not None and self._lines.descriptor in ready:
                self._lines.fill()
                while (line := self._lines.taken()) is not None:
                    if self._say is not None:
                        self._say(said(line))
            if self._answers.descriptor in ready:
                self._answers.fill()
                self._take()
        return self.ended

    def end(self, seconds: float) -> None:
        """Waits so long for the end of a job that was killed."""
        deadline = time.monotonic() + seconds
        while not self.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() < deadline:
            pass

    def _take(self) -> bool:
        line = self._answers.taken()
        if line is not None:
            self.code = int(line.partition(b" ")[2])
        self.ended = self.ended or line is not None or self._answers.at_end
        return self.ended


class _Lines:
    """The lines that come out of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.at_end = False
        self._rest = b""

    def fill(self) -> None:
        """Reads what is there, or waits for it."""
        read = os.read(self.descriptor, _READ_BYTES)
        self.at_end = not read
        self._rest += read

    def taken(self) -> bytes | None:
        """The next line, or None."""
        line, end, rest = self._rest.partition(b"\n")
        if not end:
            if len(self._rest) < _LINE_BYTES:
                return None
            line, rest = self._rest[:_LINE_BYTES], self._rest[_LINE_BYTES:]
        self._rest = rest
        return line

    def close(self) -> None:
        """Closes the pipe."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
