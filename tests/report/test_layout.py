from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from migrate.report.layout import Indented, Table, Text, render, text, unbroken


def _lines(block, width, color=False):
    return render([block], width, color).splitlines()


def test_words_stay_whole():
    assert _lines(text("one two three"), 7) == ["one two", "three"]
    assert _lines(text("a bcdefghijk l"), 4) == ["a", "bcdefghijk", "l"]
    assert _lines(text("give it --feed='a b'\"c d\"=1 or not"), 8) == ["give it", "--feed='a b'\"c d\"=1", "or not"]


def test_a_name_with_spaces_stays_whole():
    assert _lines(text(f"in {unbroken('a b c')} and"), 4) == ["in", "a b c", "and"]
    table = Table(((text(unbroken("a b")), text("x")), (text("abcd"), text("y"))))
    assert _lines(table, 20) == ["a b   x", "abcd  y"]


def test_every_newline_begins_a_line_and_indentation_is_kept():
    assert _lines(text("a\n\n  b c"), 5) == ["a", "", "  b c"]


def test_what_may_not_be_wrapped_is_one_line_however_long():
    assert _lines(text("a b c", wrapped=False), 2) == ["a b c"]


def test_a_style_goes_on_in_the_next_line():
    styled = Text((("ab ", "bold"), ("cd ef", "bold red")))
    assert _lines(styled, 5, color=True) == ["\x1b[1mab \x1b[0m\x1b[1;31mcd\x1b[0m", "\x1b[1;31mef\x1b[0m"]


def test_a_character_of_two_columns_counts_as_two():
    assert _lines(text("日 本 語"), 5) == ["日 本", "語"]
    table = Table(((text("日本"), text("x")), (text("abc"), text("y"))))
    assert _lines(table, 20) == ["日本  x", "abc   y"]


def test_a_character_wider_than_the_line_still_comes():
    assert _lines(text("日 本"), 1) == ["日", "本"]


def test_columns_are_as_wide_as_their_widest_cell():
    table = Table(((text("a"), text("1")), (text("bcd"), text("22"))), right=frozenset({1}))
    assert _lines(Indented(table), 20) == ["  a     1", "  bcd  22"]


def test_the_widest_column_gives_way_and_a_fixed_one_does_not():
    table = Table(((text("fixed fixed"), text("one two three four"), text("ab")),), fixed=frozenset({0}))
    assert _lines(table, 26) == ["fixed fixed  one two    ab", "             three", "             four"]


def test_an_empty_table_has_no_line():
    assert _lines(Table(()), 20) == []


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")), min_size=1, max_size=3)))
def test_nothing_is_lost_and_nothing_is_wider_than_the_room(rows):
    count = min(map(len, rows), default=0)
    table = Table(tuple(tuple(map(text, row[:count])) for row in rows))
    shown = _lines(table, 20)
    # A word is not broken, and a column is at least one cell wide, a character perhaps two.
    longest = max((cell_len(word) for row in rows for cell in row for word in cell.split()), default=0)
    assert all(cell_len(line) <= 20 + count * (1 + longest) for line in shown)
    squeezed = sorted(re.sub(r"\s", "", "".join(shown)))
    assert squeezed == sorted(re.sub(r"\s", "", "".join("".join(row[:count]) for row in rows)))
