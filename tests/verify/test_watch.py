"""One thread watches all calls of a process, one after another. No TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from migrate.verify.watch import BLOCKED, OVERDUE, PATIENCE_SECONDS

pytestmark = pytest.mark.process


def _ended(text: str) -> tuple[int, str]:
    program = f"import os, threading, time\nfrom migrate.verify.watch import watched\n{text}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=4 * PATIENCE_SECONDS)
    return done.returncode, done.stdout


_WAITS = "    threading.Event().wait()\n"
_SHORT = "for _ in range(100):\n    with watched(0.2): pass\n"


@pytest.mark.parametrize(
    "before",
    [
        _SHORT,
        f"{_SHORT}time.sleep(0.5)\nassert threading.active_count() == 1\n",
        f"{_SHORT}pid = os.fork()\nif pid:\n    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
    ],
    ids=["after_others", "once_the_thread_has_ended", "in_a_fork"],
)
def test_a_later_call_that_waits_for_ever_ends(before):
    assert _ended(f"{before}with watched(0.2):\n{_WAITS}")[0] == BLOCKED


def test_a_call_goes_on_to_be_watched_after_one_within_it():
    assert _ended(f"with watched(0.2):\n    with watched(0.2): pass\n{_WAITS}")[0] == BLOCKED


def test_calls_that_wait_a_little_each_are_not_one_that_waits_for_ever():
    assert _ended("for _ in range(10):\n    with watched(0.4): time.sleep(0.1)\nprint('there')") == (0, "there\n")


_COMPUTES = "    while True: pass\n"


def test_a_call_that_computes_when_its_time_is_over_ends():
    assert _ended(f"{_SHORT}with watched(0.2, limit=0.5):\n{_COMPUTES}")[0] == OVERDUE


def test_the_limit_of_a_call_is_not_that_of_the_next_one():
    later = "with watched(0.2):\n    while time.monotonic() < end: pass\n"
    text = f"with watched(0.2, limit=0.5): pass\nend = time.monotonic() + 1.5\n{later}print('there')"
    assert _ended(text) == (0, "there\n")
