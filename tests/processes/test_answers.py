"""What a server and a job say of the job, as the process reads it that has asked for it."""

from __future__ import annotations

import contextlib
import os

import pytest

from migrate.processes.answers import Answers


@pytest.fixture
def pipes():
    """The ends to write to, of the answers and of the job's lines, and what is said."""
    answers, told = os.pipe()
    lines, says = os.pipe()
    heard = []
    with contextlib.closing(Answers(answers, lines, heard.append)) as found:
        yield found, told, says, heard
    for descriptor in (told, says):
        with contextlib.suppress(OSError):  # The test has closed it.
            os.close(descriptor)


def test_a_job_from_its_beginning_to_its_end(pipes):
    found, told, says, heard = pipes
    os.write(told, b"pid 12\n")
    assert found.pid(1.0) == 12
    assert not found.wait(0.0)
    os.write(says, b"reading\nconver")
    assert not found.wait(0.0) and heard == ["reading"]
    os.write(says, b"ting\n")
    os.write(told, b"exit -9\n")
    assert found.wait(1.0)
    assert (found.code, found.ended, heard) == (-9, True, ["reading", "converting"])


def test_an_answer_that_does_not_come_is_not_waited_for(pipes):
    found, *_ = pipes
    with pytest.raises(TimeoutError):
        found.pid(0.0)
    found.end(0.0)
    assert not found.ended


def test_a_server_that_dies_has_no_code(pipes):
    found, told, _, _ = pipes
    os.close(told)
    assert found.pid(1.0) is None
    assert found.ended and found.code is None
    assert found.wait(1.0)


def test_a_server_that_dies_after_the_pid_has_no_code(pipes):
    found, told, _, _ = pipes
    os.write(told, b"pid 3\n")
    os.close(told)
    assert found.pid(1.0) == 3
    found.end(1.0)
    assert found.ended and found.code is None


def test_both_answers_may_come_at_once(pipes):
    found, told, _, _ = pipes
    os.write(told, b"pid 3\nexit 0\n")
    assert found.pid(1.0) == 3
    assert found.wait(0.0) and found.code == 0


def test_what_a_job_says_is_no_order_and_a_line_without_end_is_cut(pipes):
    found, _, says, heard = pipes
    os.write(says, b"\x1b[31m\xff\n" + b"a" * 5000)
    found.wait(0.0)
    assert heard[0] == "\ufffd[31m\ufffd"
    assert len(heard) == 2 and set(heard[1]) == {"a"} and len(heard[1]) <= 500


def test_a_job_that_closes_its_lines_goes_on(pipes):
    found, told, says, heard = pipes
    os.close(says)
    assert not found.wait(0.0) and not found.wait(0.0)
    os.write(told, b"exit 0\n")
    assert found.wait(1.0) and heard == []
