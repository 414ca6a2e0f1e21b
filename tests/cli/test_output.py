"""Standard output and standard error."""

from __future__ import annotations

import pytest

from migrate.cli import output
from migrate.errors import InputError
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
