"""Has TensorFlow imported in a fork while this process reads and plans, which needs none of it.

A model alone would else pay for both in turn, and so would every byte of its weights. The price of a model that turns
out to be refused is a process that is killed in the middle of an import.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from migrate.forks import Forks, Running, fork, job_directory, kill_group, result_of, tail, watch
from migrate.records import Crashed
from migrate.server import serve

_END_SECONDS = 2.0


class Ahead:
    """Runs jobs in forks of a fork of this process, one at a time. A context manager: leaving it ends all of them.

    Args:
      preload: names of the modules that the fork imports.
      memory_limit_bytes: resident memory at which a job is killed, or None.
    """

    def __init__(self, preload: Sequence[str], memory_limit_bytes: int | None = None) -> None:
        self._forks = Forks(memory_limit_bytes)
        self._memory_limit = memory_limit_bytes
        self._directory = contextlib.ExitStack()
        self._output = os.path.join(self._directory.enter_context(job_directory()), "ahead")
        taken, self._requests = os.pipe()
        self._answers, told = os.pipe()

        def work() -> int:
            os.close(self._requests)
            os.close(self._answers)
            os.dup2(taken, 0)
            serve(preload, told)
            return 0

        self._pid, self._lifeline = fork(work, self._output)
        os.close(taken)
        os.close(told)
        self._rest = b""
        self._code: int | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        for descriptor in (self._requests, self._answers, self._lifeline):
            os.close(descriptor)
        self._directory.close()

    def begin(self, step: str, module: str, job: object, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        return self._forks.begin(step, module, job, timeout_seconds)

    def run(self, step: str, module: str, job: object, timeout_seconds: float) -> Any:
        """See `Runner.run`. Its time starts with the process, not with the import."""
        with job_directory() as directory:
            file = os.path.join(directory, "job")
            with open(file, "wb") as stream:
                pickle.dump(job, stream)
            try:
                os.write(self._requests, f"0\t{module}\t{file}\n".encode())
            except BrokenPipeError:
                return self._lost(step)
            first = self._answer(None)
            if first is None:
                return self._lost(step)
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
            return self._lost(step) if code is None else result_of(step, file, int(code.rpartition(" ")[2]))

    def _answer(self, seconds: float | None) -> str | None:
        """The next line that the fork writes; None when there will be no more.

        Raises:
          TimeoutError: there is none yet.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                raise TimeoutError
            read = os.read(self._answers, 1 << 16)
            if not read:
                return None
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def _lost(self, step: str) -> Crashed:
        """The fork has died, for whatever reason, and its jobs with it."""
        code = self._end()
        with open(self._output + ".output", "rb") as stream:
            return Crashed(step, code, tail(stream))

    def _end(self) -> int:
        """Kills the fork, in the middle of an import if need be; its jobs die with it. Gives its exit code."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)  # One that has ended keeps its number until it is waited for.
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code
