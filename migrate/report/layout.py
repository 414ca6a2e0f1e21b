"""Text in lines and columns: words wrapped, tables as wide as there is room for, styles as ANSI codes.

A report needs this much of what rich can do, and importing rich takes a fifth of the time of an audit; the live
display, which is for people who wait, is made of rich (`report/live.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from migrate.frozen import frozen

_ANSI = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_GAP = 2  # columns between two columns of a table

Span = tuple[str, str]
"""Text in one line, and its style: words of `_ANSI`, or nothing."""
Line = tuple[Span, ...]


@frozen
class Text:
    """A paragraph, or several that newlines part.

    Attributes:
      spans: its parts and their styles.
      wrapped: whether lines may be broken to fit. A word never is: it may be a name, a path or a flag to copy.
    """

    spans: tuple[Span, ...]
    wrapped: bool = True


@frozen
class Indented:
    """A text or a table, two columns to the right."""

    block: Text | Table


@frozen
class Table:
    """Rows of cells under one another.

    Attributes:
      rows: of as many cells each as there are columns; a row's missing cells are empty.
      fixed: positions of the columns that are never made narrower.
      right: positions of the columns whose text is right-aligned.
    """

    rows: tuple[tuple[Text, ...], ...]
    fixed: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()


Block = Text | Indented | Table

UNBOUNDED = 1 << 30
"""The width of what is read by programs, and by people with tools of their own: no line is broken."""
_SPACE_IN_NAME = "\xa0"  # No text has it: `escapes.visible` writes it as an escape.


def unbroken(name: str) -> str:
    """A name or path, made of characters that print, between whose parts no line is broken."""
    return name.replace(" ", _SPACE_IN_NAME)


def text(content: str, style: str = "", wrapped: bool = True) -> Text:
    """A text in one style."""
    return Text(((content, style),), wrapped)


def render(blocks: Iterable[Block], width: int, color: bool) -> str:
    """Gives blocks as lines without trailing spaces, of at most `width` columns except where a word is longer."""
    return "".join(_spell(line, color) + "\n" for block in blocks for line in _lines(block, width))


def _spell(line: Line, color: bool) -> str:
    spelt = "".join(_colored(part, style) if style and color else part for part, style in line)
    return spelt.rstrip(" ").replace(_SPACE_IN_NAME, " ")


def _colored(part: str, style: str) -> str:
    return f"\x1b[{';'.join(_ANSI[word] for word in style.split())}m{part}\x1b[0m"


def _lines(block: Block, width: int) -> Iterator[Line]:
    match block:
        case Text():
            yield from _text_lines(block, width)
        case Indented(inner):
            for line in _lines(inner, max(1, width - _GAP)):
                yield ((" " * _GAP, ""), *line)
        case Table():
            yield from _table_lines(block, width)


# Texts.


def _text_lines(block: Text, width: int) -> Iterator[Line]:
    whole = "".join(part for part, _ in block.spans)
    start = 0
    for paragraph in whole.split("\n"):
        ranges = _wrapped(paragraph, width) if block.wrapped else [(0, len(paragraph))]
        for first, last in ranges:
            yield _between(block.spans, start + first, start + last)
        start += len(paragraph) + 1


def _between(spans: Sequence[Span], first: int, last: int) -> Line:
    """The part of a text from one character to another, in its styles."""
    found = []
    position = 0
    for part, style in spans:
        inside = part[max(0, first - position) : max(0, last - position)]
        if inside:
            found.append((inside, style))
        position += len(part)
    return tuple(found)


_WORD = re.compile(rf"--\w+=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+|[^\s]+(?:{_SPACE_IN_NAME}+[^\s]+)*")
"""A shell's words are one, with all that is between their quotes."""


def _wrapped(paragraph: str, width: int) -> list[tuple[int, int]]:
    """Where the lines of a paragraph begin and end: broken at spaces."""
    if cells(paragraph) <= width:
        return [(0, len(paragraph))]
    ranges: list[tuple[int, int]] = []
    first, last = 0, 0
    for word in _WORD.finditer(paragraph):
        if last > first and cells(paragraph[first : word.end()]) > width:
            ranges.append((first, last))
            first = word.start()
        last = word.end()
    return [*ranges, (first, last)] if first < last else ranges


def cells(line: str) -> int:
    """How many columns of a terminal a line takes."""
    line = line.replace(_SPACE_IN_NAME, " ")
    if line.isascii():
        return len(line)
    from rich.cells import cell_len  # It knows which characters take two columns and which none.

    return cell_len(line)


# Tables.


def _table_lines(table: Table, width: int) -> Iterator[Line]:
    count = max((len(row) for row in table.rows), default=0)
    wanted = [max((_width(row[at]) for row in table.rows if at < len(row)), default=0) for at in range(count)]
    widths = _narrowed(wanted, table.fixed, width - _GAP * (count - 1))
    for row in table.rows:
        columns = [list(_lines(cell, widths[at])) for at, cell in enumerate(row)]
        for at in range(max(map(len, columns))):
            parts = [column[at] if at < len(column) else () for column in columns]
            yield tuple(span for place, part in enumerate(parts) for span in _padded(part, widths, place, table.right))


def _padded(line: Line, widths: Sequence[int], place: int, right: frozenset[int]) -> Iterator[Span]:
    blank = (" " * (widths[place] - sum(cells(part) for part, _ in line)), "")
    if place:
        yield (" " * _GAP, "")
    yield from (blank, *line) if place in right else (*line, blank)


def _width(cell: Text) -> int:
    """How wide a cell wants to be."""
    return max(map(cells, "".join(part for part, _ in cell.spans).split("\n")))


def _narrowed(wanted: Sequence[int], fixed: frozenset[int], room: int) -> list[int]:
    """Takes from the widest columns that may be narrower, until all fit or none may."""
    widths = list(wanted)
    excess = sum(widths) - room
    while excess > 0:
        free = [at for at in range(len(widths)) if at not in fixed and widths[at] > 1]
        if not free:
            break
        widest = max(widths[at] for at in free)
        tops = [at for at in free if widths[at] == widest]
        below = max((widths[at] for at in free if widths[at] < widest), default=1)
        taken = min(excess, len(tops) * (widest - below))
        for number, at in enumerate(tops):
            widths[at] -= taken // len(tops) + (number < taken % len(tops))
        excess -= taken
    return widths
