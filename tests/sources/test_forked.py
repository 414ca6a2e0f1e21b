"""What ends an audit at any moment leaves no process that nobody waits for, and no open file."""

from __future__ import annotations

import os
import signal

import pytest

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef
from migrate.sources import budget
from migrate.sources.forked import fork
from migrate.sources.parsed import Parsed
from migrate.sources.sandbox import guarded
from migrate.sources.watch import Undisturbed, Watch
from tests.waiting import children

MB = 1 << 20


def _open_files():
    return sorted(os.listdir("/proc/self/fd"))


def _tried():
    return budget._tried(lambda: Parsed(MetaGraphDef()), 100 * MB)


def _guarded():
    return guarded("FILE", lambda: 3, int)


@pytest.mark.parametrize("run", [_tried, _guarded])
@pytest.mark.parametrize("call", ["pipe", "fork", "close", "read", "waitpid"])
def test_a_tick_at_any_system_call_leaves_nothing_behind(run, call, monkeypatch):
    before, started, parent = _open_files(), children(), os.getpid()
    seconds = [0.0]
    watch = Watch(clock=lambda: seconds[0])
    function = getattr(os, call)

    def interrupted(*arguments):
        found = function(*arguments) if call != "waitpid" else None
        if os.getpid() == parent:
            seconds[0] = 100.0
            signal.raise_signal(signal.SIGPROF)
        return function(*arguments) if call == "waitpid" else found

    with monkeypatch.context() as patched:
        patched.setattr(os, call, interrupted)
        with pytest.raises(InputError, match="takes more than 30 s"), watch.running("m"):
            run()
            while True:  # It is ended soon after.
                sum(range(1000))
    assert _open_files() == before
    assert children() <= started


@pytest.mark.parametrize("run", [_tried, _guarded])
def test_a_system_that_starts_no_process_leaves_no_open_file(run, monkeypatch):
    before = _open_files()

    def refused():
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refused)
    with pytest.raises(BlockingIOError):
        run()
    assert _open_files() == before


def test_a_fork_answers_through_its_pipe():
    def work(end):
        os.write(end, b"answer")
        os._exit(0)

    pid, answer = fork(work)
    try:
        assert os.read(answer, 100) == b"answer"
    finally:
        os.close(answer)
        assert os.waitpid(pid, 0) == (pid, 0)


@pytest.mark.parametrize("how", [signal.SIG_BLOCK, signal.SIG_UNBLOCK])
def test_what_was_blocked_before_is_blocked_after(how):
    before = signal.pthread_sigmask(how, [signal.SIGPROF])
    try:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        with Undisturbed():
            assert signal.SIGPROF in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
