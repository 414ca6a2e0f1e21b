"""A Python that is too old is told so in a line."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from migrate.old_python import check
from tests.conversions import ROOT

_OLD = sorted(pathlib.Path.home().glob(".pyenv/versions/*/bin/python"))


def test_a_python_that_is_new_enough_goes_on():
    assert check(sys.version_info, ["-m"]) is None


def test_an_import_fails_with_the_reason():
    with pytest.raises(ImportError, match=r"^migrate needs Python 3\.10 or later, and this is Python 3\.9; "):
        check((3, 9, 1), ["program.py"])


def test_the_program_ends_with_the_reason(capsys):
    with pytest.raises(SystemExit) as ended:
        check((2, 7, 18), ["-c", "audit"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("migrate: needs Python 3.10 or later, and this is Python 2.7; ") and told.count("\n") == 1


@pytest.mark.process
@pytest.mark.skipif(not any("/3." in str(python) for python in _OLD), reason="no other Python on this machine")
@pytest.mark.parametrize("python", _OLD, ids=lambda python: python.parents[1].name)
def test_a_checkout_in_an_old_python(python):
    version = tuple(map(int, python.parents[1].name.split(".")[:2]))
    if version >= (3, 10):
        pytest.skip("new enough")
    done = subprocess.run(
        [str(python), "-B", "-m", "migrate", "audit", "x"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert f"this is Python {version[0]}.{version[1]};" in done.stderr
