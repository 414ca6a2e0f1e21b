from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.events import Began, Called, Finished, Step, Warned, called, event_of
from migrate.records import Convertible, Kind, ModelReport


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Began(12_345, 4), "12,345 models, 4 at a time"),
        (Step(0, "m", "reading"), "m: reading"),
        (Called(1, "m", 2, 3), "m: call 2 of 3"),
        (Finished(0, ModelReport("m", None, Kind.UNKNOWN, Convertible()), 2, 5), "[2/5] m: Convertible"),
        (Warned("look out"), "look out"),
    ],
)
def test_events_as_text(event, text):
    assert str(event) == text


@settings(max_examples=30)
@given(st.integers(0, 99_999), st.integers(0, 99_999))
def test_the_line_of_a_call_means_that_call(call, calls):
    assert event_of(3, "m", called(call, calls)) == Called(3, "m", call, calls)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "reading",
        "call 1 of",
        "call 100000 of 1",
        "call 1 of 2 ",
        "call 1 of 2\n",
        "a call 1 of 2",
        "call \u0661 of 2",
    ],
)
def test_any_other_line_is_a_step(line):
    assert event_of(3, "m", line) == Step(3, "m", line)
