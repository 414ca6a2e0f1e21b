"""Which server does a nursery have, and when has it ended. Starts no TensorFlow."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from migrate.processes.keep_warm import keep_warm
from migrate.processes.nursery import ClosedError, Nursery
from tests.conversions import ROOT
from tests.waiting import PATIENCE_SECONDS, gone, hang, wait_until, write_pid, written

_MODULE = "tests.processes.test_keep_warm"

pytestmark = pytest.mark.process


def run(job):
    """What the child does with a job of these tests."""
    if isinstance(job, tuple):
        write_pid(job[1])
        hang()
    return [os.getppid(), os.environ.get(str(job))]


def _asked(job="A_VARIABLE", preload=("json",), ahead=()):
    with Nursery(preload, ahead=ahead, path=(ROOT,)) as nursery:
        return nursery.run("step", _MODULE, job, Any, PATIENCE_SECONDS)


def test_without_it_each_nursery_has_a_server_of_its_own():
    first, second = _asked()[0], _asked()[0]
    assert first != second
    assert gone(first) and gone(second)


def test_within_it_they_share_one_which_ends_with_it():
    with keep_warm():
        servers = {_asked()[0] for _ in range(3)}
        (server,) = servers
        assert not gone(server)
    assert gone(server)


def test_what_is_imported_ahead_of_one_job_is_there_for_the_next():
    with keep_warm():
        assert _asked(preload=("json",), ahead=("wave",))[0] == _asked(preload=("wave", "json"))[0]


def test_a_server_without_a_module_that_is_wanted_is_replaced():
    with keep_warm():
        first, second = _asked(preload=("json",))[0], _asked(preload=("json", "wave"))[0]
        assert first != second and gone(first)
        assert _asked(preload=("json",))[0] == second


def test_another_environment_has_another_server(monkeypatch):
    with keep_warm():
        first = _asked()
        monkeypatch.setenv("A_VARIABLE", "new")
        second = _asked()
        assert first[:2] != second[:2] and second[1] == "new"
        monkeypatch.delenv("A_VARIABLE")
        assert _asked()[1] is None


def test_a_variable_that_is_named_needs_no_other_server(monkeypatch):
    with keep_warm(apart_from={"A_VARIABLE"}):
        first = _asked()[0]
        monkeypatch.setenv("A_VARIABLE", "new")
        assert _asked()[0] == first


def test_another_directory_has_another_server(monkeypatch, tmp_path):
    with keep_warm():
        first = _asked()
        monkeypatch.chdir(tmp_path)
        assert _asked()[0] != first[0]


def test_two_at_a_time_have_a_server_each_and_one_is_kept():
    with keep_warm():
        with Nursery(("json",), path=(ROOT,)) as one, Nursery(("json",), path=(ROOT,)) as other:
            servers = {n.run("step", _MODULE, "A", Any, PATIENCE_SECONDS)[0] for n in (one, other)}
            assert len(servers) == 2
        assert _asked()[0] in servers
        assert sum(gone(server) for server in servers) == 1


def test_a_kept_server_that_was_killed_is_replaced():
    with keep_warm():
        first = _asked()[0]
        os.kill(first, signal.SIGKILL)
        assert _asked()[0] != first


def test_a_nursery_that_closes_while_a_job_runs_ends_its_server(tmp_path):
    place = tmp_path / "pid"
    with keep_warm():
        nursery = Nursery(("json",), path=(ROOT,))
        ended = []

        def ask():
            with pytest.raises(ClosedError):
                nursery.run("step", _MODULE, ("hang", str(place)), Any, PATIENCE_SECONDS)
            ended.append(True)

        thread = threading.Thread(target=ask)
        thread.start()
        job = int(written(place))
        nursery.close()
        thread.join(PATIENCE_SECONDS)
        assert ended
        wait_until(lambda: gone(job))
        assert isinstance(_asked()[0], int)


def test_a_thread_of_its_own_context_has_none():
    with keep_warm():
        first = _asked()[0]
        found = []
        thread = threading.Thread(target=lambda: found.append(_asked()[0]))
        thread.start()
        thread.join(PATIENCE_SECONDS)
        assert found != [first]
