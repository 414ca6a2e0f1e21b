"""What a fresh interpreter loads: a program that takes seconds to say how it is used is not used."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_SECONDS

_LIST = """
import sys
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def _loaded(code):
    """Gives the packages beside the standard library that `code` loads in a fresh interpreter."""

    def packages(code):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\n{_LIST}"],
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        return set(done.stderr.split())

    # A virtual environment may load packages of its own at start.
    return packages(code) - packages("pass") - set(sys.stdlib_module_names)


def _program(*arguments):
    return f"from migrate.cli import main\nassert main(['migrate', *{arguments!r}]) == 0"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import migrate", {"migrate"}),
        (_program("--help"), {"migrate"}),
        (_program("--version"), {"migrate"}),
        (_program("help", "convert"), {"migrate"}),
        (_program("audit", "--help"), {"migrate"}),
    ],
)
def test_what_may_be_imported_at_start(code, allowed):
    assert _loaded(code) == allowed


_SIMPLE = str(pathlib.Path(__file__).parents[2] / "testdata" / "models" / "simple_save")


def test_what_an_audit_may_import():
    """Flags, the protos (of the package tensorflow nothing else) and checksums, of which an audit is mostly made."""
    assert _loaded(_program("audit", _SIMPLE)) == {"migrate", "absl", "google", "google_crc32c", "tensorflow"}


_SLOW = ("tensorflow.python", "tarfile", "zipfile", "multiprocessing", "concurrent", "platform", "signal")


@pytest.mark.slow
@pytest.mark.parametrize("slow", _SLOW)
def test_what_an_audit_does_not_import(slow):
    subprocess.run(
        [sys.executable, "-c", f"import sys\n{_program('audit', _SIMPLE)}\nassert {slow!r} not in sys.modules"],
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
        check=True,
    )


def test_reports_are_written_without_tensorflow():
    code = (
        "from migrate.records import Report\n"
        "from migrate.report.text import render\n"
        "from migrate.report.json import to_json\n"
        "render(Report(()), 80), to_json(Report(()))"
    )
    assert not _loaded(code) & {"tensorflow", "numpy", "google", "rich"}


def test_importing_registers_no_absl_flag():
    code = (
        "from absl import flags\n"
        "before = set(flags.FLAGS)\n"
        "import migrate\n"
        "from migrate.cli import main\n"
        "main(['migrate', 'convert', '--help'])\n"
        "assert set(flags.FLAGS) == before\n"
    )
    assert _loaded(code) == {"absl", "migrate"}
