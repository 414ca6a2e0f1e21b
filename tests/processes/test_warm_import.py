"""warm_import.py: TensorFlow is imported by a fork while another process reads and plans."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from migrate.processes.nursery import ClosedError, Nursery
from migrate.processes.warm_import import WarmImport, place
from migrate.records import Crashed, TimedOut
from tests.conversions import ROOT
from tests.waiting import gone, hang, wait_until, write_pid, written

pytestmark = pytest.mark.process

_MODULE = "tests.processes.test_warm_import"
_STEPS = tuple[Crashed | TimedOut | tuple[bool, int], ...]
_RESULT = int | _STEPS


def run(job):
    """What a child does with a job of these tests: a job of the server has steps of its own."""
    kind, *rest = job
    if kind == "steps":
        with WarmImport(place()) as runner:
            return [runner.run("step", _MODULE, step, Any, seconds) for step, seconds in rest]
    if kind == "leave":
        with WarmImport(place()):
            return place().pid
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        with WarmImport(place()) as runner:
            write_pid(rest[0])
            return runner.run("step", _MODULE, ("step", rest[1]), Any, 600)
    if kind == "step":
        write_pid(rest[0])
        hang()
    if kind == "loaded":
        return "wave" in sys.modules, os.getpid()
    return job


def _ask(job, ahead=("wave", _MODULE), seconds=60, kind=_RESULT):
    with Nursery((_MODULE,), ahead=ahead, path=(ROOT,)) as nursery:
        nursery.start()
        return nursery.run("convert", _MODULE, job, kind, seconds)


def test_every_step_has_a_process_of_its_own_with_the_imports_done():
    first, second = _ask(("steps", (("loaded",), 60), (("loaded",), 60)))
    assert first[0] and second[0]
    assert first[1] != second[1]


def test_a_step_that_dies_or_hangs_costs_that_step(tmp_path):
    steps = ((("die",), 60), (("step", str(tmp_path / "pid")), 2), (("loaded",), 60))
    results = _ask(("steps", *steps))
    assert results[0] == Crashed("step", -signal.SIGKILL, "")
    assert results[1] == TimedOut("step", 2)
    assert results[2][0]
    wait_until(lambda: gone(int(written(tmp_path / "pid"))))


def test_an_import_that_nobody_needs_is_not_waited_for(tmp_path):
    """A model that is refused is told at once, and leaves nobody behind."""
    (tmp_path / "sleepy.py").write_text("from tests.waiting import hang\nhang()\n")
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), before])
    try:
        pid = _ask(("leave",), ahead=("sleepy",))  # Were the import waited for, this would be `TimedOut`.
    finally:
        os.environ["PYTHONPATH"] = before
    wait_until(lambda: gone(pid))


def test_an_import_that_fails_is_tried_where_its_failure_is_told():
    """The process that wanted the fork imports TensorFlow itself, as if there had been none."""
    pytest.importorskip("tensorflow")
    assert _ask(("steps", (("loaded",), 60)), ahead=("no_such_module",))[0][0] is False


def test_a_step_does_not_outlive_the_job_that_wanted_it(tmp_path):
    """Its staging directory is cleared away as soon as the job's end is known."""
    job, step, endings = tmp_path / "job", tmp_path / "step", []
    with Nursery((_MODULE,), ahead=("wave", _MODULE), path=(ROOT,)) as nursery:
        thread = threading.Thread(
            target=lambda: endings.append(nursery.run("convert", _MODULE, ("hang", str(job), str(step)), Any, 600))
        )
        thread.start()
        pid = int(written(step))
        os.kill(int(written(job)), signal.SIGKILL)
        thread.join()
        assert endings == [Crashed("convert", -signal.SIGKILL, "")]
        wait_until(lambda: gone(pid))


def test_a_killed_server_leaves_nobody_behind(tmp_path):
    file = tmp_path / "pid"

    def ask(nursery):
        with contextlib.suppress(ClosedError):
            nursery.run("convert", _MODULE, ("steps", (("step", str(file)), 600)), _RESULT, 600)

    with Nursery((_MODULE,), ahead=("wave", _MODULE), path=(ROOT,)) as nursery:
        thread = threading.Thread(target=ask, args=(nursery,))
        thread.start()
        pid = int(written(file))
        nursery._server._process.kill()
        wait_until(lambda: gone(pid))
        nursery.close()
        thread.join()


def test_its_directory_is_gone_when_it_is(tmp_path):
    code = (
        "import os, tempfile\n"
        "from migrate.processes.warm_import import started\n"
        "with started(('json',)) as ahead:\n"
        "    assert os.listdir(tempfile.gettempdir())\n"
        "    ahead.ended(1)\n"
        "assert not os.listdir(tempfile.gettempdir())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 0


def test_there_is_none_unless_it_was_started():
    assert place() is None
