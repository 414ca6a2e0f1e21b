"""Child processes that have TensorFlow ready: one process imports it, every job runs in a fork of that process.

Importing TensorFlow takes seconds, a fork of a process that has imported it and run nothing takes milliseconds and
is as fresh as a new process: no session, no eager context, no resource has been made yet. A job that crashes,
hangs or eats memory costs that fork alone.

The server is this module run as a program (`python -m migrate.children`). Parent and server speak lines: the parent
writes `MODULE<tab>JOBFILE`, the server answers with the fork's process id and later with its exit code.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any

from migrate.records import Crashed, TimedOut

_PREFIX = "migrate-job-"
_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
_START_SECONDS = 300.0
_PR_SET_PDEATHSIG = 1  # prctl(2)
# oneDNN picks its kernels by CPU and shape, and adds in another order than Eigen does: off, on both sides of a
# comparison. A GPU would only be held.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


class Nursery:
    """Runs jobs in child processes, one at a time. A context manager: leaving it ends the server and any job.

    A job is a picklable value; the module that runs it has a function `run(job)` whose picklable result comes back.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server; a job that runs is killed with it (`_die_with_parent`)."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            for pipe in (self._server.stdin, self._server.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._server = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

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
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as directory:
            file = os.path.join(directory, "job")
            with open(file, "wb") as stream:
                pickle.dump(job, stream)
            ending = self._ask(step, module, file, timeout_seconds)
            if not isinstance(ending, int):
                return ending
            if ending == 0 and os.path.exists(file + ".result"):
                with open(file + ".result", "rb") as stream:
                    return pickle.load(stream)
            output = file + ".output"
            if not os.path.exists(output):
                return Crashed(step, ending, "")
            with open(output, "rb") as stream:
                return Crashed(step, ending, _tail(stream))

    def _ask(self, step: str, module: str, file: str, timeout_seconds: float) -> int | TimedOut | Crashed:
        """The exit code of a job's process, or how the server itself has died."""
        if self._server is None or self._server.poll() is not None:
            self.close()
            clear_leftovers(tempfile.gettempdir(), _PREFIX)
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the server)
            self._server = _start(self._errors)
            if self._line(_START_SECONDS) != "ready":
                return self._died(step)
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(f"{module}\t{file}\n".encode())
            self._server.stdin.flush()
        except BrokenPipeError:
            return self._died(step)
        pid = self._line(_START_SECONDS)
        if not pid:
            return self._died(step)
        code = self._line(timeout_seconds)
        if code is None:
            _kill_group(int(pid))
            self._line(_START_SECONDS)  # The server tells of the kill; the next job must not read it.
            return TimedOut(step, timeout_seconds)
        _kill_group(int(pid))  # What the job has started must not outlive it.
        return int(code) if code else self._died(step)

    def _died(self, step: str) -> Crashed:
        assert self._server is not None and self._errors is not None
        crashed = Crashed(step, self._server.wait(), _tail(self._errors))
        self.close()
        return crashed

    def _line(self, timeout_seconds: float) -> str | None:
        """The server's next line, an empty one when it has died, None when the time is over."""
        assert self._server is not None and self._server.stdout is not None
        output: IO[bytes] = self._server.stdout
        deadline = time.monotonic() + timeout_seconds
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                return None
            read = os.read(output.fileno(), 1)
            if not read:
                return ""
            line += read
        return line.decode().strip()


def clear_leftovers(parent: str, prefix: str) -> None:
    """Removes what killed processes left: directories named `prefix`, a process id that is gone, `-` and anything."""
    for entry in os.listdir(parent):
        if entry.startswith(prefix) and not _is_alive(entry[len(prefix) :].partition("-")[0]):
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True


def _start(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # This very package must be found, also where the working directory was how the parent found it.
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "migrate.children"],
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
    return "\n".join(lines[-_TAIL_LINES:])


# The server's side.


def _die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, so that a killed parent leaves nobody behind."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; elsewhere a job ends by itself.
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _job(module: str, file: str) -> int:
    """Runs a job in this process, which was forked for it; its output goes to a file beside the job's."""
    os.setsid()
    _die_with_parent()
    # TensorFlow's temporary files would outlive the fork, which ends without its exit handlers.
    tempfile.tempdir = os.path.dirname(file)
    output = os.open(file + ".output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    try:
        with open(file, "rb") as stream:
            job = pickle.load(stream)
        result = importlib.import_module(module).run(job)
        with open(file + ".partial", "wb") as stream:
            pickle.dump(result, stream)
        os.replace(file + ".partial", file + ".result")
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main(argv: Sequence[str]) -> int:
    """The server: imports TensorFlow, then forks for every line of standard input."""
    _die_with_parent()
    # The lines are the parent's alone: nothing that TensorFlow prints may come between them.
    answers = os.dup(1)
    os.dup2(2, 1)
    importlib.import_module("tensorflow")
    os.write(answers, b"ready\n")
    for line in sys.stdin:
        module, _, file = line.rstrip("\n").partition("\t")
        pid = os.fork()
        if not pid:
            os.close(answers)
            os._exit(_job(module, file))
        os.write(answers, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
