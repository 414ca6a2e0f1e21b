"""probe.probe: which of the synthesised calls are made, by the time that they take."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.records import Signature
from migrate.verify import probe
from migrate.verify.calls import Call, CandidateCalls, Wider
from migrate.verify.coverage import Needed, Trace


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(probe, "time", found)
    return found


def _family(count):
    return tuple(Call(f"s{number}", {}) for number in range(count))


def _probe(clock, families, seconds, deadline=100.0, accepts=lambda call: True):
    def attempt(call, left):
        clock.now += seconds
        return (call, "") if accepts(call) else (None, "refused")

    return probe.probe(CandidateCalls("s", families), deadline, attempt)


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

    assert probe.probe(CandidateCalls("s", calls), 100.0, attempt)[0] == (Call("s4", {}),)
    asked = []
    assert probe.probe(
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


class _Source:
    """A prober whose source accepts what it is told to, and says which nodes ran."""

    def __init__(self, accepts, nodes=lambda call: {"n"}, error="InvalidArgumentError"):
        self._accepts, self._nodes = accepts, nodes
        self._error = type(error, (Exception,), {"op": None})
        self.refusal = None
        self.asked = []

    def trace(self, call):
        return Trace(frozenset(self._nodes(call)), 1000 * len(call.inputs["x"]) + 100)

    def attempt(self, signature, derived, call, seconds):
        self.asked.append(call)
        if self._accepts(call):
            return call, ""
        self.refusal = self._error("node n: refused")
        return None, "refused"


def _rows(*rows):
    return Call("s", {"x": np.array(rows, np.float32)})


def _found(source, wider, nodes=frozenset({"n"}), stateful=frozenset(), derived=()):
    needed = Needed({"s": frozenset(nodes)}, {}, frozenset(stateful))
    finder = probe._Wider(source, needed, float("inf"))
    candidates = CandidateCalls("s", (), derived, wider=lambda calls, most: wider)
    finder.find(Signature("s", "", {}, {}), candidates, [_rows(1, 2), _rows(1)], 1)
    return finder


def _values(finder):
    return [call.inputs["x"].tolist() for call in finder.calls]


def test_accepted_wider_calls_are_made_and_none_twice():
    wider = [Wider("a", _rows(5)), Wider("b", _rows(5)), Wider("c", _rows(1))]
    assert _values(_found(_Source(lambda call: True), wider)) == [[5.0]]


def test_what_a_source_refuses_is_asked_in_parts_and_one_refusal_of_a_node_is_kept():
    wider = [Wider("a", _rows(5, -1), (_rows(5), _rows(-1))), Wider("b", _rows(-2))]
    source = _Source(lambda call: (call.inputs["x"] >= 0).all())
    assert _values(_found(source, wider)) == [[5.0, -1.0], [5.0]]
    assert len(source.asked) == 4


def _halves(call):
    values = call.inputs["x"].tolist()
    middle = len(values) // 2
    return (_rows(*values[:middle]), _rows(*values[middle:])) if middle else ()


def test_a_call_that_is_refused_for_some_of_its_rows_is_made_without_them():
    source = _Source(lambda call: (call.inputs["x"] >= 0).all())
    found = _values(_found(source, [Wider("a", _rows(3, 4, -1, 5, 6, 7), apart=_halves)]))
    assert sorted(value for call in found[1:] for value in call) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert found[0] == [3.0, 4.0, -1.0, 5.0, 6.0, 7.0]  # A refusal is an answer, too.


def test_a_call_that_is_refused_whatever_its_rows_are_is_cut_so_often_and_no_more():
    source = _Source(lambda call: False)
    _found(source, [Wider("a", _rows(*range(1000)), apart=_halves)])
    assert 20 <= len(source.asked) <= 40


def test_a_call_is_not_cut_for_an_error_that_is_not_of_the_input():
    source = _Source(lambda call: False, error="ResourceExhaustedError")
    _found(source, [Wider("a", _rows(5, 6, 7), apart=_halves)])
    assert len(source.asked) == 1


@pytest.mark.parametrize("error", ["NotFoundError", "DeadlineExceededError", "ResourceExhaustedError", "ValueError"])
def test_an_error_that_is_not_of_the_input_is_no_answer(error):
    assert _values(_found(_Source(lambda call: False, error=error), [Wider("a", _rows(5))])) == []


def test_a_model_that_keeps_state_is_given_no_nan_and_no_refused_call():
    wider = [Wider("not finite", _rows(float("nan"))), Wider("a", _rows(5)), Wider("b", _rows(-1))]
    source = _Source(lambda call: (call.inputs["x"] >= 0).all())
    assert _values(_found(source, wider, stateful={"s"})) == [[5.0]]


def test_a_call_for_a_branch_is_kept_where_it_takes_one_that_no_other_call_takes():
    wider = [Wider("a branch", _rows(value), is_for_new=True) for value in (5, 6, 7)]
    source = _Source(lambda call: True, lambda call: {"n", "m"} if call.inputs["x"][0] >= 6 else {"n"})
    found = _found(source, wider, {"n", "m"})
    assert _values(found) == [[6.0]]
    assert found.executed["s"] == {"n", "m"}
    assert len(source.asked) == 2  # Nothing is left to be reached.


def test_wider_calls_cost_little(monkeypatch):
    monkeypatch.setattr(probe, "_CHEAP_WORK", 0)
    wider = [Wider("a", _rows(*range(100))), Wider("b", _rows(3)), Wider("c", _rows(4)), Wider("d", _rows(6))]
    # The ordinary calls cost 3,200 together, and a row 1,000 beside 100 for the call.
    assert _values(_found(_Source(lambda call: True), wider)) == [[3.0]]
