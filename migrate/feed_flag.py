"""The flag `--feed`: as the user gives it, and as audit proposes it.

TENSOR=VALUE, for example `dropout_1/keras_learning_phase:0=false`. VALUE is a JSON literal, a nested list for a tensor
of rank 1 or more, or the text itself for a string.
"""

from __future__ import annotations

from migrate.errors import UsageError
from migrate.escapes import quoted
from migrate.given import GivenFeed

_FORM = "TENSOR=VALUE, such as --feed='keep_prob:0=1.0'"


def parse_feed(text: str) -> GivenFeed:
    """Reads one value of the flag. A tensor name without `:0` means output 0.

    Raises:
      UsageError: it names no tensor or no value; the message shows the form.

    Example:
      >>> parse_feed("is_training=false")
      GivenFeed(tensor='is_training:0', value='false')
    """
    tensor, equals, value = text.partition("=")
    node, colon, output = tensor.partition(":")
    if not node or not equals or (colon and not (output.isdigit() and output.isascii() and len(output) < 10)):
        raise UsageError(f"--feed={text!r}: expected {_FORM}")
    return GivenFeed(f"{node}:{int(output or 0)}", value)


def feed_option(feed: GivenFeed) -> str:
    """The whole option as a shell takes it.

    Example:
      >>> feed_option(GivenFeed("is_training:0", "false"))
      '--feed=is_training:0=false'
    """
    return f"--feed={quoted(f'{feed.tensor}={feed.value}')}"
