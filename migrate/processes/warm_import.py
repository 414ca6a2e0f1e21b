"""Has TensorFlow imported by a fork while another process reads and plans, which needs none of it.

A model alone would else pay for both in turn, and so would every byte of its weights. The price is a process that is
killed in the middle of an import where a model turns out to be refused.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from migrate.frozen import frozen
from migrate.processes.channel import Counted, Job, finished
from migrate.processes.fork_server import serve
from migrate.processes.forks import AHEAD_PLACE, Forks, Running, fork, wait_for
from migrate.processes.job_files import job_directory, tail
from migrate.processes.server_channel import ServerChannel, ServerEnd, ServerLostError
from migrate.records import Crashed

_END_SECONDS = 2.0


@frozen
class Found:
    """Where the fork is found by those that come after it.

    Attributes:
      pid: its process id.
      requests: descriptor of the socket that it is asked on.
      output: descriptor of the file with what it writes to standard error.
    """

    pid: int
    requests: int
    output: int

    def kill(self) -> None:
        """Ends it, in the middle of an import if need be; its jobs die with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Started:
    """The fork, as the server knows it that has started it."""

    def __init__(self, found: Found, lifeline: int) -> None:
        self._found = found
        self._lifeline = lifeline
        self._lent = True

    def lend(self) -> tuple[str, Sequence[int]]:
        """See `fork_server.Lend`."""
        found = self._found
        if not self._lent:
            return "", ()
        return f"{found.pid}:{found.requests}:{found.output}", (found.requests, found.output)

    def ended(self, code: int) -> None:
        """Takes the exit code of a job that may have used the fork: it ends with the first."""
        self._lent = False
        self._found.kill()
        if code:  # A job that was killed has left a step behind, which must not write any more.
            wait_for((), _END_SECONDS, self._lifeline)


@contextlib.contextmanager
def started(modules: Sequence[str]) -> Iterator[Started]:
    """Forks a process that imports modules and then forks for the jobs of `WarmImport`, in later forks of this one."""
    with job_directory() as directory, tempfile.TemporaryFile() as output:
        requests, taken = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # It and all its jobs hold the other end, and nobody else does.
        lifeline, held = os.pipe()

        def work() -> int:
            serve(modules, taken.detach(), kept=(held,))
            return 0

        pid, end = fork(work, directory, output.fileno(), (taken.fileno(), held))
        taken.close()
        os.close(held)
        if end >= 0:
            os.close(end)
        found = Found(pid, requests.fileno(), output.fileno())
        try:
            yield Started(found, lifeline)
        finally:
            found.kill()
            os.waitpid(pid, 0)  # What it has used counts among what this process has.
            requests.close()
            os.close(lifeline)


def place() -> Found | None:
    """Where a fork of a process above this one imports TensorFlow; None where there is none."""
    text = os.environ.get(AHEAD_PLACE)
    if not text:
        return None
    pid, requests, output = map(int, text.split(":"))
    return Found(pid, requests, output)


class WarmImport:
    """Runs jobs in forks of the fork, one at a time. A context manager: leaving it ends all of them."""

    def __init__(self, found: Found, memory_limit_bytes: int | None = None, counted: Counted | None = None) -> None:
        self._found = found
        self._counted = counted
        self._server = socket.socket(fileno=found.requests)
        self._memory_limit = memory_limit_bytes
        self._forks = Forks(memory_limit_bytes, counted)

    def __enter__(self) -> WarmImport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._found.kill()
        self._server.close()

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        return self._forks.begin(step, module, job, kind, timeout_seconds)

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`. Its time starts with the process, not with the import."""
        channel = ServerChannel(self._server, module, job, self._end)
        try:
            return finished(Job(channel, step, kind, timeout_seconds, self._memory_limit, self._counted))
        except ServerLostError as lost:
            if lost.started:
                return Crashed(step, lost.end.exit_code, lost.end.stderr_tail)
        return self._forks.run(step, module, job, kind, timeout_seconds)  # This process can do without.

    def _end(self, at_once: bool) -> ServerEnd:
        """It is the child of another process, which alone learns its exit code."""
        return ServerEnd(-signal.SIGKILL, tail(self._found.output))
