"""Flags to copy in a sentence: a hint says which flag helps, and a person copies the line in which it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrate.escapes import visible
from migrate.report.layout import Text, text

_WORD = r"""(?:'[^']*'|"[^"]*"|[\w@%+=:,./-])+"""
_FLAGS = re.compile(rf"(?<!\S)--\w+={_WORD}(?:\s+--\w+={_WORD})*")


def parts(sentence: str) -> Iterator[tuple[str, bool]]:
    """Divides a text at the flags that have values.

    Args:
      sentence: one or more of them, with flags as a shell takes them.

    Yields:
      Each part, and whether it is flags to copy. Flags that follow each other are one part.

    Example:
      >>> list(parts("give it a value: --feed=x:0=1.0 (or --take_proposals)"))
      [('give it a value:', False), ('--feed=x:0=1.0', True), ('(or --take_proposals)', False)]
    """
    place = 0
    for found in _FLAGS.finditer(sentence):
        flags = found[0].rstrip(".,:")
        yield from _sentence(sentence[place : found.start()])
        yield flags, True
        place = found.start() + len(flags)
    yield from _sentence(sentence[place:])


def _sentence(part: str) -> Iterator[tuple[str, bool]]:
    words = part.strip()
    if words.strip(".,;:"):
        yield words.lstrip(",;").strip(), False


def labelled(label: str, sentence: str) -> Iterator[Text]:
    """A sentence behind a label; flags to copy are alone in lines, for what is around them would be copied as well."""
    first = True
    for part, copied in parts(sentence):
        lead = f"{label}: " if first and not copied else "  " if copied else ""
        yield text(f"{lead}{visible(part)}", wrapped=not copied)
        first = False
