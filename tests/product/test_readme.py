"""README's recipe for a fleet, each command run as it is written there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.conversions import MODELS

pytestmark = pytest.mark.tensorflow

_ROOT = pathlib.Path(__file__).parents[2]
_RECIPE = re.compile(r"^## A fleet in six commands\n\n((?: {4}migrate [^\n]*\n)+)", re.MULTILINE)


def _commands() -> list[str]:
    found = _RECIPE.search((_ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    return [line.partition("#")[0].strip() for line in found[1].splitlines()]


def test_the_recipe_has_six_commands():
    commands = _commands()
    assert len(commands) == 6
    assert [command.split()[1] for command in commands] == [
        "audit",
        "audit",
        "convert",
        "convert",
        "report",
        "validate",
    ]


def test_each_command_runs_as_it_is_written(tmp_path):
    """On a tree with a model that is ready, one that a flag makes ready, and one that is blocked."""
    for name in ("vocabulary", "unfed_training", "unknown_op"):
        shutil.copytree(MODELS / name, tmp_path / "MODELS" / name)
    program = tmp_path / "bin" / "migrate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m migrate "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
    }
    codes = []
    for command in _commands():
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        codes.append(done.returncode)
        if "--write_config" in command:  # The user looks at it, and says that one model is known to be blocked.
            config = tmp_path / "migrate.toml"
            text = config.read_text(encoding="utf-8")
            assert "[models.unfed_training]" in text or '[models."unfed_training"]' in text
            assert "refused: unknown-op" in text
            config.write_text(re.sub(r"(?m)^# (?=\[models\.|expect = )", "", text), encoding="utf-8")
    assert codes == [1, 0, 0, 0, 0, 0]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    ended = {pathlib.Path(model["source"]).name: model["outcome"] for model in report["models"]}
    assert ended == {"unfed_training": "converted", "unknown_op": "refused", "vocabulary": "converted"}
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert {model["outcome"] for model in again["models"]} == {"validated"}
