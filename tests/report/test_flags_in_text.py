"""Flags to copy in a sentence."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.report.flags_in_text import labelled, parts
from migrate.report.layout import UNBOUNDED, render


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("", []),
        ("load it with Keras", [("load it with Keras", False)]),
        ("--trust allows it", [("--trust allows it", False)]),  # A switch may be read in its sentence.
        ("--feed=x:0=1.0", [("--feed=x:0=1.0", True)]),
        ("give --a=1 --b='x y'.", [("give", False), ("--a=1 --b='x y'", True)]),
        (
            "give --a=1, or --b=2; see",
            [("give", False), ("--a=1", True), ("or", False), ("--b=2", True), ("see", False)],
        ),
        ("a/b--a=1 is a path", [("a/b--a=1 is a path", False)]),
        ('--s="a b"c rest', [('--s="a b"c', True), ("rest", False)]),
    ],
)
def test_a_text_is_divided_at_flags_that_have_values(sentence, expected):
    assert list(parts(sentence)) == expected


_VALUES = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1).filter(
    lambda v: "'" not in v and v.rstrip(".,:")
)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text("ab_", min_size=1), _VALUES), min_size=1, max_size=3))
def test_flags_that_a_shell_takes_are_found_whole(flags):
    words = [f"--{name}={shlex.quote(value)}" for name, value in flags]
    words = [word.rstrip(".,:") for word in words]
    found = [part for part, copied in parts(f"to do: pass {' '.join(words)} and see") if copied]
    assert found == [" ".join(words)]
    assert shlex.split(found[0]) == [shlex.split(word)[0] for word in words]


@given(st.text())
def test_no_text_is_lost(sentence):
    def letters(text: str) -> str:
        return "".join(char for char in text if char.isalnum())

    assert letters("".join(part for part, _ in parts(sentence))) == letters(sentence)


def test_a_flag_is_alone_in_its_line_behind_the_label():
    shown = render(labelled("hint", "pass --feed=x:0=1.0 or leave it\x1b[31m"), UNBOUNDED, color=False)
    assert shown.splitlines() == ["hint: pass", "  --feed=x:0=1.0", r"or leave it\x1b[31m"]
    shown = render(labelled("hint", "--feed=x:0=1.0 says it"), UNBOUNDED, color=False)
    assert shown.splitlines() == ["  --feed=x:0=1.0", "says it"]


def test_a_flag_is_not_broken_in_a_narrow_terminal():
    flag = "--signature='serving_default:inputs=x=x:0 y=y:0;outputs=z=z:0'"
    assert f"  {flag}" in render(labelled("hint", f"pass {flag} now"), 20, color=False).splitlines()
