"""Child processes that have TensorFlow ready: forks of one server (`server.py`), asked for by threads."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from migrate.errors import InternalError
from migrate.processes import interpreter
from migrate.processes.channel import Counted, Job, finished
from migrate.processes.claims import clear_leftovers
from migrate.processes.forks import TENSORFLOW, Running
from migrate.processes.job_files import JOB_PREFIX, tail
from migrate.processes.keep_warm import KEPT, Kept, Wanted, surroundings
from migrate.processes.preloaded import with_given
from migrate.processes.server_channel import ServerChannel, ServerEnd, ServerLostError
from migrate.records import Crashed

_END_SECONDS = 2.0
_DESCRIPTORS = 8192
_START_SECONDS = 600.0
"""How long a server may take to fork, its import of TensorFlow from a slow disk included."""
# oneDNN picks its kernels by CPU and shape, and adds in another order than Eigen does: off, on both sides of a
# comparison. A GPU would only be held.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
# TensorFlow copies a large constant a hundred times for one call of a function that has it. By default glibc asks the
# kernel for each copy, which then clears each page of it: four fifths of the time that such a call takes.
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
_ALLOCATION_SINCE = (2, 35)
"""Releases of glibc before refuse such a threshold and keep their default, which then is no longer adapted."""


class ClosedError(InternalError):
    """A nursery was closed while a job ran: its command was interrupted."""


class Nursery:
    """Runs jobs in forks of one server. A context manager: leaving it ends the server and every job.

    A job is a picklable value; the module that runs it has a function `run(job)` whose result comes back as data.
    Threads may run jobs side by side. A server that dies is replaced and its jobs run again, so a job must bear
    being started twice.

    Args:
      preload: names of the modules that the server imports before its first fork.
      memory_limit_bytes: resident memory at which a job is killed, or None.
      ahead: names of the modules that a fork of the server imports meanwhile, for the first job (see `warm_import.py`).
      path: directories in which the server looks for modules first, for jobs that are not this package's.
      counted: told which of its calls a job makes, whenever that is new, or None.
    """

    def __init__(
        self,
        preload: Sequence[str] = TENSORFLOW,
        memory_limit_bytes: int | None = None,
        ahead: Sequence[str] = (),
        path: Sequence[str | os.PathLike[str]] = (),
        counted: Counted | None = None,
    ) -> None:
        self._kept: Kept[_Server] | None = KEPT.get()
        if self._kept is not None:  # What is imported ahead for one job is wanted by the next.
            preload, ahead = (*ahead, *preload), ()
        self._wanted = Wanted(with_given(preload), with_given(ahead), tuple(os.fspath(directory) for directory in path))
        self._memory_limit = memory_limit_bytes
        self._counted = counted
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False
        self._idle = threading.Condition()
        self._running = 0
        _raise_limit()

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
                if self._kept is None or self._running:
                    self._server.close()
                else:
                    self._kept.give(self._server)
                self._server = None
        # The program may end right after: each thread has its job's directory to remove first.
        with self._idle:
            self._idle.wait_for(lambda: not self._running, _END_SECONDS)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        """For the time of a job: `close` waits until its files are removed."""
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def run(
        self,
        step: str,
        module: str,
        job: object,
        kind: Any,
        timeout_seconds: float,
        say: Callable[[str], None] | None = None,
    ) -> Any:
        """See `Runner.run`; `say` is told what the job says of itself (`forks.say`).

        Raises:
          ClosedError: the nursery was closed meanwhile.
        """
        result: Any = None
        for _ in range(2):
            lost = False
            try:
                with self._one_more():
                    channel = self._ready().channel(module, job, say)
                    started = Job(channel, step, kind, timeout_seconds, self._memory_limit, self._counted)
                    result = finished(started)
            except ServerLostError as error:
                lost, result = True, Crashed(step, error.end.exit_code, error.end.stderr_tail)
            if self._closed:
                raise ClosedError("the nursery was closed while a job ran")
            if not lost:
                break
        return result

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """See `Runner.begin`. Here the job is begun when its result is asked for."""
        return _Later(lambda: self.run(step, module, job, kind, timeout_seconds))

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
                kept = self._kept.take(self._wanted) if self._kept is not None else None
                self._server = kept if kept is not None else _Server(self._wanted)
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


class _Server:
    """The parent's side of one server process."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.surroundings = surroundings()
        clear_leftovers(tempfile.gettempdir(), JOB_PREFIX)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the server)
        self._requests, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asked:
            self._process = subprocess.Popen(
                interpreter.command("migrate.processes.server", wanted.arguments()),
                stdin=asked.fileno(),
                # The lines of TensorFlow and of what it loads are the report's, if anybody's.
                stdout=self._errors,
                stderr=self._errors,
                env=interpreter.environment({**_allocation(), **os.environ, **_ENVIRONMENT}),
                start_new_session=True,  # Ctrl-C is the parent's to handle.
            )
        self._lock = threading.Lock()
        self._ending: ServerEnd | None = None
        self.alive = True

    def close(self) -> None:
        """Ends the server; jobs that run die with it."""
        self.alive = False
        # Not `close`, which another thread's answer does not hear.
        with contextlib.suppress(OSError):
            self._requests.shutdown(socket.SHUT_RDWR)
        # Left to itself it kills what its jobs have started; in the middle of an import it hears nothing.
        self._end(at_once=False)
        self._requests.close()
        self._errors.close()

    def channel(self, module: str, job: object, say: Callable[[str], None] | None) -> ServerChannel:
        """For a job that this server is to run. Its time starts with its process, not with the server's import."""
        return ServerChannel(self._requests, module, job, self._end, _START_SECONDS, say or _ignore)

    def _end(self, at_once: bool) -> ServerEnd:
        """How the server has ended; unless it is to end at once it has some time for that, which its words may need."""
        self.alive = False
        if at_once:
            self._process.kill()
        with self._lock:
            if self._ending is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_SECONDS)
                self._process.kill()
                self._ending = ServerEnd(self._process.wait(), tail(self._errors.fileno()))
            return self._ending


def _allocation() -> dict[str, str]:
    """What makes malloc keep what it is given back, where it can."""
    try:
        name, _, release = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        is_known = name == "glibc" and tuple(map(int, release.split(".")[:2])) >= _ALLOCATION_SINCE
    except (ValueError, OSError):  # Another C library.
        return {}
    return _ALLOCATION if is_known else {}


def _ignore(line: str) -> None:
    """Takes a line of a job that nobody wants to hear."""


def _raise_limit() -> None:
    """Lets this process hold as many descriptors as it may: every job takes a few, and there may be hundreds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
