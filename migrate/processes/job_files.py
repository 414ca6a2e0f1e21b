"""The files of one job: its directory, what it prints, and its result.

Whoever has run a model may be its author's. So the result of a job is data (`codec`) of a declared type, in a file
without a name that was opened before the job's process was there.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from types import TracebackType
from typing import Any

from migrate import codec
from migrate.decoders import DecodeError
from migrate.processes.claims import claim
from migrate.records import Crashed, TimedOut

JOB_PREFIX = "migrate-job-"
"""Names of the directories of jobs, among the system's temporary files, begin with it."""

_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
_FATAL = re.compile(r"F\d{4} \d\d:\d\d:")
# An offset that no result reaches, above two numbers of 15 bits each.
_COUNT_MARK, _COUNT_BITS = 1 << 39, 15


class JobFiles:
    """A directory and files for one job, opened by the process that is to read them. A context manager.

    Attributes:
      directory: for what the job writes in passing; it goes when the block ends.
      output: descriptor of a file without a name for what the job writes to standard output and standard error.
      result: descriptor of one for its result.
    """

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self.directory = self._held.enter_context(job_directory())
        self.output, self.result = (self._file() for _ in range(2))

    def _file(self) -> int:
        return self._held.enter_context(tempfile.TemporaryFile()).fileno()

    def __enter__(self) -> JobFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count(self) -> tuple[int, int] | None:
        """At which of its calls the job says it is, and how many there are; None where it does not say so.

        The job may be anybody's program: two small numbers are all that it can say.
        """
        offset = os.lseek(self.result, 0, os.SEEK_CUR)
        calls, call = divmod(offset - _COUNT_MARK, 1 << _COUNT_BITS)
        return (call, calls) if calls and offset == count_offset(call, calls) else None

    def at(self) -> tuple[int, int]:
        """As `count`, with calls that are tried, of which nobody knows how many there are: (call, 0); else (0, 0)."""
        offset = os.lseek(self.result, 0, os.SEEK_CUR)
        calls, call = divmod(offset - _COUNT_MARK, 1 << _COUNT_BITS)
        return (call, calls) if offset > _COUNT_MARK and offset == count_offset(call, calls) else (0, 0)

    def close(self) -> None:
        """Gives all of it back."""
        self._held.close()


def count_offset(call: int, calls: int) -> int | None:
    """The offset of a result's file by which a job says which of its calls it makes; None for what it cannot say.

    Args:
      call: its number, from 1.
      calls: how many there are; 0 where that is not known.
    """
    is_known = 0 < call <= (calls or call) and max(call, calls) < 1 << _COUNT_BITS
    return _COUNT_MARK + (calls << _COUNT_BITS) + call if is_known else None


def job_directory() -> contextlib.AbstractContextManager[str]:
    """A directory for one job, gone when the block ends; the next server clears away what a killed parent left."""
    return claim(JOB_PREFIX, tempfile.gettempdir())


def result_of(step: str, files: JobFiles, kind: Any, ending: int | Crashed | TimedOut) -> Any:
    """A job's result, or how it ended without one, with the last lines that it wrote to standard error."""
    words = tail(files.output)
    if isinstance(ending, TimedOut):
        return TimedOut(ending.step, ending.seconds, words)
    if isinstance(ending, Crashed):
        return Crashed(ending.step, ending.exit_code, "\n".join(filter(None, [words, ending.stderr_tail])))
    if ending != 0 or not os.fstat(files.result).st_size:
        return Crashed(step, ending, words, *files.at())
    try:
        return codec.read(kind, files.result)
    except DecodeError as error:
        reason = f"its result is not what was asked for: {plain(str(error))}"
        return Crashed(step, ending, "\n".join(filter(None, [words, reason])))


def tail(output: int) -> str:
    """The last lines of a file, by its descriptor, whose offset is neither used nor moved."""
    size = os.fstat(output).st_size
    text = os.pread(output, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
    lines = [plain(line) for line in text.splitlines() if line.strip()]
    # TensorFlow's last word (absl's log, severity F) may stand above a long list of stack frames.
    fatal = [line for line in lines[:-_TAIL_LINES] if _FATAL.match(line)]
    return "\n".join([*fatal[-1:], *lines[-_TAIL_LINES:]])


def plain(line: str) -> str:
    """A line without the characters that mean something to a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in line.expandtabs())
