"""`migrate inputs MODEL`."""

from __future__ import annotations

import json
import sys

from migrate import api
from tests.cli.fake_api import run
from tests.conversions import MODELS


def test_it_prints_calls_and_nothing_else(capsys):
    assert run(f"inputs {MODELS / 'simple_save'}") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) and err == ""


def test_what_is_to_be_known_goes_to_standard_error_and_flags_are_heard(monkeypatch, capsys):
    asked = []

    def inputs(model, options, progress):
        asked.append((model, options.take_proposals))
        progress("a note")
        return "{}\n"

    monkeypatch.setattr(api, "inputs", inputs)
    assert run("inputs m --take_proposals") == 0
    assert capsys.readouterr() == ("{}\n", "migrate: a note\n")
    assert asked == [("m", True)]


def test_nothing_is_read_where_nobody_can_see_it(monkeypatch, capsys):
    monkeypatch.setattr(api, "inputs", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(sys, "stdout", None)
    assert run("inputs m") == 2
    assert "standard output is closed" in capsys.readouterr().err
