"""Runs jobs in new interpreters, for what must not share a process with TensorFlow 2.

A fork of this process may have TensorFlow 2 loaded. A new interpreter has nothing: it is confined first where it is to
be, and imports the job's module then.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.processes import interpreter
from migrate.processes.channel import Counted, Job, finished
from migrate.processes.confinement import ConfinedJob, confine
from migrate.processes.forks import kill_group, leave, tell, work
from migrate.processes.job_files import JobFiles

_MODULE = "migrate.processes.fresh"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = b"500"  # See `forks`.


class FreshInterpreters:
    """Runs jobs in new interpreters, one at a time. A `Runner`.

    Args:
      memory_limit_bytes: resident memory at which a job is killed, or None.
      counted: called with the number of the current call whenever it changes, or None.
      variables: environment variables of the jobs beside those of this process.
      path: directories in which jobs look for modules first, for jobs that are not this package's.
    """

    def __init__(
        self,
        memory_limit_bytes: int | None = None,
        counted: Counted | None = None,
        variables: Mapping[str, str] | None = None,
        path: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self._memory_limit = memory_limit_bytes
        self._counted = counted
        self._variables = variables or {}
        self._path = tuple(os.fspath(entry) for entry in path)

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        return finished(self.begin(step, module, job, kind, timeout_seconds))

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Job:
        """See `Runner.begin`."""
        channel = FreshChannel(module, job, self._variables, self._path)
        return Job(channel, step, kind, timeout_seconds, self._memory_limit, self._counted)


class FreshChannel:
    """A `Channel` whose process is a new interpreter.

    Args:
      module: full name of the module whose `run` takes the job.
      job: what it takes; picklable.
      variables: environment variables beside those of this process.
      path: directories in which it looks for modules first.
    """

    def __init__(self, module: str, job: object, variables: Mapping[str, str], path: Sequence[str] = ()) -> None:
        self._module = module
        self._job = job
        self._variables = variables
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, files: JobFiles) -> int:
        """See `Channel.start`."""
        given = self._job if isinstance(self._job, ConfinedJob) else None
        module, job = (self._module, self._job) if given is None else (given.module, given.job)
        confinement = None if given is None else given.confinement
        with tempfile.TemporaryFile() as file:
            # Two pickles: to load the job may import what starts threads, and confining comes before that.
            pickle.dump((module, confinement), file)
            pickle.dump(job, file)
            file.flush()
            arguments = [str(os.getpid()), str(file.fileno()), str(files.result), files.directory, *self._path]
            self._process = subprocess.Popen(
                interpreter.command(_MODULE, arguments),
                stdin=subprocess.DEVNULL,
                stdout=files.output,
                stderr=files.output,
                env=interpreter.environment({**os.environ, **self._variables}),
                pass_fds=(file.fileno(), files.result),
                start_new_session=True,  # Ctrl-C is the parent's to handle.
            )
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """See `Channel.wait`."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._process.returncode is not None:
            kill_group(self._process.pid)  # What the job has started must not outlive it.
        return self._process.returncode

    def kill(self) -> None:
        """See `Channel.kill`."""
        if self._process is not None and self._process.returncode is None:
            kill_group(self._process.pid)
            self._process.wait()

    def close(self) -> None:
        """See `Channel.close`."""


def main(arguments: Sequence[str]) -> int:
    """In the new interpreter: carries the job out, and gives the exit code."""
    parent, file, result = map(int, arguments[:3])
    directory, *path = arguments[3:]
    sys.path[:0] = path
    code = 1
    try:
        _prepare(parent, directory)
        with open(file, "rb") as stream:
            stream.seek(0)
            module, confinement = pickle.load(stream)
            if confinement is not None:
                confine(confinement, directory)
            job = pickle.load(stream)
        code = work(importlib.import_module(module).run, job, result)
    except BaseException as error:
        tell(error)
    finally:
        leave(code)


def _prepare(parent: int, directory: str) -> None:
    """Makes this process end with its parent, and gives it a temporary directory."""
    import resource

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    tempfile.tempdir = directory
    os.environ["TMPDIR"] = directory
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # A core file would be gigabytes.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
        score.write(_OOM_SCORE)
