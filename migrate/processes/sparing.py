"""Runs jobs while this process holds no memory that it does not need: the job's process may need it."""

from __future__ import annotations

from typing import Any

from migrate.processes.forks import Runner, Running
from migrate.processes.libc import give_back


class Sparing:
    """A `Runner` of another one's processes.

    Args:
      runner: the other one.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        give_back()
        return self._runner.run(step, module, job, kind, timeout_seconds)

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        give_back()
        return self._runner.begin(step, module, job, kind, timeout_seconds)
