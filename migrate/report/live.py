"""What is being done, live on a terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from migrate.escapes import visible
from migrate.events import Began, Called, Event, Finished, Listener, Step, Warned, called
from migrate.records import GOOD_OUTCOMES

_WORKERS_SHOWN = 16
_CLOCK_AFTER_SECONDS = 2


def clock(seconds: float) -> str:
    """How long a step has taken, before its name: `[1:07] `; nothing for one that has just begun."""
    whole = int(seconds)
    if whole < _CLOCK_AFTER_SECONDS:
        return ""
    hours, minutes = divmod(whole // 60, 60)
    return f"[{hours}:{minutes:02}:{whole % 60:02}] " if hours else f"[{minutes}:{whole % 60:02}] "


@contextlib.contextmanager
def live(console: Console) -> Iterator[Listener]:
    """Shows how many models are done and how many have failed, the rate, the time left and what each worker does."""
    display = Display(console)
    with Live(display, console=console, transient=True, refresh_per_second=5):
        yield display


class Display:
    """A bar for the fleet and a line for each worker. Threads call it with events; rich asks it what to show."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._bar = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        self._fleet = self._bar.add_task("", total=None, visible=False)
        self._steps: dict[int, tuple[str, float]] = {}  # What each worker does, and since when.
        self._calls: dict[int, str] = {}  # At which call of its step each one is.
        self._failed = 0
        self._skipped = 0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        with self._lock:
            match event:
                case Began(models=models):
                    self._bar.update(self._fleet, total=models, visible=models > 1)
                case Warned(text=text):
                    self._console.print(Text(visible(f"migrate: {text}")))
                case Step(worker=worker):
                    self._steps[worker] = (str(event), self._clock())
                    self._calls.pop(worker, None)
                case Called(worker=worker, call=call, calls=calls):
                    self._calls[worker] = f", {called(call, calls)}"
                case Finished(worker=worker, report=report, done=done):
                    self._steps.pop(worker, None)
                    self._calls.pop(worker, None)
                    self._failed += not isinstance(report.outcome, GOOD_OUTCOMES)
                    self._skipped += report.skipped
                    self._bar.update(self._fleet, completed=done, description=self._counts(done))

    def __rich__(self) -> Group:
        with self._lock:
            now = self._clock()
            steps = sorted(self._steps.items())
            lines = [f"{clock(now - since)}{text}{self._calls.get(worker, '')}" for worker, (text, since) in steps]
        shown = [Text(visible(line), overflow="ellipsis", no_wrap=True) for line in lines[:_WORKERS_SHOWN]]
        return Group(self._bar, *shown)

    def _counts(self, done: int) -> str:
        (task,) = self._bar.tasks
        seconds = task.elapsed or 0.0
        rate = f"{(done - self._skipped) * 60 / seconds:.0f} a minute" if seconds > 1 else ""
        parts = [f"{self._failed} not good", f"{self._skipped} skipped" if self._skipped else "", rate]
        return ", ".join(filter(None, parts))
