"""nursery.py: every way in which a child can end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from migrate.processes import nursery as nursery_module
from migrate.processes.nursery import Nursery
from migrate.records import Crashed, TimedOut
from tests.conversions import ROOT
from tests.waiting import gone, hang, wait_until, write_pid, written

pytestmark = pytest.mark.tensorflow

_MODULE = "tests.processes.test_nursery"


def run(job):
    """What the child does with a job of these tests."""
    if job == "abort":
        print("last words", file=sys.stderr, flush=True)
        os.abort()
    if job == "raise":
        raise ValueError("in the child")
    if job == "exit":
        os._exit(7)
    if job == "hang":
        hang()
    if isinstance(job, tuple) and job[0] == "hang":
        write_pid(job[1])
        hang()
    if job == "fork":
        return subprocess.Popen(["sleep", "infinity"]).pid
    if job == "environment":
        return {name: os.environ.get(name) for name in nursery_module._ENVIRONMENT}
    if job == "noise":
        print("\n\nready\n12\n", flush=True)
        return "noise"
    if job == "tensorflow":
        import tensorflow as tf

        return tf.add(1, 2).numpy().item(), os.getpid()
    return job


def test_a_result_comes_back(nursery):
    assert nursery.run("golden", _MODULE, {"a": [1]}, Any, 60) == {"a": [1]}


def test_every_job_has_a_process_of_its_own(nursery):
    first, second = (nursery.run("golden", _MODULE, "tensorflow", Any, 60) for _ in range(2))
    assert first[0] == second[0] == 3
    assert first[1] != second[1]


def test_a_child_that_aborts_is_crashed(nursery):
    result = nursery.run("golden", _MODULE, "abort", Any, 60)
    assert isinstance(result, Crashed)
    assert (result.step, result.exit_code) == ("golden", -signal.SIGABRT)
    assert "last words" in result.stderr_tail


def test_a_child_that_raises_is_crashed(nursery):
    result = nursery.run("export", _MODULE, "raise", Any, 60)
    assert isinstance(result, Crashed) and result.exit_code == 1
    assert result.stderr_tail.endswith("ValueError: in the child")


def test_a_child_that_ends_without_a_result_is_crashed(nursery):
    assert nursery.run("golden", _MODULE, "exit", Any, 60) == Crashed("golden", 7, "")


def test_a_slow_child_is_timed_out_and_the_next_one_is_well(nursery):
    assert nursery.run("candidate", _MODULE, "hang", Any, 0.5) == TimedOut("candidate", 0.5)
    assert nursery.run("candidate", _MODULE, 1, Any, 60) == 1


def test_what_a_child_prints_is_not_taken_for_an_answer(nursery):
    assert nursery.run("golden", _MODULE, "noise", Any, 60) == "noise"
    assert nursery.run("golden", _MODULE, 2, Any, 60) == 2


def test_what_a_child_has_started_does_not_outlive_it(nursery):
    started = nursery.run("golden", _MODULE, "fork", Any, 60)
    wait_until(lambda: gone(started))


def test_what_the_environment_says_of_kernels_does_not_reach_a_child(monkeypatch):
    for name in nursery_module._ENVIRONMENT:
        monkeypatch.setenv(name, "1")
    with Nursery(preload=("time",), path=(ROOT,)) as nursery:
        assert nursery.run("golden", _MODULE, "environment", Any, 60) == nursery_module._ENVIRONMENT


@pytest.mark.parametrize(
    ("library", "is_told"),
    [("glibc 2.36", True), ("glibc 2.35", True), ("glibc 2.34", False), ("musl 1.2", False), (None, False)],
)
def test_malloc_is_told_to_keep_large_blocks_where_it_can(library, is_told, monkeypatch):
    monkeypatch.setattr(os, "confstr", lambda name: library)
    assert bool(nursery_module._allocation()) is is_told


@pytest.mark.slow
def test_a_dead_server_is_replaced():
    with Nursery(path=(ROOT,)) as nursery:
        assert nursery.run("golden", _MODULE, 1, Any, 60) == 1
        nursery._server._process.kill()
        nursery._server._process.wait()
        assert nursery.run("golden", _MODULE, 2, Any, 60) == 2


def test_a_server_that_hangs_is_replaced(monkeypatch):
    with Nursery(preload=("time",), path=(ROOT,)) as nursery:
        assert nursery.run("golden", _MODULE, "well", Any, 60) == "well"
        hung = nursery._server._process
        os.kill(hung.pid, signal.SIGSTOP)
        start, seconds = nursery_module._Server, nursery_module._START_SECONDS

        def replace(*arguments):
            monkeypatch.setattr(nursery_module, "_START_SECONDS", seconds)  # The new one may take its time.
            return start(*arguments)

        monkeypatch.setattr(nursery_module, "_Server", replace)
        monkeypatch.setattr(nursery_module, "_START_SECONDS", 0.5)
        assert nursery.run("golden", _MODULE, "well", Any, 60) == "well"
        assert hung.wait() == -signal.SIGKILL


def test_a_killed_parent_leaves_nobody_behind(tmp_path):
    code = (
        "import sys; from typing import Any; from migrate.processes.nursery import Nursery;"
        "n = Nursery(path=sys.argv[2:]);"
        "n.run('a', 'tests.processes.test_nursery', 1, Any, 60); print(n._server._process.pid, flush=True);"
        "n.run('a', 'tests.processes.test_nursery', ('hang', sys.argv[1]), Any, 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path / "job", ROOT], stdout=subprocess.PIPE)
    server = int(parent.stdout.readline())
    job = int(written(tmp_path / "job"))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(server) and gone(job))
