"""Has TensorFlow imported by a fork while another process reads and plans, which needs none of it.

A model alone would else pay for both in turn, and so would every byte of its weights. The price is a process that is
killed in the middle of an import where a model turns out to be refused.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from migrate.forks import Forks, Running, fork, job_directory, kill_group, result_of, tail, watch
from migrate.frozen import frozen
from migrate.records import Crashed
from migrate.serving import serve

AHEAD = "--ahead"
"""The server's argument before the names of the modules that a fork of it imports."""

_PLACE = "MIGRATE_AHEAD"
"""Environment variable of a job that says where the fork is: PID:REQUESTS:ANSWERS:OUTPUT."""
_END_SECONDS = 2.0


@frozen
class Place:
    """Where the fork is found by those that come after it.

    Attributes:
      pid: its process id.
      requests: descriptor that it is asked on.
      answers: descriptor that it answers on.
      output: file with what it and its forks write to standard error.
    """

    pid: int
    requests: int
    answers: int
    output: str

    def kill(self) -> None:
        """Ends it, in the middle of an import if need be; its jobs die with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@contextlib.contextmanager
def started(modules: Sequence[str]) -> Iterator[Callable[[int], None]]:
    """Forks a process that imports modules and then forks for the jobs of `Ahead`, in later forks of this one.

    Yields:
      What is to be told the exit code of a job that may have used it: it ends with the first.
    """
    with job_directory() as directory:
        place, ended = _start(modules, os.path.join(directory, "ahead"))
        try:
            yield ended
        finally:
            place.kill()
            os.waitpid(place.pid, 0)  # What it has used counts among what this process has.


def _start(modules: Sequence[str], output: str) -> tuple[Place, Callable[[int], None]]:
    taken, requests = os.pipe()
    answers, told = os.pipe()

    def work() -> int:
        os.close(requests)
        os.close(answers)
        os.dup2(taken, 0)
        serve(modules, told)
        return 0

    pid, lifeline = fork(work, output)
    os.close(taken)
    os.close(told)
    place = Place(pid, requests, answers, output + ".output")
    os.environ[_PLACE] = f"{pid}:{requests}:{answers}:{place.output}"

    def ended(code: int) -> None:
        os.environ.pop(_PLACE, None)
        place.kill()
        if code:  # A job that was killed has left a step behind, which must not write any more.
            select.select([lifeline], [], [], _END_SECONDS)

    return place, ended


def place() -> Place | None:
    """Where a fork of a process above this one imports TensorFlow; None where there is none."""
    pid, _, rest = os.environ.get(_PLACE, "").partition(":")
    if not pid:
        return None
    requests, answers, output = rest.split(":", 2)
    return Place(int(pid), int(requests), int(answers), output)


class Ahead:
    """Runs jobs in forks of the fork, one at a time. A context manager: leaving it ends all of them."""

    def __init__(self, place: Place, memory_limit_bytes: int | None = None) -> None:
        self._place = place
        self._memory_limit = memory_limit_bytes
        self._forks = Forks(memory_limit_bytes)
        self._rest = b""

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.kill()

    def begin(self, step: str, module: str, job: object, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        return self._forks.begin(step, module, job, timeout_seconds)

    def run(self, step: str, module: str, job: object, timeout_seconds: float) -> Any:
        """See `Runner.run`. Its time starts with the process, not with the import."""
        with job_directory() as directory:
            file = os.path.join(directory, "job")
            with open(file, "wb") as stream:
                pickle.dump(job, stream)
            first = None
            with contextlib.suppress(BrokenPipeError):
                os.write(self._place.requests, f"0\t{module}\t{file}\n".encode())
                first = self._answer(None)
            if first is None:  # The fork is gone; this process can do without.
                return self._forks.run(step, module, job, timeout_seconds)
            pid = int(first.rpartition(" ")[2])
            last: list[str | None] = []

            def wait(seconds: float) -> bool:
                with contextlib.suppress(TimeoutError):
                    last.append(self._answer(seconds))
                return bool(last)

            ending = watch(step, pid, wait, timeout_seconds, self._memory_limit)
            if ending is not None:
                kill_group(pid)
                with contextlib.suppress(TimeoutError):  # Its directory is removed next; it must not write there.
                    self._answer(_END_SECONDS)
                return result_of(step, file, ending)
            code = last[0]
            if code is None:
                with open(self._place.output, "rb") as output:
                    return Crashed(step, -signal.SIGKILL, tail(output))
            return result_of(step, file, int(code.rpartition(" ")[2]))

    def _answer(self, seconds: float | None) -> str | None:
        """The next line that the fork writes; None when there will be no more.

        Raises:
          TimeoutError: there is none yet.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._place.answers], [], [], left)[0]:
                raise TimeoutError
            read = os.read(self._place.answers, 1 << 16)
            if not read:
                return None
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")
