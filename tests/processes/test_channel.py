"""channel.py: the same jobs end in the same way, whatever makes their processes."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import tempfile
from typing import Any

import pytest

from migrate.processes import channel as module
from migrate.processes import forks
from migrate.processes.channel import Job, finished
from migrate.processes.forks import Forks
from migrate.processes.fresh import FreshInterpreters
from migrate.processes.nursery import Nursery
from migrate.processes.warm_import import WarmImport, place
from migrate.records import Crashed, TimedOut
from tests.conversions import ROOT
from tests.waiting import gone, hang, wait_until, write_pid, written

pytestmark = pytest.mark.process

_MODULE = "tests.processes.test_channel"
_LIMIT = 1 << 30
"""Above what a process of these tests holds, TensorFlow included."""


def run(job):
    """What a child does."""
    kind, *rest = job
    match kind:
        case "fork":  # A job whose step is the one that is looked at.
            step, seconds, limit = rest
            running = Forks(limit).begin("step", _MODULE, step, str, seconds)  # `run` would import TensorFlow first.
            try:
                return running.result()
            finally:
                running.stop()
        case "warm import":
            step, seconds, limit = rest
            with WarmImport(place(), limit) as runner:
                return runner.run("step", _MODULE, step, str, seconds)
        case "value":
            return rest[0]
        case "raise":
            print("before", file=sys.stderr, flush=True)
            raise ValueError("in the child")
        case "exit":
            print("last words", file=sys.stderr, flush=True)
            os._exit(rest[0])
        case "signal":
            os.kill(os.getpid(), rest[0])
        case "hang":
            print("before", file=sys.stderr, flush=True)
            write_pid(rest[0])
            hang()
        case "wait":
            write_pid(rest[0])
            hang()
        case "eat":
            write_pid(rest[0])
            held = b"x" * (_LIMIT + (1 << 26))
            hang()
            return len(held)
        case "leave":
            child = os.fork()
            if not child:
                write_pid(rest[0])
                hang()
            written(pathlib.Path(rest[0]))
            return "left"
        case "kill the server":
            os.kill(os.getppid(), signal.SIGKILL)
            hang()
        case "directory":
            pathlib.Path(tempfile.gettempdir(), "file").touch()
            return tempfile.gettempdir()
    return None


def _of_a_fork(step: Any, seconds: float, limit: int | None) -> Any:
    with Nursery((_MODULE,), path=(ROOT,)) as nursery:
        return nursery.run("convert", _MODULE, ("fork", step, seconds, limit), Crashed | TimedOut | str, 600)


def _of_a_server(step: Any, seconds: float, limit: int | None) -> Any:
    with Nursery((_MODULE,), limit, path=(ROOT,)) as nursery:
        return nursery.run("step", _MODULE, step, str, seconds)


def _of_a_warm_import(step: Any, seconds: float, limit: int | None) -> Any:
    with Nursery((_MODULE,), ahead=(_MODULE,), path=(ROOT,)) as nursery:
        job = ("warm import", step, seconds, limit)
        return nursery.run("convert", _MODULE, job, Crashed | TimedOut | str, 600)


def _of_a_new_interpreter(step: Any, seconds: float, limit: int | None) -> Any:
    return FreshInterpreters(limit, path=(ROOT,)).run("step", _MODULE, step, str, seconds)


@pytest.fixture(
    params=[_of_a_fork, _of_a_server, _of_a_warm_import, _of_a_new_interpreter],
    ids=["fork", "server", "warm import", "new interpreter"],
)
def ask(request):
    """Runs a step in a process of each kind."""
    return lambda *step, seconds=60, limit=None: request.param(step, seconds, limit)


# Every way in which a job can end.


def test_a_result(ask):
    assert ask("value", "a\udcff") == "a\udcff"


def test_an_exception(ask):
    ending = ask("raise")
    assert (ending.step, ending.exit_code) == ("step", 1)
    assert ending.stderr_tail.startswith("before\n") and ending.stderr_tail.endswith("ValueError: in the child")


@pytest.mark.parametrize("code", [0, 7])
def test_an_exit_without_a_result(ask, code):
    assert ask("exit", code) == Crashed("step", code, "last words")


def test_a_signal(ask):
    assert ask("signal", signal.SIGTERM) == Crashed("step", -signal.SIGTERM, "")


def test_a_result_of_another_type(ask):
    ending = ask("value", 1)
    assert (ending.step, ending.exit_code) == ("step", 0)
    assert "its result is not what was asked for" in ending.stderr_tail


@pytest.mark.slow
def test_a_job_that_hangs(ask, tmp_path):
    """It is gone when the ending is known."""
    assert ask("hang", str(tmp_path / "pid"), seconds=2) == TimedOut("step", 2, "before")
    assert gone(int(written(tmp_path / "pid")))


@pytest.mark.slow
def test_a_job_that_eats_memory(ask, tmp_path):
    ending = ask("eat", str(tmp_path / "pid"), limit=_LIMIT)
    assert (ending.step, ending.exit_code) == ("step", -signal.SIGKILL)
    assert ending.stderr_tail.startswith("migrate killed it: it held 1,")
    assert ending.stderr_tail.endswith(" MB, more than the 1,024 MB that --memory_limit allows")
    assert gone(int(written(tmp_path / "pid")))


@pytest.mark.parametrize("run_step", [_of_a_server, _of_a_warm_import], ids=["server", "warm import"])
def test_a_job_that_kills_its_server(run_step):
    """A new server, where there is one, is killed as well."""
    assert run_step(("kill the server",), 60, None) == Crashed("step", -signal.SIGKILL, "")


# What is left behind.


def test_what_a_job_has_started_does_not_outlive_it(ask, tmp_path):
    assert ask("leave", str(tmp_path / "pid")) == "left"
    wait_until(lambda: gone(int(written(tmp_path / "pid"))))


def test_its_directory_is_removed(ask):
    directory = ask("directory")
    assert os.path.basename(directory).startswith("migrate-job-")
    assert not os.path.exists(directory)


# What is asked of a channel.


class _Channel:
    """Notes what is asked of it, and answers what it was told to."""

    def __init__(self, *answers: Any, fails: BaseException | None = None) -> None:
        self.asked: list[str] = []
        self.directory = ""
        self._answers = iter(answers)
        self._fails = fails

    def start(self, files: Any) -> int:
        """See `Channel.start`."""
        self._note("start")
        self.directory = files.directory
        if self._fails is not None:
            raise self._fails
        return os.getpid()

    def wait(self, seconds: float) -> int | None:
        """See `Channel.wait`."""
        self._note("wait")
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def kill(self) -> None:
        """See `Channel.kill`."""
        self._note("kill")

    def close(self) -> None:
        """See `Channel.close`."""
        self._note("close")

    def _note(self, name: str) -> None:
        if name != "start":
            assert os.path.isdir(self.directory), f"the job's files are removed before {name}"
        self.asked.append(name)


@pytest.mark.parametrize(
    ("channel", "asked"),
    [
        (_Channel(None, 7), ["start", "wait", "wait", "kill", "close"]),
        (_Channel(OSError("a")), ["start", "wait", "kill", "close"]),
        (_Channel(fails=OSError("a")), ["start", "close"]),
    ],
    ids=["ends", "fails while it is waited for", "fails to start"],
)
def test_a_channel_is_closed_and_the_files_are_removed_however_it_ends(channel, asked):
    try:
        assert finished(Job(channel, "step", str, 60)) == Crashed("step", 7, "")
    except OSError as error:
        assert str(error) == "a"
    assert channel.asked == asked
    assert not os.path.exists(channel.directory)


def test_time_runs_from_the_start_of_a_job(monkeypatch):
    """What else is done before its result is asked for is no gift."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    channel = _Channel(None)
    job = Job(channel, "step", str, 10)
    now[0] = 10.0
    assert job.result() == TimedOut("step", 10)
    job.stop()
    assert channel.asked == ["start", "wait", "kill", "kill", "close"]


def test_a_job_that_has_ended_is_not_killed_for_its_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    job = Job(_Channel(7), "step", str, 10)
    now[0] = 11.0
    assert job.result() == Crashed("step", 7, "")
    job.stop()


def test_a_call_is_told_once(monkeypatch):
    told = []
    channel = _Channel(None, None, None, 7)
    offsets = iter([(1, 3), (1, 3), (3, 3)])
    job = Job(channel, "step", str, 60, counted=lambda *count: told.append(count))
    monkeypatch.setattr(type(job._files), "count", lambda files: next(offsets))
    job.result()
    job.stop()
    assert told == [(1, 3), (3, 3)]


# A fork of this process.


def test_a_fork_that_is_stopped_before_its_result_is_asked_for_is_gone(tmp_path):
    running = Forks().begin("step", _MODULE, ("wait", str(tmp_path / "pid")), str, 600)
    pid = int(written(tmp_path / "pid"))
    running.stop()
    assert gone(pid)
    running.stop()  # Again: nothing is left to do.


def test_a_fork_that_was_not_started_kills_nobody():
    """The group 0 would be this process's own."""
    channel = forks.ForkChannel(_MODULE, None)
    channel.kill()
    channel.close()
