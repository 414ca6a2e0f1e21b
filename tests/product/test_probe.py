"""replay.probe: which of the synthesised calls are made, by the time that they take."""

from __future__ import annotations

import pytest

from migrate.verify import replay
from migrate.verify.calls import Call, CandidateCalls


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(replay, "time", found)
    return found


def _family(count):
    return tuple(Call(f"s{number}", {}) for number in range(count))


def _probe(clock, families, seconds, deadline=100.0, accepts=lambda call: True):
    def attempt(call, left):
        clock.now += seconds
        return (call, "") if accepts(call) else (None, "refused")

    return replay.probe(CandidateCalls("s", families), deadline, attempt)


def test_a_quick_model_is_given_every_call(clock):
    assert _probe(clock, (_family(5),), 0.1) == (_family(5), "")


def test_a_slow_model_is_given_what_can_be_replayed_in_the_time_that_is_left(clock):
    calls, _ = _probe(clock, (_family(5),), 4.0)
    assert calls == _family(2)
    # 10 s a call cannot be made ten times in what is left of 100 s: one call is better than none.
    clock.now = 0.0
    assert _probe(clock, (_family(5),), 10.0)[0] == _family(1)


def test_calls_that_are_refused_are_not_replayed(clock):
    late = {"s3", "s4"}
    calls, reason = _probe(clock, (_family(5),), 2.0, accepts=lambda call: call.signature in late | {"s0"})
    assert ([call.signature for call in calls], reason) == (["s0", "s3", "s4"], "refused")


def test_a_variable_without_a_value_is_missed_in_one_branch_and_not_in_another(clock):
    calls = (_family(5), _family(5))

    def attempt(call, left):
        return (call, "") if call.signature == "s4" else (None, "FailedPreconditionError: uninitialized value")

    assert replay.probe(CandidateCalls("s", calls), 100.0, attempt)[0] == (Call("s4", {}),)
    asked = []
    assert replay.probe(
        CandidateCalls("s", calls),
        100.0,
        lambda call, left: asked.append(call) or (None, "FailedPreconditionError: uninitialized value"),
    ) == ((), "FailedPreconditionError: uninitialized value")
    assert len(asked) == 5  # Another shape does not help.


def test_without_time_there_is_no_call(clock):
    assert _probe(clock, (_family(5),), 1.0, deadline=0.0) == (
        (),
        "no time was left to find a call that the source accepts",
    )
