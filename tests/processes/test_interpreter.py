"""interpreter.py: no child takes code from the working directory, whatever PYTHONPATH says."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from migrate.processes import interpreter
from tests.conversions import ROOT

pytestmark = pytest.mark.process

_PLANTED = (
    *("pickle", "json", "re", "os", "io", "codecs", "site", "enum", "importlib", "typing", "dataclasses", "tempfile"),
    *("sitecustomize", "usercustomize", "tensorflow", "numpy", "google", "h5py", "absl", "tests", "migrate"),
)
_PYTHONPATHS = ("", "/x:", ":", ":/x", "/x::/y", ".", "/x:.", "./", "..:.", "{here}", "{here}/../{name}")
_PROGRAM = """
import sys
def main(arguments):
    import codecs, dataclasses, enum, importlib.util, io, json, os, pickle, re, tempfile, typing
    for name in ("tensorflow", "numpy", "sitecustomize", "h5py"):
        spec = importlib.util.find_spec(name)
        assert spec is None or os.path.dirname(spec.origin) != os.getcwd(), spec
    print(os.getcwd() in sys.path, "" in sys.path, arguments)
    return 0
"""


def _pythons():
    """This interpreter, and every other one of this machine that can be had by its version."""
    found = {sys.executable}
    for minor in (10, 13):
        found.add(shutil.which(f"python3.{minor}"))
        found |= {str(p) for p in pathlib.Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")}
    return sorted(
        python for python in filter(None, found) if subprocess.run([python, "-V"], capture_output=True).returncode == 0
    )


@pytest.fixture
def planted(tmp_path):
    """A directory in which every module that anybody imports leaves a mark, and how to see it.

    Python 3.10 imports `codecs` before it can encode the name or the text of a file.
    """
    here = tmp_path / "models"
    here.mkdir()
    opened = f"posix.open({os.fsencode(tmp_path / 'mark')!r}, posix.O_CREAT | posix.O_APPEND | posix.O_WRONLY)"
    for name in _PLANTED:
        (here / f"{name}.py").write_text(f"import posix\nposix.write({opened}, b'{name} ')\n")
    return here, tmp_path / "mark"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `migrate` with a program in it, for interpreters in which nothing is installed."""
    package = tmp_path / "library" / "migrate"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "program.py").write_text(_PROGRAM)
    monkeypatch.setattr(interpreter, "__file__", str(package / "processes" / "interpreter.py"))


@pytest.mark.parametrize("pythonpath", _PYTHONPATHS)
@pytest.mark.parametrize("python", _pythons())
def test_nothing_is_imported_from_the_working_directory(python, pythonpath, planted, package, monkeypatch):
    here, mark = planted
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "executable", python)
    pythonpath = pythonpath.format(here=here, name=here.name)
    environment = interpreter.environment({**os.environ, "PYTHONPATH": pythonpath})
    command = interpreter.command("migrate.program", ["a", "b"])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False ['a', 'b']\n", done.stderr
    assert not mark.exists()


def test_the_marks_are_left_where_python_is_started_otherwise(planted, package, monkeypatch):
    """What the test above asserts could else not fail."""
    here, mark = planted
    program = f"import sys; sys.path.insert(1, {str(pathlib.Path(interpreter.__file__).parents[2])!r}); import tempfile"
    for environment in ({}, {"PYTHONPATH": "/x:"}):
        mark.unlink(missing_ok=True)
        for arguments in (["-c", program], ["-m", "json.tool", "--help"]):
            subprocess.run([sys.executable, *arguments], cwd=here, env={**os.environ, **environment}, timeout=60)
        assert mark.exists()


def test_entries_of_the_user_stay(tmp_path, monkeypatch):
    (tmp_path / "here" / "lib").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for given, kept in (("lib:/a", f"{tmp_path}/here/lib:/a"), ("/a::/b:", "/a:/b"), ("/a", "/a")):
        assert interpreter.environment({"PYTHONPATH": given, "X": "y"}) == {"PYTHONPATH": kept, "X": "y"}
    for given in ("", ":", ".", f"{tmp_path}/here"):
        assert interpreter.environment({"PYTHONPATH": given}) == {}


def test_the_interpreters_own_library_stays_where_it_is_the_working_directory(package, monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.__file__))
    command = interpreter.command("migrate.program", [])
    done = subprocess.run(command, env=interpreter.environment(os.environ), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_package_is_the_parents(monkeypatch, tmp_path):
    """Another one of that name, installed or found first, is not taken."""
    other = tmp_path / "migrate"
    other.mkdir()
    (other / "__init__.py").write_text("raise SystemExit(9)")
    environment = interpreter.environment({**os.environ, "PYTHONPATH": str(tmp_path)})
    command = interpreter.command("migrate.cli", [])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "say what to do" in done.stderr) == (2, True)


@pytest.mark.tensorflow
@pytest.mark.parametrize("pythonpath", ["/x:", ":"])
def test_a_conversion_in_a_strangers_directory(pythonpath, planted, tmp_path):
    """The program as users start it; what PYTHONPATH itself lets its own interpreter import, nobody can undo."""
    here, mark = planted
    shutil.copytree(ROOT / "testdata" / "models" / "simple_save", here / "m")
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if p not in ('', sys.argv[1])];"
        f"sys.path.append({str(ROOT)!r});"
        f"import os; os.chdir(sys.argv[1]); os.environ['PYTHONPATH'] = {pythonpath!r};"
        "sys.argv[:] = ['migrate', 'convert', 'm', sys.argv[2]];"
        "from migrate.__main__ import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(here), str(tmp_path / "new")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not mark.exists()
