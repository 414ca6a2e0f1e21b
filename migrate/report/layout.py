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
      wrapped: whether lines may be broken to fit.
      words_broken: whether a word that is longer than a line may be broken, too. One that is to be copied may not.
    """

    spans: tuple[Span, ...]
    wrapped: bool = True
    words_broken: bool = True


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
      right: positions of the columns whose text stands at their right edge.
    """

    rows: tuple[tuple[Text, ...], ...]
    fixed: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()


Block = Text | Indented | Table


def text(content: str, style: str = "", wrapped: bool = True) -> Text:
    """A text in one style."""
    return Text(((content, style),), wrapped)


def render(blocks: Iterable[Block], width: int, color: bool) -> str:
    """Gives blocks as lines without trailing spaces, of at most `width` columns save where text is not wrapped."""
    return "".join(_spell(line, color) + "\n" for block in blocks for line in _lines(block, width))


def _spell(line: Line, color: bool) -> str:
    if not color:
        return "".join(part for part, _ in line).rstrip()
    spelt = "".join(_colored(part, style) if style else part for part, style in line)
    return spelt.rstrip()


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
        ranges = _wrapped(paragraph, width, block.words_broken) if block.wrapped else [(0, len(paragraph))]
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


def _wrapped(paragraph: str, width: int, words_broken: bool) -> list[tuple[int, int]]:
    """Where the lines of a paragraph begin and end: broken at spaces, and inside long words if wanted."""
    if cells(paragraph) <= width:
        return [(0, len(paragraph))]
    ranges: list[tuple[int, int]] = []
    first, last = 0, 0
    for word in re.finditer(r"\S+", paragraph):
        if last > first and cells(paragraph[first : word.end()]) > width:
            ranges.append((first, last))
            first = word.start()
        while words_broken and cells(paragraph[first : word.end()]) > width:
            cut = _fitting(paragraph, first, word.end(), width)
            ranges.append((first, cut))
            first = cut
        last = word.end()
    return [*ranges, (first, last)] if first < last else ranges


def _fitting(paragraph: str, first: int, last: int, width: int) -> int:
    """The end of what fits into a line; at least a character is taken, however wide."""
    if paragraph.isascii():
        return first + width
    end = first + 1
    while end < last and cells(paragraph[first : end + 1]) <= width:
        end += 1
    return end


def cells(line: str) -> int:
    """How many columns of a terminal a line takes."""
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
