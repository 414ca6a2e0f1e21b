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
