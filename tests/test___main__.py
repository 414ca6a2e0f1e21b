"""The program starts, and ends, whatever its process lacks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from migrate import __main__ as program
from tests.conversions import ROOT


def _ended(monkeypatch, code):
    """Runs `run` with a `main` that is the function, and gives the exit code."""

    class _Exit(BaseException):
        pass

    def leave(number):
        raise _Exit(number)

    monkeypatch.setattr(program.os, "_exit", leave)
    monkeypatch.setattr(program.gc, "set_threshold", lambda _: None)
    monkeypatch.setattr(program, "leave_working_directory", lambda: None)
    monkeypatch.setattr("migrate.cli.main", code)
    with pytest.raises(_Exit) as caught:
        program.run()
    return caught.value.args[0]


def _raising(error):
    def main(_):
        raise error

    return main


def test_the_code_is_that_of_main(monkeypatch):
    seen = []
    assert _ended(monkeypatch, lambda arguments: seen.append(arguments) or 7) == 7
    assert seen == [sys.argv]


def test_an_interrupt_has_the_code_of_one(monkeypatch):
    assert _ended(monkeypatch, _raising(KeyboardInterrupt())) == 130


def test_what_the_process_lacks_is_one_line(monkeypatch, capfd):
    assert _ended(monkeypatch, _raising(MemoryError())) == 2
    assert capfd.readouterr().err == "migrate: not enough memory, or a limit on it (ulimit -v)\n"


def test_another_error_is_not_swallowed(monkeypatch):
    with pytest.raises(ImportError, match="no x"):
        _ended(monkeypatch, _raising(ImportError("no x")))


def test_streams_that_are_closed_are_opened_on_nothing():
    code = (
        "import os\n"
        "from migrate.__main__ import _occupy\n"
        "os.close(0); os.close(1)\n"
        "_occupy()\n"
        "handle = os.open('/', os.O_RDONLY)\n"
        "import stat\n"
        "assert handle > 2 and all(stat.S_ISCHR(os.fstat(number).st_mode) for number in (0, 1)), handle\n"
        "assert os.read(0, 1) == b''\n"
        "os.write(1, b'x')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
