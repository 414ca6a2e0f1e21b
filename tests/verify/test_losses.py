"""Calls that end the process that makes them: which they are, and that another process makes the other calls."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from migrate.processes.job_files import JobFiles, result_of
from migrate.records import Crashed, Failed, TimedOut
from migrate.verify.calls import Call, SparseValue
from migrate.verify.losses import (
    BLOCKS,
    GIVEN_UP,
    MOST,
    MOST_TRIED,
    Attempts,
    Lost,
    described,
    loss,
    positions,
    run_past_losses,
    uncalled,
    without,
)
from migrate.verify.probe import _HOPELESS
from migrate.verify.watch import BLOCKED, OVERDUE, Window, is_idle
from tests.waiting import PATIENCE_SECONDS

_ABORTED = "F0000 00:00:1795707.1 19076 tensor.cc:852] Check failed: dim0_size >= limit (2 vs. 3) \n*** stack ***"
_CALLS = tuple(Call(key, {"x": np.zeros((n, 2), np.float32)}) for n, key in enumerate("aabbb", 1))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Crashed("golden", -signal.SIGABRT, _ABORTED, 3, 0), "SIGABRT.*Check failed: dim0_size >= limit"),
        (Crashed("golden", -signal.SIGSEGV, "", 3, 8), r"it ends the process \(SIGSEGV\)$"),
        (Crashed("golden", BLOCKED, "", 3, 8), BLOCKS),
        (Crashed("golden", OVERDUE, "", 3, 8), "it goes on when its time is over"),
    ],
)
def test_a_call_that_costs_its_process(ending, reason):
    found = loss(ending)
    assert (found.call, found.calls) == (3, ending.calls)
    assert re.search(reason, found.reason)


@pytest.mark.parametrize(
    "ending",
    [
        Crashed("golden", -signal.SIGABRT, _ABORTED),  # While it loads the model.
        Crashed("golden", -signal.SIGKILL, "", 3, 8),  # Whoever has run out of memory kills any process.
        Crashed("golden", -signal.SIGTERM, "", 3, 8),
        Crashed("golden", 1, "Traceback", 3, 8),
        TimedOut("golden", 1.0),
        Failed("no"),
        "a result",
    ],
)
def test_an_end_that_is_no_calls_fault(ending):
    assert loss(ending) is None


def test_another_process_goes_on_without_the_lost_calls():
    asked = []

    def run(lost, seconds):
        asked.append(tuple(one.call for one in lost))
        return Crashed("golden", -signal.SIGABRT, "", len(lost) + 1, 0) if len(lost) < 2 else "answers"

    assert run_past_losses(run, 60) == "answers"
    assert asked == [(), (1,), (1, 2)]


def test_so_many_calls_may_be_lost_and_no_more():
    asked = []

    def run(lost, seconds):
        asked.append(lost)
        return Crashed("golden", -signal.SIGABRT, "", len(asked), 0)

    assert run_past_losses(run, 60) == Crashed("golden", -signal.SIGABRT, "", MOST + 1, 0)
    assert len(asked) == MOST + 1


def test_the_time_is_for_all_processes_together():
    def run(lost, seconds):
        assert seconds <= 60
        return Crashed("golden", -signal.SIGABRT, "", 1, 0)

    assert isinstance(run_past_losses(run, 0), Crashed)


def test_what_is_tried_is_numbered_and_the_lost_ones_are_not_tried():
    attempts = Attempts([Lost(2, 0, "why"), Lost(4, 0, "why"), Lost(3, 10, "another's")])
    found = [attempts.refuses(call) for call in _CALLS]
    assert found[0] == found[2] == found[4] == ""
    assert found[1] == "signature 'a'(x: float32 [2, 2]): why"
    assert attempts.notes == [found[1], found[3]]


def test_a_signature_that_loses_calls_again_and_again_is_given_up():
    attempts = Attempts([Lost(3, 0, "why"), Lost(4, 0, "why")])
    found = [attempts.refuses(call) for call in _CALLS]
    assert GIVEN_UP not in found[2]
    assert GIVEN_UP in found[3] and _HOPELESS.search(found[3])


def test_a_signature_that_waits_is_given_up_at_once():
    found = Attempts([Lost(1, 0, BLOCKS)]).refuses(_CALLS[0])
    assert _HOPELESS.search(found)


def test_a_signature_with_many_lost_calls_is_not_tried_further():
    calls = [_CALLS[0]] * (MOST_TRIED + 2)
    attempts = Attempts([Lost(n, 0, "why") for n in range(2, MOST_TRIED + 2)])
    found = [attempts.refuses(call) for call in calls]
    assert found[0] == ""  # It was made before the others were lost.
    assert found[-1].endswith(GIVEN_UP)
    assert attempts.notes[-1] == f"signature 'a': no other calls are tried, since {MOST_TRIED} are lost"
    assert len(attempts.notes) == MOST_TRIED + 1
    assert attempts.refuses(_CALLS[4]) == ""


def test_a_replayed_call_that_is_lost_is_left_out():
    # The second was found in a process that had the first left out already.
    left, _, notes = without(_CALLS, (), [Lost(9, 0, "tried"), Lost(4, 10, "why"), Lost(8, 8, "then")])
    assert left == (_CALLS[0], _CALLS[2], _CALLS[3])
    assert notes == ("signature 'a'(x: float32 [2, 2]): why", "signature 'b'(x: float32 [5, 2]): then")


def test_where_every_tried_call_is_lost_none_is_left_out():
    assert without((), (), [Lost(1, 0, "tried")]) == ((), (), ())


def test_a_signature_of_which_every_call_is_lost():
    left, _, notes = without(_CALLS[:3], (), [Lost(6, 6, "why")])
    assert uncalled(notes, ("a", "b"), left) == {"b": notes[0]}
    assert uncalled((), ("a", "b"), left) == {}


_TWICE = tuple(call for call in _CALLS for _ in range(2))


@pytest.mark.parametrize("path", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1])
def test_a_call_that_costs_a_candidate_is_made_on_no_path(path, second):
    found = positions([Lost(path * 10 + 5 + second, 30, "why")], _TWICE)
    assert found == dict.fromkeys((4, 5), "signature 'b'(x: float32 [3, 2]): why")


@pytest.mark.parametrize("lost", [[Lost(5, 30, BLOCKS)], [Lost(5, 30, "why"), Lost(17, 30, "why")]])
def test_the_rest_of_its_signature_is_not_made_then(lost):
    found = positions(lost, _TWICE)
    assert sorted(found) == [4, 5, 6, 7, 8, 9]
    assert found[4].startswith("signature 'b'")
    assert found[9].startswith("not made")


def test_a_call_in_words():
    sparse = SparseValue(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.array([3, 4]))
    text = np.array([b"a"], dtype=object)
    assert described(Call("s", {"t": text, "v": sparse})) == "signature 's'(t: string [1], v: sparse float32 [3, 4])"
    many = Call("s", {f"x{n}": np.float32(0) for n in range(20)})
    assert described(many).endswith("x7: float32 [], ...)")


_IDLE = Window(1.0, 0.001, 0)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([_IDLE] * 5, True),
        ([_IDLE] * 4, False),
        ([Window(1.0, 1.0, 0), *[_IDLE] * 5], True),
        ([*[_IDLE] * 5, Window(1.0, 0.02, 0)], False),  # It computes, if slowly.
        ([*[_IDLE] * 4, Window(1.0, 0.0, 3)], False),  # It reads.
        ([*[_IDLE] * 4, Window(30.0, 0.0, 0)], False),  # It was stopped.
    ],
)
def test_a_process_that_does_nothing(windows, expected):
    assert is_idle(windows, 1.0) == expected


def _child(text):
    program = f"import threading\nfrom migrate.verify.watch import watched\n{text}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_a_call_that_waits_for_ever_ends():
    done = _child("with watched(0.2): threading.Event().wait()")
    assert done.returncode == BLOCKED
    assert "has done nothing" in done.stderr


@pytest.mark.slow
def test_what_is_not_watched_may_wait():
    done = _child("with watched(0.2): pass\nthreading.Event().wait(1)\nprint('there')")
    assert (done.returncode, done.stdout) == (0, "there\n")


@pytest.mark.parametrize(("call", "calls"), [(3, 8), (3, 0)])
def test_the_end_of_a_process_says_at_which_call(call, calls, monkeypatch):
    from migrate.processes import forks

    with JobFiles() as files:
        monkeypatch.setenv(forks.COUNT, str(files.result))
        forks.count(call, calls)
        assert result_of("golden", files, str, -signal.SIGABRT) == Crashed("golden", -signal.SIGABRT, "", call, calls)
        # Only calls of which the number is known are shown while they are made.
        assert files.count() == ((call, calls) if calls else None)
        forks.count(0, 0)
        assert result_of("golden", files, str, -signal.SIGABRT) == Crashed("golden", -signal.SIGABRT, "")
        os.lseek(files.result, 0, os.SEEK_SET)


@pytest.mark.parametrize("offset", [0, 1, (1 << 39) - 1, 1 << 39, (1 << 39) + (5 << 15) + 6, 1 << 43])
def test_an_offset_that_says_nothing(offset):
    with JobFiles() as files:
        os.lseek(files.result, offset, os.SEEK_SET)
        assert files.at() == (0, 0)


def test_a_lost_call_that_is_made_once_takes_no_other_one_with_it():
    left, once, notes = without(_CALLS[:2], _CALLS[2:4], [Lost(6, 6, "why"), Lost(5, 5, "then")])
    assert (left, once, len(notes)) == (_CALLS[:2], (), 2)
    sequence = (*[call for call in _CALLS[:2] for _ in range(2)], *_CALLS[2:4])
    assert set(positions([Lost(6 + 5, 18, "why")], sequence, 2)) == {4}
    assert set(positions([Lost(3, 18, "why")], sequence, 2)) == {2, 3}
