"""Jobs in forks of a process that has imported TensorFlow and run nothing of it.

Such a fork takes milliseconds where importing takes seconds, and is as fresh as a new process: no session, no eager
context, no resource has been made yet. A job that crashes, hangs or eats memory costs that fork alone. A job is a
value; the module that runs it has a function `run(job)`.

Whoever has run a model may be its author's. So the result of a job is data (`codec`) of a declared type, in a file
without a name that was opened before the job's process was there, and that process has no other descriptor of ours
than those that this module hands to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from migrate import codec
from migrate.errors import starved
from migrate.records import Crashed, TimedOut

TENSORFLOW = ("tensorflow",)
"""What is imported before the first fork, where nothing else is said."""
JOB_PREFIX = "migrate-job-"
"""Names of the directories of jobs, among the system's temporary files, begin with it."""
SAY = "MIGRATE_SAYS"
"""Environment variable of a job: the descriptor of the pipe that takes its lines."""
COUNT = "MIGRATE_COUNTS"
"""Environment variable of a job: the descriptor of its result's file, whose offset says how far the job is."""
AHEAD_PLACE = "MIGRATE_AHEAD"
"""Environment variable of a job: where the fork is that imports TensorFlow for it (see `ahead`)."""
POLL_SECONDS = 0.5
"""How often a process is looked at whose end would not be told otherwise."""

_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
_FATAL = re.compile(r"F\d{4} \d\d:\d\d:")
_MEMORY_POLL_SECONDS = 0.05
_BLIND_POLL_SECONDS = 0.02  # Where the kernel tells nobody that a process has ended.
# An offset that no result reaches, above two numbers of 15 bits each.
_COUNT_MARK, _COUNT_BITS = 1 << 39, 15
_SAID_BYTES = 2000  # Shorter than PIPE_BUF: a line is in the pipe as a whole.
_SAID_CHARACTERS = 500
_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = b"500"  # proc(5), oom_score_adj: when memory runs out the kernel takes a job, not the parent.


Counted = Callable[[int, int], None]
"""Takes which of its calls a job makes, from 1, and how many there are."""


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
        """Begins a job that needs no TensorFlow, beside those that follow; the arguments are those of `run`."""


class Running(Protocol):
    """A job that was begun, beside what else is done."""

    def result(self) -> Any:
        """Waits for it; see `Runner.run`."""

    def stop(self) -> None:
        """Kills it, unless it has ended."""


class Forks:
    """Runs jobs in forks of this process, one at a time; for a job that needs processes of its own.

    TensorFlow is imported in this process first, unless it is there, and nothing of it is run here.

    Args:
      memory_limit_bytes: resident memory at which a job is killed, or None.
      counted: told at which call a job is, or None.
    """

    def __init__(self, memory_limit_bytes: int | None = None, counted: Counted | None = None) -> None:
        self._memory_limit = memory_limit_bytes
        self._counted = counted

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        if TENSORFLOW[0] not in sys.modules:
            warm(TENSORFLOW)
        running = self.begin(step, module, job, kind, timeout_seconds)
        try:
            return running.result()
        finally:
            running.stop()

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        return _Fork(step, module, job, kind, timeout_seconds, self._memory_limit, self._counted)


class JobFiles:
    """A directory and files for one job, opened by the process that is to read them. A context manager.

    Attributes:
      directory: for what the job writes in passing; it goes when the block ends.
      output: descriptor of a file without a name for what the job writes to standard output and standard error.
      result: descriptor of one for its result.
    """

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self.directory = self._held.enter_context(job_directory())
        self.output, self.result = (self._file() for _ in range(2))

    def _file(self) -> int:
        return self._held.enter_context(tempfile.TemporaryFile()).fileno()

    def __enter__(self) -> JobFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count(self) -> tuple[int, int] | None:
        """At which of its calls the job says it is, and how many there are; None where it does not say so.

        The job may be anybody's program: two small numbers are all that it can say.
        """
        numbers = os.lseek(self.result, 0, os.SEEK_CUR) - _COUNT_MARK
        calls, call = divmod(numbers, 1 << _COUNT_BITS)
        return (call, calls) if 0 < call <= calls < 1 << _COUNT_BITS else None

    def close(self) -> None:
        """Gives all of it back."""
        self._held.close()


class _Fork:
    """A job in a fork of this process."""

    def __init__(
        self,
        step: str,
        module: str,
        job: object,
        kind: Any,
        timeout_seconds: float,
        memory_limit: int | None,
        counted: Counted | None,
    ) -> None:
        self._step = step
        self._kind = kind
        self._deadline = time.monotonic() + timeout_seconds
        self._timeout = timeout_seconds
        self._memory_limit = memory_limit
        self._counted = counted
        self._place = JobFiles()
        self._code: int | None = None
        result = self._place.result
        self._pid, self._end = fork(
            lambda: work(importlib.import_module(module).run, job, result),
            self._place.directory,
            self._place.output,
            (result,),
        )

    def result(self) -> Any:
        """See `Running.result`."""

        def wait(seconds: float) -> bool:
            wait_for((self._end,), seconds)
            self._code = reap(self._pid)
            return self._code is not None

        left = max(0.0, self._deadline - time.monotonic())
        waiting = counting(wait, self._place, self._counted)
        ending = watch(self._step, self._pid, waiting, left, self._memory_limit)
        if isinstance(ending, TimedOut):
            ending = TimedOut(self._step, self._timeout)
        self._kill()
        return result_of(self._step, self._place, self._kind, ending if ending is not None else self._code or 0)

    def stop(self) -> None:
        """See `Running.stop`."""
        self._kill()
        if self._end >= 0:
            os.close(self._end)
            self._end = -1
        self._place.close()

    def _kill(self) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        kill_group(self._pid)  # What the job has started must not outlive it.


def warm(modules: Sequence[str]) -> None:
    """Imports what the forks of this process will need."""
    gc.disable()  # It would look for garbage among a million new objects again and again, a tenth of the time.
    try:
        for name in modules:
            importlib.import_module(name)
        gc.freeze()  # What is there now is shared with every fork; a collection would copy its pages.
    finally:
        gc.enable()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(text: str) -> None:
    """In a job: tells the parent in a line what is being done. Elsewhere: does nothing."""
    descriptor = os.environ.get(SAY)
    if descriptor:
        line = " ".join(text.split()).encode(errors="replace")[:_SAID_BYTES]
        with contextlib.suppress(OSError):
            os.write(int(descriptor), line + b"\n")


def count(call: int, calls: int) -> None:
    """In a job: tells who waits for its result which call of a model it makes now. Elsewhere: does nothing.

    The result's file is empty until the job ends. Its offset is what both processes have in common, so nothing has to
    be opened or written for it.
    """
    descriptor = os.environ.get(COUNT)
    if descriptor and 0 < call <= calls < 1 << _COUNT_BITS:
        with contextlib.suppress(OSError):  # A file system of smaller files.
            os.lseek(int(descriptor), _COUNT_MARK + (calls << _COUNT_BITS) + call, os.SEEK_SET)


def counting(wait: Callable[[float], bool], place: JobFiles, counted: Counted | None) -> Callable[[float], bool]:
    """A `wait` for `watch` that says after each time it has waited at which call the job is, where that is new."""
    if counted is None:
        return wait
    told: tuple[int, int] | None = None

    def waited(seconds: float) -> bool:
        nonlocal told
        ended = wait(seconds)
        found = None if ended else place.count()
        if found is not None and found != told:
            told = found
            counted(*found)
        return ended

    return waited


def said(line: bytes) -> str:
    """A line of a job as it may be shown: of few characters, and all of them printable."""
    return plain(line[:_SAID_BYTES].decode(errors="replace"))[:_SAID_CHARACTERS]


def plain(line: str) -> str:
    """A line without the characters that mean something to a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in line.expandtabs())


def clear_leftovers(parent: str, prefix: str) -> None:
    """Removes directories named `prefix` and anything that no living process has `claim`ed: its owner was killed."""
    for entry in os.listdir(parent):
        if not entry.startswith(prefix):
            continue
        path = os.path.join(parent, entry)
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)


@contextlib.contextmanager
def claim(prefix: str, parent: str) -> Iterator[str]:
    """A new directory that is ours until the block ends or this process dies, and is then free to be cleared away.

    The kernel keeps the lock, so neither a process id that was given out again nor a clock can make a living
    process's directory look dead, or a dead one's alive.
    """
    directory, handle = _claimed(prefix, parent)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(handle)


def _claimed(prefix: str, parent: str) -> tuple[str, int]:
    """A new directory and its lock."""
    while True:
        directory = tempfile.mkdtemp(prefix=prefix, dir=parent)
        try:
            handle = os.open(directory, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Cleared away by another process before it could be locked.
        with contextlib.suppress(OSError):  # A file system without locks; then nothing is ever cleared away.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.isdir(directory):
            return directory, handle
        os.close(handle)  # Cleared away while this process waited for the lock.


def job_directory() -> contextlib.AbstractContextManager[str]:
    """A directory for one job, gone when the block ends; the next server clears away what a killed parent left."""
    return claim(JOB_PREFIX, tempfile.gettempdir())


def watch(
    step: str, pid: int, wait: Callable[[float], bool], timeout_seconds: float, memory_limit: int | None
) -> Crashed | TimedOut | None:
    """Waits until `wait` says that a process has ended; the reason for which it must be killed, or None."""
    deadline = time.monotonic() + timeout_seconds
    poll = POLL_SECONDS if memory_limit is None else _MEMORY_POLL_SECONDS
    while not wait(min(poll, max(0.0, deadline - time.monotonic()))):
        if memory_limit is not None:
            held = _resident_bytes(pid)
            if held > memory_limit:
                limit = f"more than the {memory_limit >> 20:,} MB that --memory_limit allows"
                return Crashed(step, -signal.SIGKILL, f"migrate killed it: it held {held >> 20:,} MB, {limit}")
        if time.monotonic() >= deadline:
            return TimedOut(step, timeout_seconds)
    return None


def result_of(step: str, place: JobFiles, kind: Any, ending: int | Crashed | TimedOut) -> Any:
    """A job's result, or how it ended without one, with the last lines that it wrote to standard error."""
    words = tail(place.output)
    if isinstance(ending, TimedOut):
        return TimedOut(ending.step, ending.seconds, words)
    if isinstance(ending, Crashed):
        return Crashed(ending.step, ending.exit_code, "\n".join(filter(None, [words, ending.stderr_tail])))
    if ending != 0 or not os.fstat(place.result).st_size:
        return Crashed(step, ending, words)
    try:
        return codec.read(kind, place.result)
    except codec.DecodeError as error:
        reason = f"its result is not what was asked for: {plain(str(error))}"
        return Crashed(step, ending, "\n".join(filter(None, [words, reason])))


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process (proc(5), statm), TensorFlow's own pages included; 0 where it cannot be read."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def kill_group(pid: int) -> None:
    """Kills a job and what it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def tail(output: int) -> str:
    """The last lines of a file, by its descriptor, whose offset is neither used nor moved."""
    size = os.fstat(output).st_size
    text = os.pread(output, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
    lines = [plain(line) for line in text.splitlines() if line.strip()]
    # TensorFlow's last word (absl's log, severity F) may stand above a long list of stack frames.
    fatal = [line for line in lines[:-_TAIL_LINES] if _FATAL.match(line)]
    return "\n".join([*fatal[-1:], *lines[-_TAIL_LINES:]])


def fork(
    work: Callable[[], int],
    directory: str,
    output: int,
    kept: Sequence[int],
    environment: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """Forks; the child does its work and ends.

    Args:
      work: gives the child's exit code.
      directory: for temporary files.
      output: descriptor of the file that is to be the child's standard output and standard error.
      kept: descriptors that the child keeps; all others are closed.
      environment: what `SAY` and `AHEAD_PLACE` are in the child; without them they are not set there.

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
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _end_of(pid: int) -> int:
    """A descriptor that becomes readable when a child has ended; -1 where the kernel has none (before Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def wait_for(ends: Collection[int], seconds: float | None, *others: int) -> list[int]:
    """Waits until one of some processes may have ended, or one of some other descriptors is readable.

    Args:
      ends: what `fork` gives for each process.
      seconds: how long at the most; None for ever.
      others: the other descriptors.

    Returns:
      Those that are readable. That none is does not say that no process has ended.
    """
    if -1 in ends:
        seconds = _BLIND_POLL_SECONDS if seconds is None else min(seconds, _BLIND_POLL_SECONDS)
    poll = select.poll()  # `select.select` knows no descriptor beyond 1,023.
    for descriptor in (*ends, *others):
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds * 1000))]


def tell(error: BaseException) -> None:
    """Says on standard error why a process of ours ends: in a line where the machine or its limits gave too little."""
    lack = starved(error)
    if lack is not None:
        print(lack, file=sys.stderr, flush=True)
    else:
        traceback.print_exception(error)


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent dies, so that a killed parent leaves nobody behind."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; elsewhere a job ends by itself.
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prepare(directory: str, output: int, kept: Collection[int]) -> None:
    """Gives a job its own output, standard input and place for temporary files, and no descriptor but its own."""
    # TensorFlow's temporary files would outlive the fork, which ends without its exit handlers.
    tempfile.tempdir = directory
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    close_others(kept)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # TensorFlow's would be gigabytes.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
        score.write(_OOM_SCORE)


def close_others(kept: Collection[int]) -> None:
    """Closes every descriptor but the standard ones and those that are to be kept."""
    try:
        there: Iterable[int] = map(int, os.listdir("/proc/self/fd"))
    except OSError:
        there = range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for descriptor in there:
        if descriptor > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def work(run: Callable[[Any], Any], job: object, result: int) -> int:
    """In a fork: runs a job and writes its result to a descriptor. Gives the exit code."""
    os.environ[COUNT] = str(result)
    done = run(job)
    os.lseek(result, 0, os.SEEK_SET)
    codec.write(done, result)
    return 0


def reap(pid: int) -> int | None:
    """The exit code of a child that has ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None
