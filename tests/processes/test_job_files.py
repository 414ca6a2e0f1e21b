"""The files of a job: what it printed, how far it is, and its result as data."""

from __future__ import annotations

import os

import pytest

from migrate import codec
from migrate.processes.job_files import JobFiles, count_offset, plain, result_of, tail
from migrate.records import Crashed, Failed, TimedOut


@pytest.fixture
def files():
    with JobFiles() as found:
        yield found


def _print(files: JobFiles, text: str) -> None:
    os.write(files.output, text.encode())


def test_the_directory_goes_with_the_job():
    with JobFiles() as files:
        assert os.path.isdir(files.directory)
        open(os.path.join(files.directory, "left"), "w").close()
    assert not os.path.exists(files.directory)


def test_a_result_of_the_declared_type_is_read(files):
    codec.write(Failed("no kernel"), files.result)
    assert result_of("golden", files, int | Failed, 0) == Failed("no kernel")


def test_a_result_of_another_type_is_a_crash(files):
    codec.write("text", files.result)
    _print(files, "the last line\n")
    found = result_of("golden", files, int | Failed, 0)
    assert (found.step, found.exit_code) == ("golden", 0)
    assert found.stderr_tail.startswith("the last line\nits result is not what was asked for: ")


@pytest.mark.parametrize("content", [b"", b"MIGRATE1", b"\0" * 100], ids=["empty", "cut", "other"])
def test_a_result_that_is_no_data_is_a_crash(files, content):
    os.write(files.result, content)
    assert isinstance(result_of("export", files, int, 0), Crashed)


def test_a_job_that_fails_keeps_its_last_lines(files):
    codec.write(3, files.result)
    _print(files, "\n".join(f"line {number}" for number in range(30)))
    found = result_of("export", files, int, -11)
    assert found == Crashed("export", -11, "\n".join(f"line {number}" for number in range(10, 30)))


def test_a_timeout_has_the_last_lines(files):
    _print(files, "still busy\n")
    assert result_of("golden", files, int, TimedOut("golden", 5.0)) == TimedOut("golden", 5.0, "still busy")


def test_a_fatal_line_is_kept_above_many_stack_frames(files):
    fatal = "F0000 00:00:1700000000.0 1 op.cc:1] Check failed: a == b"
    _print(files, "\n".join([fatal, *(f"@ frame {number}" for number in range(40))]))
    assert tail(files.output).splitlines()[0] == fatal


def test_control_characters_are_not_shown():
    assert plain("a\tb\x1b[31m\x00") == "a       b\ufffd[31m\ufffd"


@pytest.mark.parametrize(("call", "calls"), [(1, 1), (3, 10), (32_767, 32_767)])
def test_the_number_of_a_call_is_read_from_the_offset(files, call, calls):
    os.lseek(files.result, count_offset(call, calls), os.SEEK_SET)
    assert files.count() == (call, calls)


@pytest.mark.parametrize(("call", "calls"), [(0, 1), (2, 1), (-1, 3), (1, 1 << 15)])
def test_a_number_that_makes_no_sense_has_no_offset(call, calls):
    assert count_offset(call, calls) is None


@pytest.mark.parametrize("offset", [0, 7, 1 << 39, (1 << 39) + (1 << 15), (1 << 39) + (5 << 15) + 6, (1 << 39) - 1])
def test_an_offset_of_another_kind_is_no_number(files, offset):
    os.lseek(files.result, offset, os.SEEK_SET)
    assert files.count() is None
