"""Standard output and standard error."""

from __future__ import annotations

import sys

import pytest

from migrate.cli import output
from migrate.errors import InputError, UsageError
from migrate.report.layout import UNBOUNDED
from tests.cli.fake_api import run


@pytest.mark.parametrize(
    ("environment", "terminal", "colored"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_who_gets_color(environment, terminal, colored, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(output, "is_terminal", lambda _: terminal)
    assert output.wants_color() is colored


def test_what_the_stream_cannot_encode_is_spelled_out(calls, capsys):
    calls.answer = InputError("bad \udcff path")
    assert run("audit model") == 2
    assert capsys.readouterr().err == "migrate: bad \\udcff path\n"


def test_what_is_piped_is_not_broken_and_a_terminal_has_its_width(monkeypatch):
    monkeypatch.setattr(output, "is_terminal", lambda _: False)
    assert output.columns() == UNBOUNDED
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "72")
    assert output.columns() == 72


def test_a_text_is_written_as_it_is_and_a_line_without_orders(capsys):
    assert output.put("a\nb", 7) == 7
    output.say("c\x1b[31m")
    assert capsys.readouterr() == ("a\nb", "c\\x1b[31m\n")


def test_streams_that_are_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    for write in (output.check_standard_output, lambda: output.put("text")):
        with pytest.raises(UsageError, match="standard output is closed"):
            write()
    output.say("there is nobody to tell")
    assert not output.is_terminal(None)
