"""Runs jobs in forks of a process that has imported TensorFlow and has run nothing of it.

A fork takes milliseconds where an import takes seconds, and is as fresh as a new process: no session, no eager context
and no resource exist yet. A job that crashes, hangs or uses too much memory ends that fork alone. A job is a value; the
module that runs it has a function `run(job)`.

A process that has run a model may be under the control of the model's author. So a job's process inherits no file
descriptor except those that this module passes to it (see `job_files.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from migrate import codec
from migrate.errors import starved
from migrate.processes.channel import Counted, Job, finished
from migrate.processes.job_files import JobFiles, count_offset, plain
from migrate.processes.preloaded import TENSORFLOW as TENSORFLOW
from migrate.processes.preloaded import load_all, with_given

SAY = "MIGRATE_SAYS"
"""Environment variable of a job: the descriptor of the pipe to which it writes its progress lines."""
COUNT = "MIGRATE_COUNTS"
"""Environment variable of a job: the descriptor of its result file, whose offset is the number of the current call."""
AHEAD_PLACE = "MIGRATE_AHEAD"
"""Environment variable of a job: the address of the fork that imports TensorFlow for it (see `warm_import.py`)."""

_BLIND_POLL_SECONDS = 0.02  # For kernels that have no descriptor of a process (before Linux 5.3).
_SAID_BYTES = 2000  # Shorter than PIPE_BUF, so that a line is written in one piece.
_SAID_CHARACTERS = 500
_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = b"500"  # proc(5), oom_score_adj: when memory runs out the kernel kills a job, not the parent.


class Runner(Protocol):
    """Runs jobs in processes of their own: a `Nursery`, or in a job `Forks`."""

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """Runs a job in a process of its own.

        Args:
          step: name of the step, for the report (`golden`, `export`, `candidate`).
          module: full name of the module whose `run` takes the job.
          job: what it takes.
          kind: the type of its result, as `codec.decode` takes it.
          timeout_seconds: after which the child, and what it has started, is killed.

        Returns:
          What `run` has returned, or a `Crashed` or `TimedOut`. A child that ends without a result of that type has
          crashed.
        """

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """Starts a job that needs no TensorFlow and does not wait for it; the arguments are those of `run`."""


class Running(Protocol):
    """A job that was started and may still run."""

    def result(self) -> Any:
        """Waits for its end; see `Runner.run`."""

    def stop(self) -> None:
        """Kills it if it has not ended."""


class Forks:
    """Runs jobs in forks of this process, one at a time; for a job that needs processes of its own.

    TensorFlow is imported in this process first if it is not yet imported; this process runs nothing of it.

    Args:
      memory_limit_bytes: resident memory at which a job is killed, or None.
      counted: called with the number of the current call whenever it changes, or None.
    """

    def __init__(self, memory_limit_bytes: int | None = None, counted: Counted | None = None) -> None:
        self._memory_limit = memory_limit_bytes
        self._counted = counted

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        if TENSORFLOW[0] not in sys.modules:
            warm(with_given(TENSORFLOW))
        return finished(self.begin(step, module, job, kind, timeout_seconds))

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Job:
        """See `Runner.begin`."""
        return Job(ForkChannel(module, job), step, kind, timeout_seconds, self._memory_limit, self._counted)


class ForkChannel:
    """A `Channel` whose process is a fork of this one.

    Args:
      module: full name of the module whose `run` takes the job.
      job: what it takes.
    """

    def __init__(self, module: str, job: object) -> None:
        self._module = module
        self._job = job
        self._pid: int | None = None
        self._end = -1
        self._code: int | None = None

    def start(self, files: JobFiles) -> int:
        """See `Channel.start`."""
        result = files.result
        self._pid, self._end = fork(
            lambda: work(importlib.import_module(self._module).run, self._job, result),
            files.directory,
            files.output,
            (result,),
        )
        return self._pid

    def wait(self, seconds: float) -> int | None:
        """See `Channel.wait`."""
        if self._pid is not None and self._code is None:
            wait_for((self._end,), seconds)
            self._code = reap(self._pid)
            if self._code is not None:
                kill_group(self._pid)  # What the job has started must not outlive it.
        return self._code

    def kill(self) -> None:
        """See `Channel.kill`."""
        if self._pid is not None and self._code is None:
            os.kill(self._pid, signal.SIGKILL)  # It may not have its own process group yet.
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            kill_group(self._pid)

    def close(self) -> None:
        """See `Channel.close`."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1


def warm(modules: Sequence[str]) -> None:
    """Imports what the forks of this process will need."""
    gc.disable()  # Collections over a million new objects take a tenth of the time.
    try:
        load_all(modules)
        gc.freeze()  # These objects are shared with every fork; a collection would copy their pages.
    finally:
        gc.enable()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(text: str) -> None:
    """In a job: sends the parent one line of progress. Elsewhere: does nothing."""
    descriptor = os.environ.get(SAY)
    if descriptor:
        line = " ".join(text.split()).encode(errors="replace")[:_SAID_BYTES]
        with contextlib.suppress(OSError):
            os.write(int(descriptor), line + b"\n")


def count(call: int, calls: int) -> None:
    """In a job: tells the parent which call of a model it makes now. Elsewhere: does nothing.

    The result file is empty until the job ends. Its offset is shared by both processes, so nothing has to be opened or
    written to pass the number.

    Args:
      call: its number, from 1; 0 where none is made any more.
      calls: how many there are; 0 where that is not known.
    """
    descriptor = os.environ.get(COUNT)
    if descriptor:
        with contextlib.suppress(OSError):  # The offset is larger than the file system allows.
            os.lseek(int(descriptor), count_offset(call, calls) or 0, os.SEEK_SET)


def said(line: bytes) -> str:
    """A line of a job as it is shown: short, and with printable characters only."""
    return plain(line[:_SAID_BYTES].decode(errors="replace"))[:_SAID_CHARACTERS]


def kill_group(pid: int) -> None:
    """Kills a job and the processes that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def fork(
    work: Callable[[], int],
    directory: str,
    output: int,
    kept: Sequence[int],
    environment: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """Forks; the child does its work and exits.

    Args:
      work: gives the child's exit code.
      directory: for temporary files.
      output: descriptor of the file that becomes the child's standard output and standard error.
      kept: descriptors that the child keeps; all others are closed.
      environment: values of `SAY` and `AHEAD_PLACE` in the child; a variable that is missing here is unset there.

    Returns:
      The child's process id, and a descriptor for `wait_for`.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid, _end_of(pid)
    code = 1
    try:
        os.setsid()
        _die_with(parent)
        _prepare(directory, output, kept)
        for name in (SAY, AHEAD_PLACE):
            os.environ.pop(name, None)
        os.environ.update(environment or {})
        code = work()
    except BaseException as error:
        tell(error)
    finally:
        leave(code)


def _end_of(pid: int) -> int:
    """A descriptor that becomes readable when the child ends; -1 if the kernel has none (before Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def wait_for(ends: Collection[int], seconds: float | None, *others: int) -> list[int]:
    """Waits until one of the processes may have ended or one of the other descriptors is readable.

    Args:
      ends: the descriptors that `fork` returned.
      seconds: the longest wait; None is without limit.
      others: more descriptors.

    Returns:
      The descriptors that are readable. If there are none, a process may still have ended.
    """
    if -1 in ends:
        seconds = _BLIND_POLL_SECONDS if seconds is None else min(seconds, _BLIND_POLL_SECONDS)
    poll = select.poll()  # `select.select` takes no descriptor above 1,023.
    for descriptor in (*ends, *others):
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds * 1000))]


def tell(error: BaseException) -> None:
    """Prints to standard error why this process ends: one line if the machine or its limits gave too little."""
    lack = starved(error)
    if lack is not None:
        print(lack, file=sys.stderr, flush=True)
    else:
        traceback.print_exception(error)


def leave(code: int) -> NoReturn:
    """Ends this process at once: what a runtime does at an exit is no part of a job."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _die_with(parent: int) -> None:
    """Makes the kernel kill this process when its parent dies, so that a killed parent leaves no process behind."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only; elsewhere a job ends by itself.
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prepare(directory: str, output: int, kept: Collection[int]) -> None:
    """Gives a job its own output, standard input and temporary directory, and closes all other descriptors."""
    # The fork ends without exit handlers, so TensorFlow's temporary files would be left behind.
    tempfile.tempdir = directory
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    close_others(kept)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # A core file would be gigabytes.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
        score.write(_OOM_SCORE)


def close_others(kept: Collection[int]) -> None:
    """Closes every descriptor except the standard ones and `kept`."""
    try:
        there: Iterable[int] = map(int, os.listdir("/proc/self/fd"))
    except OSError:
        there = range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for descriptor in there:
        if descriptor > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def work(run: Callable[[Any], Any], job: object, result: int) -> int:
    """In a fork: runs a job, writes its result to a descriptor and returns the exit code."""
    os.environ[COUNT] = str(result)
    done = run(job)
    os.lseek(result, 0, os.SEEK_SET)
    codec.write(done, result)
    return 0


def reap(pid: int) -> int | None:
    """The exit code of a child, or None if it still runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None
