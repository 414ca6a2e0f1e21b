"""A job in a fork of a server (`fork_server.py`), as the process sees it that asks for the job."""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
from collections.abc import Callable

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.processes.answers import Answers
from migrate.processes.fork_server import ask
from migrate.processes.forks import kill_group
from migrate.processes.job_files import JobFiles

_END_SECONDS = 2.0


@frozen
class ServerEnd:
    """How a server has ended.

    Attributes:
      exit_code: of its process.
      stderr_tail: the last lines that it wrote to standard error.
    """

    exit_code: int
    stderr_tail: str


class ServerLostError(InternalError):
    """A server has died, or does not answer, before a job has ended.

    Attributes:
      end: how the server has ended.
      started: whether the job had a process by then.
    """

    def __init__(self, end: ServerEnd, started: bool) -> None:
        super().__init__("the server died before the job has ended")
        self.end = end
        self.started = started


class ServerChannel:
    """A `Channel` whose process is a fork of a server.

    Args:
      server: this process's end of the server's socket.
      module: full name of the module whose `run` takes the job.
      job: what it takes; picklable.
      end_server: called where the server is lost: ends it, and says how it has ended. Its argument is True where the
        server does not answer, and False where it has died or is about to.
      start_seconds: how long the server may take to fork; None for ever.
      say: takes the lines that the job says; None where it may say none.
    """

    def __init__(
        self,
        server: socket.socket,
        module: str,
        job: object,
        end_server: Callable[[bool], ServerEnd],
        start_seconds: float | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._server = server
        self._module = module
        self._job = job
        self._end_server = end_server
        self._start_seconds = start_seconds
        self._say = say
        self._answers: Answers | None = None
        self._pid: int | None = None

    def start(self, files: JobFiles) -> int:
        """See `Channel.start`.

        Raises:
          ServerLostError: the server could not start it.
        """
        with tempfile.TemporaryFile() as file:
            pickle.dump(self._job, file)
            file.flush()
            self._answers = self._ask(file.fileno(), files)
        try:
            self._pid = self._answers.pid(self._start_seconds)
        except TimeoutError:
            raise ServerLostError(self._end_server(True), started=False) from None
        if self._pid is None:
            raise ServerLostError(self._end_server(False), started=False)
        return self._pid

    def wait(self, seconds: float) -> int | None:
        """See `Channel.wait`.

        Raises:
          ServerLostError: the server died before the job.
        """
        if self._answers is None or not self._answers.wait(seconds):
            return None
        if self._answers.code is None:
            raise ServerLostError(self._end_server(False), started=True)
        return self._answers.code

    def kill(self) -> None:
        """See `Channel.kill`."""
        if self._answers is not None and self._pid is not None and not self._answers.ended:
            kill_group(self._pid)
            self._answers.end(_END_SECONDS)

    def close(self) -> None:
        """See `Channel.close`."""
        if self._answers is not None:
            self._answers.close()
            self._answers = None

    def _ask(self, job: int, files: JobFiles) -> Answers:
        """Asks the server for the job, by the descriptor of its file."""
        if self._say is None:
            return Answers(self._asked(job, files, None))
        lines, said = os.pipe()
        try:
            return Answers(self._asked(job, files, said), lines, self._say)
        except BaseException:
            os.close(lines)
            raise
        finally:
            os.close(said)

    def _asked(self, job: int, files: JobFiles, said: int | None) -> int:
        try:
            return ask(self._server, self._module, job, files, said)
        except OSError:
            raise ServerLostError(self._end_server(False), started=False) from None
