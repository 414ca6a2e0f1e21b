"""What is there to be copied: the workflow, the hooks for models, the container, the notebook."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from migrate.cli.command_line import parse
from migrate.cli.verbs import find_verb
from tests.conversions import MODELS, QUIET, ROOT, programs

_WORKFLOW = ROOT / "examples" / "audit-models.yml"
_HOOKS = ROOT / ".pre-commit-hooks.yaml"
_NOTEBOOK = ROOT / "examples" / "api.ipynb"


def _workflow():
    # YAML 1.1 reads the key `on` as true.
    return yaml.safe_load(_WORKFLOW.read_text(encoding="utf-8").replace("\non:", '\n"on":'))


def _steps():
    return {step.get("name", step.get("uses")): step for step in _workflow()["jobs"]["audit"]["steps"]}


def test_the_workflow_may_do_little_and_uploads_also_after_a_failure():
    workflow = _workflow()
    assert workflow["permissions"] == {"contents": "read", "security-events": "write"}
    upload = _steps()["Upload the findings"]
    assert upload["if"].startswith("always()") and upload["with"]["sarif_file"] == "out/report.sarif"
    assert all(re.search(r"@v\d+$", step["uses"]) for step in _steps().values() if "uses" in step)


def test_the_workflow_puts_nothing_of_a_pull_request_into_a_script():
    assert not any("${{" in step.get("run", "") for step in _steps().values())


@pytest.mark.process
def test_the_workflow_audits_the_models_that_have_changed(tmp_path):
    tree = tmp_path / "models"
    for name in ("vocabulary", "unknown_op"):
        shutil.copytree(MODELS / name, tree / name)
    environment = {
        **os.environ,
        **programs(tmp_path / "bin", migrate="-m migrate"),
        "MODELS": "models",
        "BASE": "HEAD~1",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }

    def git(*arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def audited():
        script = ["bash", "-eo", "pipefail", "-c", _steps()["Audit what has changed"]["run"]]
        return subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)

    git("init", "-q")
    git("add", "models/unknown_op")
    git("commit", "-qm", "one")
    shutil.move(tree / "vocabulary", tree / "a model's name")
    git("add", "models")
    git("commit", "-qm", "two")
    done = audited()
    assert done.returncode == 0, done.stderr
    assert "1 model: 1 ready" in (tmp_path / "summary").read_text()
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [model["source"] for model in document["models"]] == ["models/a model's name"]
    (tree / "unknown_op" / "notes.txt").write_text("changed")
    git("add", "models")
    git("commit", "-qm", "three")
    assert audited().returncode == 1
    git("commit", "-qm", "four", "--allow-empty")
    assert "no model has changed" in audited().stdout


def test_the_hooks_are_commands_and_see_the_files_of_models():
    hooks = yaml.safe_load(_HOOKS.read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == ["migrate-audit", "migrate-audit-security"]
    for hook in hooks:
        program, verb, *flags = hook["entry"].split()
        assert program == "migrate" and not hook["pass_filenames"] and hook["language"] == "python"
        parse(verb, find_verb(verb).flags, [*flags, "models/"])
        files = re.compile(hook["files"])
        assert all(
            files.search(f"models/a/{name}") for name in ("saved_model.pb", "saved_model.pbtxt", "x.meta", "m.h5")
        )
        assert not files.search("models/a/README.md")


# The container.


def _instructions():
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    return [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_container_is_small_and_not_root():
    instructions = _instructions()
    last = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    final = instructions[last:]
    assert [rest for word, rest in final if word == "USER"] == ["1000"]
    assert [rest for word, rest in final if word == "COPY"] == ["--from=build /opt/migrate /opt/migrate"]
    assert final[0][1].endswith("-slim") and not any("apt-get" in rest for _, rest in instructions)
    assert ["ENTRYPOINT", '["migrate"]'] in final


def test_what_the_container_copies_is_there_and_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in _instructions() if word == "COPY" and "--from" not in rest]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists() and name in kept


def _linter(name):
    """The path of a linter, from PATH or from the environment of these tests (make linters)."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(name, path=path)


@pytest.mark.parametrize("linter, file", [("hadolint", ROOT / "Dockerfile"), ("actionlint", _WORKFLOW)])
def test_a_linter_finds_nothing(linter, file):
    program = _linter(linter)
    if program is None:
        pytest.skip(f"no {linter} on this machine (make linters)")
    done = subprocess.run([program, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# The notebook.


def _cells():
    notebook = json.loads(_NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    return notebook["cells"]


def test_the_notebook_is_stored_without_outputs():
    cells = _cells()
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_cells_of_the_notebook_run():
    program = "\n".join("".join(cell["source"]) for cell in _cells() if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", program + "\nprint('to the end')"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.endswith("to the end\n"), done.stderr
