"""The help texts."""

from __future__ import annotations

import re

import pytest

from tests.cli.fake_api import run


@pytest.mark.parametrize("line", ["--help", "-h", "help"])
def test_help(line, capsys):
    assert run(line) == 0
    out, err = capsys.readouterr()
    assert "migrate convert SOURCE DESTINATION [FLAGS]" in out
    assert err == ""


@pytest.mark.parametrize("verb", ["audit", "convert", "validate"])
@pytest.mark.parametrize("line", ["{} --help", "help {}", "{} -h", "{} some operand --help"])
def test_help_of_a_verb(verb, line, calls, capsys):
    assert run(line.format(verb)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: migrate {verb} ")
    assert "--format=text" in out
    assert max(map(len, out.splitlines())) <= 100
    for code in (0, 1, 2, 3, 130):
        assert re.search(rf"^  {code} +\w", out, re.MULTILINE)
    assert out.count(f"\n  migrate {verb} ") == 2
    assert not calls


def test_a_default_is_a_word_that_the_flag_takes(capsys):
    """`--variables` has no value by default, which is called `none`, as on the command line."""
    assert run("convert --help") == 0
    told = capsys.readouterr().out
    assert "--[no]variables=none|weights|large  (default: none)" in told
    assert "(default: False)" not in told
