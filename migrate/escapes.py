"""Text of strangers made safe to show and to copy: names come from the model, paths and flags from anybody.

A terminal obeys control characters, and a shell runs what is pasted into it.
"""

from __future__ import annotations


def visible(text: str) -> str:
    r"""Writes every character that does not print as an escape: `\x1b`, `\n`, `\u202e`, `\udcff`.

    These are control characters, line breaks of any kind, what turns the direction of writing, and bytes of file names
    that are no text (lone surrogates).

    Example:
      >>> visible("a\x1b[31m")
      'a\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def visible_lines(text: str) -> str:
    """`visible`, but line breaks stay: for text of several lines, such as the last words of a process."""
    return "\n".join(map(visible, text.split("\n")))


def flag(name: str, value: str) -> str | None:
    r"""A flag to copy into a shell (`--name='value'`).

    Returns:
      None where the value has characters that cannot be copied from a terminal.

    Example:
      >>> flag("tags", "a b"), flag("tags", "a\x1b")
      ("--tags='a b'", None)
    """
    return f"--{name}={quoted(value)}" if value.isprintable() else None


def quoted(value: str) -> str:
    r"""A word of a shell's command that means `value` and nothing else.

    Example:
      >>> quoted("it's")
      '\'it\'"\'"\'s\''
    """
    import shlex

    return shlex.quote(value)


def csv_cell(value: object) -> str:
    """A cell of CSV that a spreadsheet shows and does not run: one that begins like a formula gets an apostrophe.

    Example:
      >>> csv_cell("=1+1"), csv_cell(-1)
      ("'=1+1", '-1')
    """
    text = visible(str(value))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and not isinstance(value, (int, float)) else text


def markdown_code(value: str) -> str:
    r"""A word of Markdown, also in a cell of a table, that is shown as it is: no link, no mention, no HTML.

    Example:
      >>> markdown_code("a|b")
      '`a\\|b`'
    """
    import re

    text = visible(value).replace("|", "\\|") or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    inner = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{inner}{fence}"
