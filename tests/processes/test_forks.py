"""Jobs in forks of this process. No TensorFlow: the jobs are functions of this module."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from migrate import codec
from migrate.processes import forks
from migrate.processes.forks import Forks
from migrate.processes.job_files import JobFiles
from migrate.records import Crashed, TimedOut
from tests.waiting import PATIENCE_SECONDS, children

pytestmark = pytest.mark.process

_HERE = __name__


def run(job: object) -> object:
    """What `Forks` calls in the fork."""
    if job == "raise":
        sys.stderr = os.fdopen(2, "w")  # pytest has another one.
        raise ValueError("cannot do that")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "sleep":
        time.sleep(PATIENCE_SECONDS)
    if job == "leave a child":
        pid = os.fork()
        if not pid:
            time.sleep(PATIENCE_SECONDS)
            os._exit(0)
        return pid
    if job == "descriptors":
        return sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
    if job == "directory":
        import tempfile

        return tempfile.mkdtemp()
    return job


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.setattr(forks, "TENSORFLOW", ("json",))  # Which is imported already.
    return Forks()


def test_a_job_gives_its_result(runner):
    assert runner.run("step", _HERE, "value", str, PATIENCE_SECONDS) == "value"


def test_an_exception_is_a_crash_with_its_message(runner):
    found = runner.run("step", _HERE, "raise", str, PATIENCE_SECONDS)
    assert isinstance(found, Crashed)
    assert found.exit_code == 1
    assert "cannot do that" in found.stderr_tail


def test_a_signal_is_a_crash(runner):
    assert runner.run("step", _HERE, "die", str, PATIENCE_SECONDS).exit_code == -signal.SIGKILL


def test_a_job_that_takes_too_long_is_killed(runner):
    before = children()
    found = runner.run("step", _HERE, "sleep", str, 0.2)
    assert isinstance(found, TimedOut)
    assert children() <= before


def test_what_a_job_has_started_ends_with_it(runner):
    child = runner.run("step", _HERE, "leave a child", int, PATIENCE_SECONDS)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            with open(f"/proc/{child}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] == b"Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.01)
    pytest.fail("the job's child still runs")


def test_a_job_has_only_its_own_descriptors(runner, tmp_path):
    with open(tmp_path / "secret", "w") as secret:
        found = runner.run("step", _HERE, "descriptors", list[int], PATIENCE_SECONDS)
        assert secret.fileno() not in found or secret.fileno() <= 2
    assert len([descriptor for descriptor in found if descriptor > 2]) == 1  # Its result.


def test_temporary_files_of_a_job_go_with_it(runner):
    directory = runner.run("step", _HERE, "directory", str, PATIENCE_SECONDS)
    assert "migrate-job-" in directory
    assert not os.path.exists(directory)


def test_progress_goes_nowhere_outside_of_a_job(monkeypatch):
    for name in (forks.SAY, forks.COUNT):
        monkeypatch.delenv(name, raising=False)
    forks.say("anything")
    forks.count(1, 2)


def test_a_line_is_short_and_printable():
    assert forks.said(b"a\x1bb" + b"c" * 5000) == "a\ufffdb" + "c" * 497


def test_a_line_goes_to_the_pipe(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setenv(forks.SAY, str(writer))
    forks.say("two\nlines  of words")
    os.close(writer)
    assert os.read(reader, 100) == b"two lines of words\n"
    os.close(reader)


def test_a_count_is_the_offset_of_the_result(monkeypatch):
    with JobFiles() as files:
        monkeypatch.setenv(forks.COUNT, str(files.result))
        forks.count(3, 10)
        assert files.count() == (3, 10)


def test_work_writes_the_result_after_counting(monkeypatch):
    monkeypatch.setenv(forks.COUNT, "")
    with JobFiles() as files:

        def counted(job: str) -> str:
            forks.count(2, 4)
            return job

        assert forks.work(counted, "value", files.result) == 0
        assert codec.read(str, files.result) == "value"


def test_waiting_ends_when_a_descriptor_is_readable():
    reader, writer = os.pipe()
    assert forks.wait_for((), 0.0, reader) == []
    os.write(writer, b"x")
    assert forks.wait_for((), None, reader) == [reader]
    os.close(reader)
    os.close(writer)


def test_an_error_of_the_machine_is_one_line(capsys):
    forks.tell(MemoryError())
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_error_has_its_traceback(capsys):
    try:
        raise ValueError("unexpected")
    except ValueError as error:
        forks.tell(error)
    assert capsys.readouterr().err.startswith("Traceback")


def test_warm_imports_and_keeps_the_collector_on():
    import gc

    forks.warm(("json",))
    assert gc.isenabled()
    assert "json" in sys.modules
    gc.unfreeze()
