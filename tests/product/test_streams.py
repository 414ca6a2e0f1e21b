"""Streams that are closed, full or cut off, and limits that are too low: one line, no traceback, a fit exit code."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from migrate.errors import starved
from tests.conversions import MODELS

pytestmark = pytest.mark.process

_PROGRAM = f"{sys.executable} -m migrate"
_MODEL = MODELS / "vocabulary"


def _shell(command: str, folder: pathlib.Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line; `migrate` is the program."""
    done = subprocess.run(
        ["bash", "-c", f'migrate() {{ {_PROGRAM} "$@"; }}; {command}'],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout, done.stderr


def _one_line(err: str) -> bool:
    return err.startswith("migrate: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("migrate audit {model} >&-", 2),
        ("migrate audit {model} --format=json >&-", 2),
        ("migrate convert {model} new >&-", 2),
        ("migrate validate {model} --against={model} >&-", 2),
        ("migrate --help >&-", 2),
        ("migrate --version >/dev/full", 2),
        ("migrate audit {model} >/dev/full", 2),
        ("migrate audit {model} --format=json >/dev/full", 2),
        ("migrate audit absent >&-", 2),
    ],
)
def test_a_report_that_cannot_be_written_is_told_in_a_line(command, code, tmp_path):
    found, out, err = _shell(command.format(model=_MODEL), tmp_path)
    assert (found, out) == (code, "")
    assert _one_line(err), err
    assert os.listdir(tmp_path) == []  # Told before anything is done.


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("migrate audit {model} --format=json 2>&-", 0),
        ("migrate audit {model} --format=json 2>/dev/full", 0),
        ("migrate audit {model} --format=json -v=1 2>&-", 0),
        ("migrate audit {model} --format=json -v=1 2>/dev/full", 0),
        ("migrate audit {model} --format=json <&-", 0),
        ("migrate audit {model} --format=json <&- 2>&-", 0),
        ("(ulimit -n 8; migrate audit {model} --format=json)", 0),
    ],
)
def test_without_the_other_streams_the_report_is_whole(command, code, tmp_path):
    found, out, err = _shell(command.format(model=_MODEL), tmp_path)
    assert (found, err) == (code, "")
    assert json.loads(out)["models"][0]["outcome"] == "convertible"


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_what_cannot_be_told_is_in_the_code_alone(stream, tmp_path):
    assert _shell(f"migrate audit absent {stream}", tmp_path) == (2, "", "")


@pytest.mark.parametrize("arguments", ["audit {model}", "--help", "help convert", "audit {model} --format=json"])
def test_a_reader_that_has_seen_enough_is_no_error(arguments, tmp_path):
    command = f"migrate {arguments.format(model=_MODEL)} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    assert _shell(command, tmp_path) == (0, "", "")


def test_what_a_library_opens_or_writes_is_not_taken_for_a_closed_stream(tmp_path):
    """The lowest free descriptor is what `open` gives: a file of the model would be standard error to TensorFlow."""
    code = (
        "import os\nfrom migrate.__main__ import _occupy\n_occupy()\n"
        "opened = os.open('file', os.O_CREAT | os.O_WRONLY)\nos.write(1, b'noise')\nos.write(2, b'noise')\n"
        "assert opened > 2\n"
    )
    (tmp_path / "program.py").write_text(code)
    assert _shell(f"{sys.executable} program.py <&- >&- 2>&-", tmp_path)[0] == 0
    assert (tmp_path / "file").read_bytes() == b""


_LIMITED = """
import resource, sys
from migrate import __main__
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv.pop(1)),) * 2)
__main__.run()
"""


@pytest.mark.parametrize("megabytes", [1, 64])
def test_too_little_memory_is_told_in_a_line(megabytes, tmp_path):
    (tmp_path / "limited.py").write_text(_LIMITED)
    command = f"{sys.executable} limited.py {megabytes << 20} audit {_MODEL} --format=json"
    code, out, err = _shell(command, tmp_path)
    assert (code, err) == (0, "") if out else (code == 2 and _one_line(err)), err


@pytest.mark.parametrize("files", range(6, 12))
def test_too_few_files_are_told_in_a_line(files, tmp_path):
    code, out, err = _shell(f"(ulimit -n {files}; migrate audit {_MODEL} --format=json)", tmp_path)
    assert (code, err) == (0, "") if out else (code == 2 and _one_line(err)), err


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("limit", ["-n 8", "-n 10", "-n 13", "-n 16", "-v 200000", "-v 1000000"])
def test_a_conversion_under_limits_ends_without_a_traceback(limit, tmp_path):
    code, out, err = _shell(f"(ulimit {limit}; migrate convert {_MODEL} new)", tmp_path)
    assert code in (0, 1, 2)
    assert "Traceback" not in out + err and 'File "' not in out + err
    assert _one_line(err) if code == 2 else err == ""
    assert (tmp_path / "new").exists() == (code == 0)


@pytest.mark.tensorflow
def test_a_conversion_writes_nothing_into_a_closed_stream(tmp_path):
    code, out, _ = _shell(f"migrate convert {_MODEL} new --format=json 2>&- <&-", tmp_path)
    assert code == 0, out
    assert json.loads(out)["models"][0]["outcome"] == "converted"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory"),
        (OSError(24, "x"), "ulimit -n"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(2, "x"), None),
        (ImportError("No module named 'absl'"), None),
        (ValueError("Cannot allocate memory"), None),
    ],
)
def test_what_the_machine_lacks_is_told_from_a_bug(error, words):
    assert (words in starved(error)) if words else starved(error) is None
    wrapped = KeyError()
    wrapped.__context__ = error
    assert bool(starved(wrapped)) == bool(words)


def test_an_interrupt_before_the_program_has_begun_is_quiet(tmp_path):
    code = (
        "import sys\nfrom migrate import __main__\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'migrate.cli':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n__main__.run()\n"
    )
    (tmp_path / "program.py").write_text(code)
    assert _shell(f"{sys.executable} program.py", tmp_path) == (130, "", "")
