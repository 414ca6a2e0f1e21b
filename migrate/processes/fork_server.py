"""Forks a process that has imported TensorFlow for every job that it is asked for.

It is asked in packets on a socket, and answers each on a pipe of its own that came with it: `pid PID`, and later
`exit CODE`. No job has that pipe, so none can answer for itself or for another one. Several jobs run side by side. The
server ends when its socket does, and the jobs end with it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pickle
import socket
from collections.abc import Callable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.processes.channel import POLL_SECONDS
from migrate.processes.forks import AHEAD_PLACE, SAY, fork, kill_group, reap, wait_for, warm, work
from migrate.processes.job_files import JobFiles

_PACKET_BYTES = 1 << 14
_PACKET_DESCRIPTORS = 5

Lend = Callable[[], tuple[str, Sequence[int]]]
"""Gives what `AHEAD_PLACE` is to be for a job, and the descriptors that it names; nothing where there is no fork."""


@frozen
class _Job:
    """A job that runs: its process, what tells of its end, and the pipe for answers."""

    pid: int
    end: int
    answers: int


def ask(server: socket.socket, module: str, job: int, files: JobFiles, said: int | None) -> int:
    """Asks a server for a job.

    Args:
      server: the parent's end of its socket.
      module: full name of the module whose `run` takes the job.
      job: descriptor of a file with the job, pickled by this process; nobody else can write to it.
      files: of the job.
      said: where the job may write lines, or None.

    Returns:
      Descriptor of the pipe with the answers; it ends when the server does.

    Raises:
      OSError: the server is gone.
    """
    answers, told = os.pipe()
    try:
        descriptors = [job, files.result, files.output, told, *([] if said is None else [said])]
        socket.send_fds(server, [os.fsencode(f"{module}\n{files.directory}")], descriptors)
    except OSError:
        os.close(answers)
        raise
    finally:
        os.close(told)
    return answers


def serve(
    modules: Sequence[str],
    asked: int,
    ended: Callable[[int], None] | None = None,
    lend: Lend | None = None,
    kept: Sequence[int] = (),
) -> None:
    """Imports modules, then answers what it is asked until there is nobody left to ask.

    Args:
      modules: their names.
      asked: descriptor of the socket.
      ended: told the exit code of a job before it is answered.
      lend: called for each job.
      kept: descriptors that every job keeps.
    """
    warm(modules)
    server = socket.socket(fileno=asked)
    jobs: dict[int, _Job] = {}
    while True:
        ready = wait_for([job.end for job in jobs.values()], POLL_SECONDS if jobs else None, asked)
        if asked in ready:
            packet, descriptors, _, _ = socket.recv_fds(
                server, _PACKET_BYTES, _PACKET_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if not packet:
                break
            module, _, directory = os.fsdecode(packet).partition("\n")
            started = _start(module, directory, descriptors, lend, kept)
            jobs[started.pid] = started
            _answer(started, f"pid {started.pid}")
        for job in list(jobs.values()):
            code = reap(job.pid)
            if code is not None:
                del jobs[job.pid]
                if job.end >= 0:
                    os.close(job.end)
                kill_group(job.pid)  # What the job has started must not outlive it.
                if ended is not None:
                    ended(code)
                _answer(job, f"exit {code}")
                os.close(job.answers)
    for job in jobs.values():
        kill_group(job.pid)


def _answer(job: _Job, line: str) -> None:
    with contextlib.suppress(OSError):  # Nobody waits any more.
        os.write(job.answers, line.encode() + b"\n")


def _start(module: str, directory: str, descriptors: Sequence[int], lend: Lend | None, kept: Sequence[int]) -> _Job:
    file, result, output, answers, *said = descriptors
    environment: Mapping[str, str] = {SAY: str(said[0])} if said else {}
    lent: Sequence[int] = ()
    if lend is not None:
        place, lent = lend()
        environment = {**environment, AHEAD_PLACE: place}
    own = (file, result, *said)
    pid, end = fork(
        functools.partial(_load_and_work, module, file, result), directory, output, (*own, *lent, *kept), environment
    )
    for descriptor in (*own, output):
        os.close(descriptor)
    return _Job(pid, end, answers)


def _load_and_work(module: str, file: int, result: int) -> int:
    with open(file, "rb") as stream:
        stream.seek(0)
        job = pickle.load(stream)
    return work(importlib.import_module(module).run, job, result)
