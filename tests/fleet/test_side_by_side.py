"""Threads that drive models one at a time each."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import InterruptedRunError
from migrate.fleet import side_by_side as module
from migrate.fleet.side_by_side import side_by_side
from migrate.records import Converted, Failed, Kind, ModelReport
from tests.waiting import PATIENCE_SECONDS


class _Nursery:
    closed = 0

    def close(self):
        self.closed += 1


def _report(name, good=True):
    return ModelReport(str(name), None, Kind.FROZEN_GRAPH, Converted() if good else Failed("why"))


def _drive(tasks, take, jobs=1, fail_fast=False, goes_on=True, nursery=None):
    events = []
    found = side_by_side(tasks, take, jobs, nursery or _Nursery(), events.append, fail_fast, goes_on)
    return [report.source for report in found], events


@settings(max_examples=20)
@given(st.integers(0, 12), st.integers(1, 4))
def test_reports_are_in_the_order_of_the_tasks_whoever_is_first(count, jobs):
    found, events = _drive(range(count), lambda task, worker: _report(task), jobs)
    assert found == list(map(str, range(count)))
    assert [event.done for event in events] == list(range(1, count + 1))
    assert {event.models for event in events} <= {count}


def test_two_are_done_at_once_by_two_workers():
    both = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    workers = []

    def take(task, worker):
        workers.append(worker)
        both.wait()
        return _report(task)

    _drive(range(2), take, jobs=2)
    assert sorted(workers) == [0, 1]


@pytest.mark.parametrize("fail_fast", [False, True])
def test_after_one_that_is_not_good_no_more_are_started_where_that_is_wanted(fail_fast, monkeypatch):
    cancelled = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)

    def take(task, worker):
        if task == 1 and fail_fast:
            assert cancelled.wait(PATIENCE_SECONDS)
        return _report(task, good=task != 0)

    found, _ = _drive(range(4), take, fail_fast=fail_fast)
    # The second one may have begun.
    assert found in ([["0"], ["0", "1"]] if fail_fast else [["0", "1", "2", "3"]])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize(("tasks", "goes_on"), [(3, True), (3, False), (1, True)])
def test_an_exception_ends_all_of_it(error, tasks, goes_on):
    nursery = _Nursery()

    def take(task, worker):
        if task == tasks - 1:
            raise error
        return _report(task)

    with pytest.raises(type(error)) as raised:
        _drive(range(tasks), take, goes_on=goes_on, nursery=nursery)
    assert nursery.closed == 1
    can_go_on = isinstance(error, KeyboardInterrupt) and goes_on and tasks > 1
    assert isinstance(raised.value, InterruptedRunError) == can_go_on
    if can_go_on:
        assert str(raised.value) == "interrupted: 2 of 3 models done; the same command continues"
