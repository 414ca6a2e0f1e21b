"""README's recipe and the one of docs/recipes/fleets.md, each command run as it is written there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.conversions import MODELS, QUIET, ROOT, programs

_README = (ROOT / "README.md").read_text(encoding="utf-8")
_FLEETS = (ROOT / "docs" / "recipes" / "fleets.md").read_text(encoding="utf-8")
_RECIPE = re.compile(r"^## Six commands\n\n((?: {4}\$ migrate [^\n]*\n)+)", re.MULTILINE)


def _commands() -> list[str]:
    found = _RECIPE.search(_FLEETS)
    assert found is not None
    return [line.partition("#")[0].strip().removeprefix("$ ") for line in found[1].splitlines()]


def _shown() -> dict[str, str]:
    """README's commands, each with the output that stands below it."""
    blocks = re.findall(r"^ {4}\$ (migrate [^\n]*)\n((?: {4}[^\n]*\n|\n)*)", _README, re.MULTILINE)
    return {command: re.sub(r"(?m)^ {4}", "", output).strip("\n") + "\n" for command, output in blocks}


def test_the_recipe_has_six_commands_and_readme_shows_four_of_them():
    commands = _commands()
    assert [command.split()[1] for command in commands] == [
        "audit",
        "audit",
        "convert",
        "convert",
        "report",
        "validate",
    ]
    assert [command.split()[1] for command in _shown()] == ["audit", "audit", "convert", "validate"]
    assert set(_shown()) <= set(commands)


def test_readme_is_short():
    assert len(_README.splitlines()) < 150


@pytest.mark.slow
@pytest.mark.tensorflow
def test_each_command_runs_as_it_is_written(tmp_path):
    """On a tree with a model that is ready, one that a flag makes ready, and one that is blocked."""
    for name in ("vocabulary", "unfed_training", "unknown_op"):
        shutil.copytree(MODELS / name, tmp_path / "MODELS" / name)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
        **QUIET,
        **programs(tmp_path / "bin", migrate="-m migrate"),
    }
    codes = []
    printed = {}
    for command in _commands():
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        codes.append(done.returncode)
        printed[command] = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
        if "--write_config" in command:  # The user looks at it, and says that one model is known to be blocked.
            config = tmp_path / "migrate.toml"
            text = config.read_text(encoding="utf-8")
            shown = re.search(r"(?: {4}# unfed.*\n)(?: {4}.*\n|\n(?= {4}))+", _README)
            assert re.sub(r"(?m)^ {4}", "", shown[0]) in text
            assert "refused: unknown-op" in text
            config.write_text(re.sub(r"(?m)^# (?=\[models\.|expect = )", "", text), encoding="utf-8")
    assert codes == [1, 0, 0, 0, 0, 0]
    assert {command: printed[command] for command in _shown()} == _shown()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    ended = {pathlib.Path(model["source"]).name: model["outcome"] for model in report["models"]}
    assert ended == {"unfed_training": "converted", "unknown_op": "refused", "vocabulary": "converted"}
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert {model["outcome"] for model in again["models"]} == {"validated"}
