"""Runs what reads a file through a library of C in a process of its own, which damage may crash, stall or swell.

libhdf5 is not made for files that somebody has broken on purpose: some make it loop for ever, some make it crash
(docs/hostile.md). A fork costs milliseconds, and what it dies of is said of the file.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from migrate import codec
from migrate.decoders import DecodeError
from migrate.errors import InputError, InternalError
from migrate.frozen import frozen
from migrate.processes.confinement import Confinement, confine, prepare
from migrate.processes.forks import close_others
from migrate.sources.forked import fork
from migrate.sources.watch import Undisturbed

_PROCESSOR_SECONDS, _BYTES_A_SECOND, _MOST_SECONDS = 3, 1 << 21, 60
"""Processor time for any file, bytes that it holds for which there is a second more, and the end of it. A sound file of
10,000 weights in as many groups has 14 MB and takes six seconds."""
_WALL_SECONDS = 120.0
"""A busy machine or a slow disk may give a process little; the limit that counts is the processor's."""
_MEMORY_BYTES = 1 << 30
_READ_BYTES = 1 << 20
_NO_MEMORY = 3  # an exit code


@frozen
class _Raised:
    """An exception, as data.

    Attributes:
      kind: name of its class: `InputError`, `OSError`, or another one, which is a bug of ours.
      message: what it says.
      number: of an OSError.
      file: of an OSError, or empty.
    """

    kind: str
    message: str
    number: int = 0
    file: str = ""


def guarded(
    path: str, read: Callable[[], object], kind: Any, others: Sequence[str] = (), held_bytes: int | None = None
) -> Any:
    """What `read` gives, from a fork of this process that may open nothing but the model's files.

    Args:
      path: of the file, for messages.
      read: gives a value that `codec` can hold; nothing that it changes is seen here.
      kind: the value's type, as `codec.decode` takes it.
      others: the files that it opens beside that one.
      held_bytes: what the file says that it holds, where it is compressed.

    Raises:
      InputError: `read` has raised it, or the fork took too long or too much memory, or died.
      OSError: `read` has raised it.
    """
    seconds = _PROCESSOR_SECONDS
    with contextlib.suppress(OSError):
        size = max(os.stat(path).st_size, held_bytes or 0)
        seconds = min(_PROCESSOR_SECONDS + size // _BYTES_A_SECOND, _MOST_SECONDS)
    prepare()
    data, status = b"", None
    with Undisturbed():
        pid, answer = fork(lambda end: _work(read, end, seconds, Confinement((path, *others))))
        try:
            data = _received(answer)
        finally:
            os.close(answer)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # It has answered, or is not going to.
            _, status = os.waitpid(pid, 0)
    if not data:
        raise InputError(f"{path}: damaged: {_ending(os.waitstatus_to_exitcode(status), seconds)}")
    try:
        answered = codec.from_json(tuple[_Raised | None, kind | None], data)
    except DecodeError as error:
        raise InputError(f"{path}: damaged: its reader gives no valid result ({error})") from None
    raised, value = answered
    if raised is None:
        return value
    raise _again(raised)


def _again(raised: _Raised) -> Exception:
    """An exception as it was."""
    if raised.kind == "InputError":
        return InputError(raised.message)
    if raised.kind == "OSError":
        return OSError(raised.number, raised.message, *([raised.file] if raised.file else []))
    return InternalError(f"{raised.kind}: {raised.message}")


def _as_data(error: Exception) -> _Raised:
    if isinstance(error, OSError) and error.errno is not None:
        file = error.filename if isinstance(error.filename, str) else ""
        return _Raised("OSError", error.strerror or "", error.errno, file)
    return _Raised(type(error).__name__, str(error))


def _work(read: Callable[[], object], end: int, seconds: int, confinement: Confinement) -> NoReturn:
    """In the fork; does not return."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # The library's own complaints, and those of its destructors.
            os.dup2(null, descriptor)
        close_others((end,))
        _limit(resource.RLIMIT_CPU, seconds)
        _limit(resource.RLIMIT_CORE, 0)
        with open("/proc/self/statm", encoding="ascii") as stream:
            mapped = int(stream.read().split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, mapped + _MEMORY_BYTES)
    except (OSError, ValueError):
        pass  # No /proc, or limits that may not be set: none.
    try:
        confine(confinement)
        try:
            answer = codec.to_json((None, read()))
        except MemoryError:
            raise
        except Exception as error:
            answer = codec.to_json((_as_data(error), None))
        with open(end, "wb") as pipe:
            pipe.write(answer)
        code = 0
    except MemoryError:
        code = _NO_MEMORY
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, hard))


def _received(answer: int) -> bytes:
    """All that comes out of a pipe, or nothing where that takes too long."""
    data = bytearray()
    deadline = time.monotonic() + _WALL_SECONDS
    while select.select([answer], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(answer, _READ_BYTES)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > codec.MOST_JSON_BYTES:
            break
    return b""


def _ending(code: int, seconds: int) -> str:
    if code == _NO_MEMORY:
        return f"reading it takes more than {_MEMORY_BYTES >> 20:,} MB of memory, more than any valid file needs"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"reading it takes more than {seconds} s, more than any valid file needs"
    if code < 0:
        return f"its reader crashes ({signal.Signals(-code).name})"
    return "its reader fails without a message"
