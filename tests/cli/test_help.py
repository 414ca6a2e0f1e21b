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


@pytest.mark.parametrize("verb", ["explain", "completion", "inputs", "record", "config", "report", "runtime"])
def test_a_command_that_judges_no_model_has_codes_of_its_own(verb, capsys):
    assert run(f"{verb} --help") == 0
    codes = capsys.readouterr().out.partition("exit codes\n")[2]
    assert "every model is good" not in codes and "models that are finished" not in codes
    assert ("\n  1 " in codes) == (verb in ("report", "runtime"))
    for code in (0, 2, 3, 130):
        assert re.search(rf"^  {code} +\w", codes, re.MULTILINE)


def test_no_flag_is_told_by_one_that_help_has_below(capsys):
    """Flags of a group are in the order of the alphabet."""
    assert run("convert --help") == 0
    own = capsys.readouterr().out.partition("--import_module=")[2].partition("--op_library=")[0]
    assert "tensorflow_text" in own and "--op_library" not in own


def test_a_default_is_a_word_that_the_flag_takes(capsys):
    """`--variables` has no value by default, which is called `none`, as on the command line."""
    assert run("convert --help") == 0
    told = capsys.readouterr().out
    assert "--[no]variables=none|weights|large  (default: none)" in told
    assert "(default: False)" not in told
