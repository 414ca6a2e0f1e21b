"""Child processes that have TensorFlow ready: one process imports it, every job runs in a fork of that process.

Importing TensorFlow takes seconds, a fork of a process that has imported it and run nothing takes milliseconds and
is as fresh as a new process: no session, no eager context, no resource has been made yet. A job that crashes,
hangs or eats memory costs that fork alone.

The server is this module run as a program (`python -m migrate.children`); several jobs run side by side, each asked
for by a thread of the parent. Parent and server speak lines: the parent writes `NUMBER<tab>MODULE<tab>JOBFILE`, the
server answers `NUMBER pid PID` and later `NUMBER exit CODE`; in between the job itself may write `NUMBER says TEXT`.
A job that needs processes of its own forks them itself (`Forks`). The server ends when the parent does, because its
standard input does, and the jobs end with the server (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import pickle
import queue
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import IO, Any, Protocol

from migrate.errors import InternalError
from migrate.records import Crashed, TimedOut

TENSORFLOW = ("tensorflow",)
"""What a server imports before its first fork, where nothing else is said."""

_PREFIX = "migrate-job-"
_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
_FATAL = re.compile(r"F\d{4} \d\d:\d\d:")
_END_SECONDS = 2.0
_POLL_SECONDS = 0.5
_MEMORY_POLL_SECONDS = 0.05
_SAID_BYTES = 2000  # Shorter than PIPE_BUF, so that lines of several jobs never mix.
_SAY = "MIGRATE_SAYS"  # Environment variable of a job: where its lines go, DESCRIPTOR:NUMBER.
_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = b"500"  # proc(5), oom_score_adj: when memory runs out the kernel takes a job, not the parent.
# oneDNN picks its kernels by CPU and shape, and adds in another order than Eigen does: off, on both sides of a
# comparison. A GPU would only be held.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


class Runner(Protocol):
    """Runs jobs in processes of their own: a `Nursery`, or in a job `Forks`."""

    def run(self, step: str, module: str, job: object, timeout_seconds: float) -> Any:
        """Runs a job in a process of its own.

        Args:
          step: name of the step, for the report (`golden`, `export`, `candidate`).
          module: full name of the module whose `run` takes the job.
          job: what it takes.
          timeout_seconds: after which the child, and what it has started, is killed.

        Returns:
          What `run` has returned, or a `Crashed` or `TimedOut`. A child that ends without a result has crashed.
        """


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
    """

    def __init__(self, preload: Sequence[str] = TENSORFLOW, memory_limit_bytes: int | None = None) -> None:
        self._preload = tuple(preload)
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
        """See `Runner.run`; `say` is told what the job says of itself (`children.say`).

        Raises:
          ClosedError: the nursery was closed meanwhile.
        """
        with _job_directory() as directory:
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
                    return _result(step, file, ending)
                lost = ending
            return Crashed(step, lost.exit_code, lost.stderr_tail)

    def _ready(self) -> _Server:
        with self._lock:
            if self._closed:
                raise ClosedError("the nursery is closed")
            if self._server is None or not self._server.alive:
                if self._server is not None:
                    self._server.close()
                self._server = _Server(self._preload)
            return self._server


class Forks:
    """Runs jobs in forks of this process, one at a time; for a job that needs processes of its own.

    TensorFlow is imported in this process first, unless it is there, and nothing of it is run here.
    """

    def __init__(self, memory_limit_bytes: int | None = None) -> None:
        self._memory_limit = memory_limit_bytes

    def run(self, step: str, module: str, job: object, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        for name in TENSORFLOW:
            importlib.import_module(name)
        with _job_directory() as directory:
            file = os.path.join(directory, "job")
            pid, lifeline = _fork(lambda: _work(importlib.import_module(module).run, job, file), file)
            code: int | None = None

            def wait(seconds: float) -> bool:
                nonlocal code
                select.select([lifeline], [], [], seconds)
                code = _reap(pid)
                return code is not None

            ending = None
            try:
                ending = _watch(step, pid, wait, timeout_seconds, self._memory_limit)
            finally:
                if code is None:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                _kill_group(pid)  # What the job has started must not outlive it.
                os.close(lifeline)
            return _result(step, file, ending if ending is not None else code or 0)


def say(text: str) -> None:
    """In a job: tells the parent in a line what is being done. Elsewhere: does nothing."""
    descriptor, _, number = os.environ.get(_SAY, "").partition(":")
    if descriptor:
        line = f"{number} says {' '.join(text.split())}".encode(errors="replace")[:_SAID_BYTES]
        with contextlib.suppress(OSError):
            os.write(int(descriptor), line + b"\n")


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
    directory = tempfile.mkdtemp(prefix=prefix, dir=parent)
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # A file system without locks; then nothing is ever cleared away.
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(handle)


def _job_directory() -> contextlib.AbstractContextManager[str]:
    return claim(_PREFIX, tempfile.gettempdir())


class _Lost:
    """The server died while a job ran, for whatever reason."""

    def __init__(self, exit_code: int, stderr_tail: str) -> None:
        self.exit_code = exit_code
        self.stderr_tail = stderr_tail


class _Server:
    """The parent's side of one server process."""

    def __init__(self, preload: Sequence[str]) -> None:
        clear_leftovers(tempfile.gettempdir(), _PREFIX)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the server)
        self._process = _start(preload, self._errors)
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
            while (first := answers.get()) is not None and not first.startswith("pid "):
                say(first.partition(" ")[2])  # The fork may be faster than the server.
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

            ending = _watch(step, pid, wait, timeout_seconds, memory_limit)
            if ending is not None:
                _kill_group(pid)
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
        self._ending = _Lost(self._process.wait(), _tail(self._errors))
        with self._lock:
            self.alive = False
            for waiting in self._answers.values():
                waiting.put(None)


def _watch(
    step: str, pid: int, wait: Callable[[float], bool], timeout_seconds: float, memory_limit: int | None
) -> Crashed | TimedOut | None:
    """Waits until `wait` says that a process has ended; the reason for which it must be killed, or None."""
    deadline = time.monotonic() + timeout_seconds
    poll = _POLL_SECONDS if memory_limit is None else _MEMORY_POLL_SECONDS
    while not wait(min(poll, max(0.0, deadline - time.monotonic()))):
        if memory_limit is not None:
            held = _resident_bytes(pid)
            if held > memory_limit:
                limit = f"more than the {memory_limit >> 20:,} MB that --memory_limit allows"
                return Crashed(step, -signal.SIGKILL, f"migrate killed it: it held {held >> 20:,} MB, {limit}")
        if time.monotonic() >= deadline:
            return TimedOut(step, timeout_seconds)
    return None


def _result(step: str, file: str, ending: int | Crashed | TimedOut) -> Any:
    """A job's result, or how it ended without one, with the last lines that it wrote to standard error."""
    output = file + ".output"
    tail = ""
    if os.path.exists(output):
        with open(output, "rb") as stream:
            tail = _tail(stream)
    if isinstance(ending, TimedOut):
        return TimedOut(ending.step, ending.seconds, tail)
    if isinstance(ending, Crashed):
        return Crashed(ending.step, ending.exit_code, "\n".join(filter(None, [tail, ending.stderr_tail])))
    if ending == 0 and os.path.exists(file + ".result"):
        with open(file + ".result", "rb") as stream:
            return pickle.load(stream)
    return Crashed(step, ending, tail)


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process (proc(5), statm), TensorFlow's own pages included; 0 where it cannot be read."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def _start(preload: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # This very package must be found, also where the working directory was how the parent found it.
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "migrate.children", *preload],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is the parent's to handle.
    )


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _tail(stream: IO[bytes]) -> str:
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - _TAIL_BYTES))
    lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    # TensorFlow's last word (absl's log, severity F) may stand above a long list of stack frames.
    fatal = [line for line in lines[:-_TAIL_LINES] if _FATAL.match(line)]
    return "\n".join([*fatal[-1:], *lines[-_TAIL_LINES:]])


def _silent(_: str) -> None:
    """Takes what a job says where nobody listens."""


# The side of the process that forks: the server, or a job that has jobs of its own.


def _fork(work: Callable[[], int], file: str) -> tuple[int, int]:
    """Forks; the child does its work and ends.

    Returns:
      The child's process id, and the end of a pipe that becomes readable when the child is gone.
    """
    lifeline, end = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(end)
        return pid, lifeline
    code = 1
    try:
        os.close(lifeline)
        os.setsid()
        _die_with(parent)
        _prepare(file)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent dies, so that a killed parent leaves nobody behind."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; elsewhere a job ends by itself.
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prepare(file: str) -> None:
    """Gives a job its own output, standard input and place for temporary files."""
    # TensorFlow's temporary files would outlive the fork, which ends without its exit handlers.
    tempfile.tempdir = os.path.dirname(file)
    output = os.open(file + ".output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # TensorFlow's would be gigabytes.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
        score.write(_OOM_SCORE)


def _work(run: Callable[[Any], Any], job: object, file: str) -> int:
    result = run(job)
    with open(file + ".partial", "wb") as stream:
        pickle.dump(result, stream)
    os.replace(file + ".partial", file + ".result")
    return 0


def _reap(pid: int) -> int | None:
    """The exit code of a child that has ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _load_and_work(module: str, file: str) -> int:
    with open(file, "rb") as stream:
        job = pickle.load(stream)
    return _work(importlib.import_module(module).run, job, file)


def _serve(answers: int) -> None:
    """Forks for every line of standard input until it ends, and tells of every fork that ends."""
    jobs: dict[int, tuple[str, int]] = {}  # by lifeline: number of the request, process id
    rest = b""
    while True:
        ready, _, _ = select.select([0, *jobs], [], [], _POLL_SECONDS if jobs else None)
        if 0 in ready:
            read = os.read(0, 1 << 16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                number, module, file = os.fsdecode(line).split("\t")
                os.environ[_SAY] = f"{answers}:{number}"
                pid, lifeline = _fork(lambda module=module, file=file: _load_and_work(module, file), file)  # type: ignore[misc]
                jobs[lifeline] = number, pid
                os.write(answers, f"{number} pid {pid}\n".encode())
        for lifeline, (number, pid) in list(jobs.items()):
            code = _reap(pid)
            if code is not None:
                os.close(lifeline)
                del jobs[lifeline]
                _kill_group(pid)  # What the job has started must not outlive it.
                os.write(answers, f"{number} exit {code}\n".encode())
    for _, pid in jobs.values():
        _kill_group(pid)


def main(argv: Sequence[str]) -> int:
    """The server: imports the modules that are named, then serves."""
    # The lines are the parent's alone: nothing that TensorFlow prints may come between them.
    answers = os.dup(1)
    os.dup2(2, 1)
    for name in argv[1:]:
        importlib.import_module(name)
    gc.freeze()  # What is there now is shared with every fork; a collection would copy its pages.
    with contextlib.suppress(BrokenPipeError):
        _serve(answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
