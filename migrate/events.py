"""What a command tells while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable

from migrate.frozen import frozen
from migrate.records import ModelReport

_CALLED = re.compile(r"call (\d{1,5}) of (\d{1,5})", re.ASCII)


@frozen
class Began:
    """A command has found its models.

    Attributes:
      models: how many.
      workers: how many of them are worked on at once.
    """

    models: int
    workers: int

    def __str__(self) -> str:
        return f"{self.models:,} models, {self.workers} at a time"


@frozen
class Step:
    """What a worker does now.

    Attributes:
      worker: its number, from 0.
      source: the model.
      text: what is done with it.
    """

    worker: int
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"


@frozen
class Called:
    """A worker's step is at one of the calls that it makes of a model.

    Attributes:
      worker: its number, from 0.
      source: the model.
      call: number of the call, from 1.
      calls: how many there are.
    """

    worker: int
    source: str
    call: int
    calls: int

    def __str__(self) -> str:
        return f"{self.source}: {called(self.call, self.calls)}"


def called(call: int, calls: int) -> str:
    """The line in which a job says at which call it is."""
    return f"call {call} of {calls}"


def event_of(worker: int, source: str, line: str) -> Step | Called:
    """What a line of a job means."""
    found = _CALLED.fullmatch(line)
    return Step(worker, source, line) if found is None else Called(worker, source, int(found[1]), int(found[2]))


@frozen
class Finished:
    """A model is done, and what became of it is on the disk.

    Attributes:
      worker: which one did it.
      report: what became of it.
      done: how many are done.
      models: of how many.
    """

    worker: int
    report: ModelReport
    done: int
    models: int

    def __str__(self) -> str:
        return f"[{self.done}/{self.models}] {self.report.source}: {type(self.report.outcome).__name__}"


@frozen
class Warned:
    """Something that the user should know, and that stops nothing."""

    text: str

    def __str__(self) -> str:
        return self.text


Event = Began | Step | Called | Finished | Warned

Listener = Callable[[Event], None]
"""Takes what a command tells."""
