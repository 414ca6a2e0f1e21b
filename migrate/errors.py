"""The exceptions of this package. "Cannot convert" is none of them: that is a `records.Finding`."""

from __future__ import annotations

import errno
from collections.abc import Sequence


class InputError(Exception):
    """What the user gave cannot be read or makes no sense.

    The message is one or two lines: what, where, what was expected and found, what to do next. The command line
    prints it without a traceback.
    """


class InterruptedRunError(KeyboardInterrupt):
    """The user has ended a command that works on many models; the message says what is done and how to go on."""


class UsageError(InputError):
    """The command line itself is wrong (exit code 2), not a model that it names."""


class InternalError(Exception):
    """An invariant of this package does not hold: a bug of ours (exit code 3), never the user's fault."""


# Lines with which TensorFlow opens a message, and which say nothing about the cause.
_PREAMBLE = (
    "Graph execution error",
    "Detected at node",
    "Node: ",
    "Restoring from checkpoint failed",
    "Original stack",
    "<stack traces unavailable>",
)


def first_line(error: BaseException) -> str:
    r"""The first line of an exception's message that tells the cause, cut to 300 characters.

    Example:
      >>> first_line(ValueError("Graph execution error:\nno such node"))
      'no such node'
    """
    text = str(getattr(error, "message", "") or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = (line for line in lines if not line.startswith(_PREAMBLE))
    return next(telling, lines[0] if lines else "")[:300]


def first_few(names: Sequence[str], most: int) -> str:
    """Some names for a message, `a, b, ...`: the first ones, and whether there are more.

    Example:
      >>> first_few(["a", "b", "c"], 2)
      'a, b, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def counted(number: int, noun: str) -> str:
    """A number of things for a message.

    Args:
      number: how many.
      noun: one of them; several are the same with an s.

    Example:
      >>> counted(1, "variable"), counted(2_000, "variable")
      ('1 variable', '2,000 variables')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_LACKS = {
    errno.EMFILE: "too many open files for the limit of this process; raise it with ulimit -n",
    errno.ENFILE: "too many open files on this machine",
    errno.ENOMEM: "not enough memory, or a limit on it (ulimit -v)",
    errno.EAGAIN: "no more processes or threads may be started (ulimit -u)",
}
_WORDS = {  # Of the dynamic loader and of CPython's threads, which give no number.
    "Too many open files": errno.EMFILE,
    "cannot open shared object file: Error 24": errno.EMFILE,
    "failed to map segment": errno.ENOMEM,
    "Cannot allocate memory": errno.ENOMEM,
    "cannot allocate memory": errno.ENOMEM,
    "out of memory": errno.ENOMEM,  # protobuf's, of its own descriptors, as the next
    "Couldn't parse file content!": errno.ENOMEM,
    "can't start new thread": errno.EAGAIN,
}


def starved(error: BaseException) -> str | None:
    """What the machine or its limits did not give, where an exception says that; None for any other exception.

    Example:
      >>> starved(OSError(errno.EMFILE, "")), starved(ValueError())
      ('too many open files for the limit of this process; raise it with ulimit -n', None)
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return _LACKS[errno.ENOMEM]
        if isinstance(cause, OSError) and cause.errno in _LACKS:
            return _LACKS[cause.errno]
        if isinstance(cause, SystemError) and _memory_is_limited():
            return _LACKS[errno.ENOMEM]  # A function of C had no memory for its exception.
        if isinstance(cause, (ImportError, RuntimeError, TypeError)):
            for words, number in _WORDS.items():
                if words in str(cause):
                    return _LACKS[number]
        cause = cause.__cause__ or cause.__context__
    return None


def _memory_is_limited() -> bool:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
