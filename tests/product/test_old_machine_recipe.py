"""docs/old-machine.md: each command that is not marked is run as it is written there."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from migrate.verify.golden import load_golden
from tests.conversions import QUIET, ROOT, programs

_TEXT = (ROOT / "docs" / "old-machine.md").read_text(encoding="utf-8")
_MARK = "# not run by the test"


def _commands() -> list[str]:
    return re.findall(r"^ {4}\$ (.*)$", _TEXT, re.MULTILINE)


def test_every_command_is_run_or_marked():
    commands = _commands()
    assert len(commands) == 7
    assert [command.split()[1] for command in commands if _MARK in command] == ["validate"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_recipe(tmp_path):
    (tmp_path / "testdata").symlink_to(ROOT / "testdata")
    started = programs(tmp_path / "bin", migrate="-m migrate", python="-W ignore")
    environment = {**os.environ, **QUIET, **started}
    for command in _commands():
        if _MARK in command:
            continue
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if command.startswith(("migrate convert", "migrate validate")):
            assert re.search(r"golden file +golden\.npz \(TensorFlow 2\.", done.stdout), done.stdout
    first, second = (load_golden(str(tmp_path / name)) for name in ("golden.npz", "golden2.npz"))
    assert first.model == second.model
