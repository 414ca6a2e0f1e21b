"""The exceptions of this package. "Cannot convert" is none of them: that is a `records.Finding`."""

from __future__ import annotations


class InputError(Exception):
    """What the user gave cannot be read or makes no sense.

    The message is one or two lines: what, where, what was expected and found, what to do next. The command line
    prints it without a traceback.
    """


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
    """The first line of an exception's message that tells the cause, cut to 300 characters."""
    text = str(getattr(error, "message", "") or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = (line for line in lines if not line.startswith(_PREAMBLE))
    return next(telling, lines[0] if lines else "")[:300]
