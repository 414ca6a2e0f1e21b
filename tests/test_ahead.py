"""ahead.py: TensorFlow is imported by a fork while another process reads and plans."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from migrate.ahead import Ahead, place
from migrate.children import ClosedError, Nursery
from migrate.records import Crashed, TimedOut
from tests.conversions import ROOT

_MODULE = "tests.test_ahead"
_RESULT = int | tuple[Crashed | TimedOut | tuple[bool, int], ...]


def run(job):
    """What a child does with a job of these tests: a job of the server has steps of its own."""
    kind, *rest = job
    if kind == "steps":
        with Ahead(place()) as runner:
            return [runner.run("step", _MODULE, step, Any, seconds) for step, seconds in rest]
    if kind == "leave":
        with Ahead(place()):
            return place().pid
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        with Ahead(place()) as runner:
            return runner.run("step", _MODULE, ("sleep", rest[0]), Any, 60)
    if kind == "sleep":
        pathlib.Path(rest[0]).write_text(str(os.getpid()))
        time.sleep(60)
    if kind == "loaded":
        return "wave" in sys.modules, os.getpid()
    return job


def _gone(pid):
    for _ in range(100):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        if not os.path.exists(f"/proc/{pid}"):
            return True
        time.sleep(0.05)
    return False


def _ask(job, ahead=("wave", _MODULE), seconds=60):
    with Nursery((_MODULE,), ahead=ahead, path=(ROOT,)) as nursery:
        nursery.start()
        return nursery.run("convert", _MODULE, job, _RESULT, seconds)


def test_every_step_has_a_process_of_its_own_with_the_imports_done():
    first, second = _ask(("steps", (("loaded",), 60), (("loaded",), 60)))
    assert first[0] and second[0]
    assert first[1] != second[1]


def test_a_step_that_dies_or_hangs_costs_that_step(tmp_path):
    results = _ask(("steps", (("die",), 60), (("sleep", str(tmp_path / "pid")), 2), (("loaded",), 60)))
    assert results[0] == Crashed("step", -signal.SIGKILL, "")
    assert results[1] == TimedOut("step", 2)
    assert results[2][0]
    assert _gone((tmp_path / "pid").read_text())


def test_an_import_that_nobody_needs_is_not_waited_for(tmp_path):
    """A model that is refused is told at once, and leaves nobody behind."""
    (tmp_path / "sleepy.py").write_text("import time\ntime.sleep(60)\n")
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), before])
    try:
        begun = time.monotonic()
        pid = _ask(("leave",), ahead=("sleepy",))
        assert time.monotonic() - begun < 30
    finally:
        os.environ["PYTHONPATH"] = before
    assert _gone(pid)


def test_an_import_that_fails_is_tried_where_its_failure_is_told():
    """The process that wanted the fork imports TensorFlow itself, as if there had been none."""
    pytest.importorskip("tensorflow")
    assert _ask(("steps", (("loaded",), 60)), ahead=("no_such_module",))[0][0] is False


def test_a_step_does_not_outlive_the_job_that_wanted_it(tmp_path):
    """Its staging directory is cleared away as soon as the job's end is known."""
    file = tmp_path / "pid"
    with Nursery((_MODULE,), ahead=("wave", _MODULE), path=(ROOT,)) as nursery:
        ending = nursery.run("convert", _MODULE, ("hang", str(file)), Any, 10)
        assert isinstance(ending, TimedOut)
        assert _gone(file.read_text())


def test_a_killed_server_leaves_nobody_behind(tmp_path):
    file = tmp_path / "pid"

    def ask(nursery):
        with contextlib.suppress(ClosedError):
            nursery.run("convert", _MODULE, ("steps", (("sleep", str(file)), 60)), _RESULT, 60)

    with Nursery((_MODULE,), ahead=("wave", _MODULE), path=(ROOT,)) as nursery:
        thread = threading.Thread(target=ask, args=(nursery,))
        thread.start()
        while not file.exists() or not file.read_text():
            time.sleep(0.05)
        nursery._server._process.kill()
        assert _gone(file.read_text())
        nursery.close()
        thread.join(20)


def test_its_directory_is_gone_when_it_is(tmp_path):
    code = (
        "import os, tempfile\n"
        "from migrate.ahead import started\n"
        "with started(('json',)) as ahead:\n"
        "    assert os.listdir(tempfile.gettempdir())\n"
        "    ahead.ended(1)\n"
        "assert not os.listdir(tempfile.gettempdir())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 0


def test_there_is_none_unless_it_was_started():
    assert place() is None
