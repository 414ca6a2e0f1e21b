"""Standard output and standard error: the only `print` of the package."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from migrate.cli.exit_codes import GOOD
from migrate.errors import InputError, UsageError
from migrate.escapes import visible

_WIDTH_OF_UNKNOWN = 100


def put(text: str, code: int = GOOD) -> int:
    """Writes to standard output and gives the exit code."""
    if sys.stdout is None:
        raise UsageError("standard output is closed; nothing can be shown")
    try:
        print(_encodable(text, sys.stdout.encoding), end="", flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)  # The reader has seen enough (`| head`).
    except OSError as error:
        _silence(sys.stdout)
        raise InputError(f"standard output cannot be written: {error}") from error
    return code


def say(line: str) -> None:
    """Writes a line to standard error, where there is one."""
    if sys.stderr is None:
        return
    try:
        print(_encodable(visible(line), sys.stderr.encoding), file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)  # There is nowhere left to tell it.


def check_standard_output() -> None:
    """Says before hours of work, and not after them, that nobody can read the report.

    Raises:
      UsageError: standard output is closed.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed, and the report goes there; send it to /dev/null to do without it")


def columns() -> int:
    """How wide a line may be: a terminal's width; what is piped is not broken into lines at all."""
    if not is_terminal(sys.stdout):
        from migrate.report.layout import UNBOUNDED

        return UNBOUNDED
    import shutil

    return shutil.get_terminal_size((_WIDTH_OF_UNKNOWN, 24)).columns


def wants_color() -> bool:
    """Whether standard output shows colors: NO_COLOR says no, FORCE_COLOR yes, else a terminal does."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        return False
    forced = os.environ.get("FORCE_COLOR")  # https://force-color.org
    if forced:
        return forced != "0"
    return is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether people read a stream as it comes."""
    return stream is not None and stream.isatty()


def _silence(stream: TextIO) -> None:
    """Takes what Python still holds of a stream that failed: flushing it at the end would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _encodable(text: str, encoding: str | None) -> str:
    r"""Spells as `\u...` what the stream cannot hold: a path may hold any byte, a terminal may be ASCII."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
