"""What is being done, on standard error: live on a terminal, in the log, or one line per finished model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from migrate.cli.output import is_terminal, say
from migrate.escapes import visible, visible_lines

if TYPE_CHECKING:
    from migrate.events import Event

Progress = Callable[["Event"], None] | None


@contextlib.contextmanager
def progress(logged: bool, lines: bool) -> Iterator[Progress]:
    """Gives a function that shows what is being done.

    Args:
      logged: write it to the log.
      lines: where nobody watches a terminal, write one line per finished model of many.
    """
    if logged:
        yield _log
        return
    if is_terminal(sys.stderr):
        from rich.console import Console

        from migrate.report.live import live

        with live(Console(stderr=True)) as listen:
            yield listen
        return
    yield _tell if lines else None


def _tell(event: Event) -> None:
    from migrate.report.progress import line

    text = line(event)
    if text is not None:
        say(text)


def _log(event: Event) -> None:
    from absl import logging

    from migrate.events import Called

    if isinstance(event, Called):  # Where a step is is for a terminal, which forgets it.
        return

    logging.info("%s", visible(str(event)))


def start_logging(verbosity: int) -> None:
    """Sends logs to standard error in absl's format. Without it, warnings of libraries come as they are."""
    import logging as standard

    from absl import logging

    # Not absl's own handler: it warns on every start that the global FLAGS are not parsed, and this program
    # leaves those alone.
    class Visible(logging.PythonFormatter):  # type: ignore[misc]
        """Names and paths come with the lines of libraries, too."""

        def format(self, record: standard.LogRecord) -> str:
            return visible_lines(super().format(record))

    handler = standard.StreamHandler()
    handler.setFormatter(Visible())
    standard.basicConfig(handlers=[handler])
    logging.set_verbosity(verbosity)
