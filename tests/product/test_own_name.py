"""The distribution is `tf1-migrate`, and another package named `migrate` in its place is told."""

from __future__ import annotations

import configparser
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import migrate
from migrate.cli.verbs import VERBS
from migrate.finding_codes import FOLDERS
from migrate.versions import DISTRIBUTION, VERSION
from tests.conversions import ROOT
from tests.waiting import PATIENCE_SECONDS


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_the_name_and_the_version_are_said_once():
    metadata = _setup()["metadata"]
    assert (metadata["name"], metadata["version"]) == (DISTRIBUTION, "attr: migrate.versions.VERSION")
    assert migrate.__version__ == VERSION
    assert "Python :: 3.13" in metadata["classifiers"]


def test_nothing_tells_to_install_the_package_of_somebody_else():
    files = [*(ROOT / "migrate").rglob("*.py"), *(ROOT / "migrate").rglob("*.md")]
    for file in files:
        assert not re.search(r"(?<!tf1-)\bmigrate\[\w+\]|pip install '?migrate\b", file.read_text(encoding="utf-8")), (
            file
        )


_FAKE = {
    "package": "__version__ = '0.13.0'\n",
    "broken": "raise ImportError('No module named \\'sqlalchemy\\'', name='migrate.exceptions')\n",
}


@pytest.mark.parametrize("kind", _FAKE)
def test_another_package_in_its_place_is_told(kind, tmp_path):
    (tmp_path / "migrate").mkdir()
    (tmp_path / "migrate" / "__init__.py").write_text(_FAKE[kind])
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import tf1_migrate; tf1_migrate.run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("migrate: another package named 'migrate' is in the place of tf1-migrate (")
    assert done.stderr.count("\n") == 1


def test_a_file_of_the_other_one_over_this_one_is_told(tmp_path):
    """Both were installed into one environment, and the last one's `__init__.py` is what is there."""
    shutil.copytree(ROOT / "migrate", tmp_path / "migrate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tf1_migrate.py", tmp_path)
    (tmp_path / "migrate" / "__init__.py").write_text(_FAKE["package"])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tf1_migrate.py"), "--version"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 2 and "sqlalchemy-migrate" in done.stderr


def test_the_command_starts_the_program():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tf1_migrate.py"), "--version"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"migrate {VERSION} (Python ")


@pytest.mark.slow
def test_a_wheel_has_all_that_is_needed(tmp_path):
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("wheel") is None:
        pytest.skip("needs setuptools and wheel")
    source = tmp_path / "source"
    for name in ("migrate", "setup.py", "setup.cfg", "tf1_migrate.py", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--quiet",
            "-w",
            str(tmp_path),
            ".",
        ],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = pathlib.Path(tmp_path).glob("*.whl")
    assert wheel.name.startswith(f"tf1_migrate-{VERSION}-")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"tf1_migrate.py", "migrate/py.typed", *(f"migrate/{folder}/findings.md" for folder in FOLDERS)} <= names
    assert {f"migrate/{package.name}/__init__.py" for package in (ROOT / "migrate").iterdir() if package.is_dir()} - {
        "migrate/__pycache__/__init__.py"
    } <= names
    assert VERBS
