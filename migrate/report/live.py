"""What is being done, live on a terminal."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from migrate.escapes import visible
from migrate.events import Began, Event, Finished, Step, Warned
from migrate.records import GOOD_OUTCOMES

_WORKERS_SHOWN = 16

Listener = Callable[[Event], None]


@contextlib.contextmanager
def live(console: Console) -> Iterator[Listener]:
    """Shows how many models are done and how many have failed, the rate, the time left and what each worker does."""
    display = Display(console)
    with Live(display, console=console, transient=True, refresh_per_second=5):
        yield display


class Display:
    """A bar for the fleet and a line for each worker. Threads call it with events; rich asks it what to show."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        self._fleet = self._bar.add_task("", total=None, visible=False)
        self._lines: dict[int, str] = {}
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
                    self._lines[worker] = str(event)
                case Finished(worker=worker, report=report, done=done):
                    self._lines.pop(worker, None)
                    self._failed += not isinstance(report.outcome, GOOD_OUTCOMES)
                    self._skipped += report.skipped
                    self._bar.update(self._fleet, completed=done, description=self._counts(done))

    def __rich__(self) -> Group:
        with self._lock:
            lines = [self._lines[worker] for worker in sorted(self._lines)]
        shown = [Text(visible(line), overflow="ellipsis", no_wrap=True) for line in lines[:_WORKERS_SHOWN]]
        return Group(self._bar, *shown)

    def _counts(self, done: int) -> str:
        (task,) = self._bar.tasks
        seconds = task.elapsed or 0.0
        rate = f"{(done - self._skipped) * 60 / seconds:.0f} a minute" if seconds > 1 else ""
        parts = [f"{self._failed} not good", f"{self._skipped} skipped" if self._skipped else "", rate]
        return ", ".join(filter(None, parts))
