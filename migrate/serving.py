"""Forks a process that has imported TensorFlow for every job that it is asked for.

It is asked in lines of standard input, `NUMBER<tab>MODULE<tab>JOBFILE`, and answers `NUMBER pid PID` and later
`NUMBER exit CODE`; in between the job itself may write `NUMBER says TEXT`. Several jobs run side by side. It ends when
its standard input does, and the jobs end with it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pickle
import select
from collections.abc import Callable, Sequence

from migrate.forks import POLL_SECONDS, SAY, fork, kill_group, reap, warm, work


def serve(modules: Sequence[str], answers: int, ended: Callable[[int], None] | None = None) -> None:
    """Imports modules, then answers standard input until it ends.

    Args:
      modules: their names.
      answers: descriptor to write to.
      ended: told the exit code of a job before it is answered.
    """
    warm(modules)
    with contextlib.suppress(BrokenPipeError):
        _serve(answers, ended)


def _load_and_work(module: str, file: str) -> int:
    with open(file, "rb") as stream:
        job = pickle.load(stream)
    return work(importlib.import_module(module).run, job, file)


def _serve(answers: int, ended: Callable[[int], None] | None) -> None:
    """Forks for every line of standard input until it ends, and tells of every fork that ends."""
    jobs: dict[int, tuple[str, int]] = {}  # by lifeline: number of the request, process id
    rest = b""
    while True:
        ready, _, _ = select.select([0, *jobs], [], [], POLL_SECONDS if jobs else None)
        if 0 in ready:
            read = os.read(0, 1 << 16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                number, module, file = os.fsdecode(line).split("\t")
                os.environ[SAY] = f"{answers}:{number}"
                pid, lifeline = fork(functools.partial(_load_and_work, module, file), file)
                jobs[lifeline] = number, pid
                os.write(answers, f"{number} pid {pid}\n".encode())
        for lifeline, (number, pid) in list(jobs.items()):
            code = reap(pid)
            if code is not None:
                os.close(lifeline)
                del jobs[lifeline]
                kill_group(pid)  # What the job has started must not outlive it.
                if ended is not None:
                    ended(code)
                os.write(answers, f"{number} exit {code}\n".encode())
    for _, pid in jobs.values():
        kill_group(pid)
