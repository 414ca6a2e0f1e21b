"""docs/contrib.md: each command that is not marked is run as it is written there."""

from __future__ import annotations

import re
import shlex

import pytest

from migrate import cli
from tests.conversions import ROOT

_TEXT = (ROOT / "docs" / "contrib.md").read_text(encoding="utf-8")
_MARK = "# not run by the test"
_COMMANDS = re.findall(r"^ {4}\$ (.*)$", _TEXT, re.MULTILINE)


def test_every_command_is_run_or_marked():
    assert [command.split()[1] for command in _COMMANDS if _MARK not in command] == ["audit", "convert"]
    assert len(_COMMANDS) == 6


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_recipe(tmp_path, monkeypatch, capsys):
    (tmp_path / "testdata").symlink_to(ROOT / "testdata")
    monkeypatch.chdir(tmp_path)
    for command in _COMMANDS:
        if _MARK not in command:
            assert cli.main(shlex.split(command)) == 0, capsys.readouterr()
    assert (tmp_path / "new" / "saved_model.pb").exists()
