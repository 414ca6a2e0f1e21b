"""Child processes that have TensorFlow ready: forks of one server (`server.py`), asked for by threads."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any

from migrate.ahead import AHEAD
from migrate.errors import InternalError
from migrate.forks import (
    JOB_PREFIX,
    TENSORFLOW,
    Running,
    clear_leftovers,
    job_directory,
    kill_group,
    result_of,
    tail,
    watch,
)
from migrate.records import Crashed, TimedOut

_END_SECONDS = 2.0
_START_SECONDS = 600.0
"""How long a server may take to fork, its import of TensorFlow from a slow disk included."""
# oneDNN picks its kernels by CPU and shape, and adds in another order than Eigen does: off, on both sides of a
# comparison. A GPU would only be held.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


class ClosedError(InternalError):
    """A nursery was closed while a job ran: its command was interrupted."""


class Nursery:
    """Runs jobs in forks of one server. A context manager: leaving it ends the server and every job.

    A job is a picklable value; the module that runs it has a function `run(job)` whose picklable result comes back.
    Threads may run jobs side by side. A server that dies is replaced and its jobs run again, so a job must bear
    being started twice.

    Args:
      preload: names of the modules that the server imports before its first fork.
      memory_limit_bytes: resident memory at which a job is killed, or None.
      ahead: names of the modules that a fork of the server imports meanwhile, for the first job (see `ahead.py`).
    """

    def __init__(
        self,
        preload: Sequence[str] = TENSORFLOW,
        memory_limit_bytes: int | None = None,
        ahead: Sequence[str] = (),
    ) -> None:
        self._arguments = (*preload, AHEAD, *ahead) if ahead else tuple(preload)
        self._memory_limit = memory_limit_bytes
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and every job; a `run` that waits raises `ClosedError`."""
        with self._lock:
            self._closed = True
            if self._server is not None:
                self._server.close()
                self._server = None

    def run(
        self, step: str, module: str, job: object, timeout_seconds: float, say: Callable[[str], None] | None = None
    ) -> Any:
        """See `Runner.run`; `say` is told what the job says of itself (`forks.say`).

        Raises:
          ClosedError: the nursery was closed meanwhile.
        """
        with job_directory() as directory:
            file = os.path.join(directory, "job")
            with open(file, "wb") as stream:
                pickle.dump(job, stream)
            lost = _Lost(0, "")
            for _ in range(2):
                server = self._ready()
                ending = server.run(step, module, file, timeout_seconds, self._memory_limit, say or _silent)
                if self._closed:
                    raise ClosedError("the nursery was closed while a job ran")
                if not isinstance(ending, _Lost):
                    return result_of(step, file, ending)
                lost = ending
            return Crashed(step, lost.exit_code, lost.stderr_tail)

    def begin(self, step: str, module: str, job: object, timeout_seconds: float) -> Running:
        """See `Runner.begin`. Here the job is begun when its result is asked for."""
        return _Later(lambda: self.run(step, module, job, timeout_seconds))

    def start(self) -> None:
        """Has the server begin its imports before it is asked for anything."""
        self._ready()

    def _ready(self) -> _Server:
        with self._lock:
            if self._closed:
                raise ClosedError("the nursery is closed")
            if self._server is None or not self._server.alive:
                if self._server is not None:
                    self._server.close()
                self._server = _Server(self._arguments)
            return self._server


class _Later:
    """A job that waits to be asked for."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run

    def result(self) -> Any:
        """See `Running.result`."""
        return self._run()

    def stop(self) -> None:
        """See `Running.stop`."""


class _Lost:
    """The server died while a job ran, for whatever reason."""

    def __init__(self, exit_code: int, stderr_tail: str) -> None:
        self.exit_code = exit_code
        self.stderr_tail = stderr_tail


class _Server:
    """The parent's side of one server process."""

    def __init__(self, arguments: Sequence[str]) -> None:
        clear_leftovers(tempfile.gettempdir(), JOB_PREFIX)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the server)
        self._process = _start(arguments, self._errors)
        self._lock = threading.Lock()
        self._answers: dict[int, queue.SimpleQueue[str | None]] = {}
        self._numbers = 0
        self._ending = _Lost(0, "")
        self.alive = True
        self._reader = threading.Thread(target=self._read, name="migrate-answers", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Ends the server; jobs that run die with it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock, contextlib.suppress(OSError):
            self.alive = False
            self._process.stdin.close()
        # Left to itself it kills what its jobs have started; in the middle of an import it hears nothing.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._reader.join(_END_SECONDS)  # Jobs hold the pipe, too, until they are dead.
        if not self._reader.is_alive():
            self._process.stdout.close()
            self._errors.close()

    def run(
        self,
        step: str,
        module: str,
        file: str,
        timeout_seconds: float,
        memory_limit: int | None,
        say: Callable[[str], None],
    ) -> int | Crashed | TimedOut | _Lost:
        """How a job's process has ended. Its time starts with the process, not with the server's import."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
            answers = self._answers[number] = queue.SimpleQueue()
        try:
            if not self._ask(f"{number}\t{module}\t{file}\n".encode()):
                return self._lost()
            try:
                while (first := answers.get(timeout=_START_SECONDS)) is not None and not first.startswith("pid "):
                    say(first.partition(" ")[2])  # The fork may be faster than the server.
            except queue.Empty:
                self._process.kill()  # It hangs: another one may not.
                return self._lost()
            if first is None:
                return self._lost()
            pid = int(first.partition(" ")[2])
            lost = False
            code = 0

            def wait(seconds: float) -> bool:
                nonlocal lost, code
                try:
                    answer = answers.get(timeout=max(seconds, 0.0))
                except queue.Empty:
                    return False
                if answer is None:
                    lost = True
                    return True
                word, _, rest = answer.partition(" ")
                if word == "exit":
                    code = int(rest)
                    return True
                say(rest)
                return False

            ending = watch(step, pid, wait, timeout_seconds, memory_limit)
            if ending is not None:
                kill_group(pid)
                with contextlib.suppress(queue.Empty):  # Its directory is removed next; it must not write there.
                    while not (answers.get(timeout=_END_SECONDS) or "exit").startswith("exit"):
                        pass
                return ending
            return self._lost() if lost else code
        finally:
            with self._lock:
                del self._answers[number]

    def _ask(self, line: bytes) -> bool:
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except (OSError, ValueError):
                return False
            return self.alive

    def _lost(self) -> _Lost:
        self._reader.join(_END_SECONDS)
        self.alive = False
        return self._ending

    def _read(self) -> None:
        """Hands each answer to the thread that waits for it; None when there will be no more."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, _, answer = line.decode(errors="replace").rstrip("\n").partition(" ")
            with self._lock:
                waiting = self._answers.get(int(number))
            if waiting is not None:
                waiting.put(answer)
        self._ending = _Lost(self._process.wait(), tail(self._errors))
        with self._lock:
            self.alive = False
            for waiting in self._answers.values():
                waiting.put(None)


def _start(arguments: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # This very package must be found, also where the working directory was how the parent found it.
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "migrate.server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is the parent's to handle.
    )


def _silent(_: str) -> None:
    """Takes what a job says where nobody listens."""
