"""Flags to copy in a sentence: a hint says which flag helps, and a person copies the line in which it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = r"""(?:'[^']*'|"[^"]*"|[\w@%+=:,./-])+"""
_FLAGS = re.compile(rf"(?<!\S)--\w+={_WORD}(?:\s+--\w+={_WORD})*")


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """Divides a text at the flags that have values.

    Args:
      text: one or more sentences, with flags as a shell takes them.

    Yields:
      Each part, and whether it is flags to copy. Flags that follow each other are one part.

    Example:
      >>> list(parts("give it a value: --feed=x:0=1.0 (or --take_proposals)"))
      [('give it a value:', False), ('--feed=x:0=1.0', True), ('(or --take_proposals)', False)]
    """
    place = 0
    for found in _FLAGS.finditer(text):
        flags = found[0].rstrip(".,:")
        yield from _sentence(text[place : found.start()])
        yield flags, True
        place = found.start() + len(flags)
    yield from _sentence(text[place:])


def _sentence(text: str) -> Iterator[tuple[str, bool]]:
    words = text.strip()
    if words.strip(".,;:"):
        yield words.lstrip(",;").strip(), False
