"""What migrate status says, as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.report.layout import UNBOUNDED
from migrate.report.status import age, render


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 seconds"), (1, "1 second"), (61, "1 minute"), (7300, "2 hours"), (1e6, "11 days")]
)
def test_an_age_is_said_in_its_largest_unit(seconds, said):
    assert age(seconds) == said


def _model(name, outcome="converted", **fields):
    given = {"good": True, "verified": True, "changes": (), "expected": "", "other_version": False, "time": 1000.0}
    return {"name": name, "outcome": outcome, **given, **fields}


def _lines(*models, now=1000.0 + 7300):
    return render({"tree": "new tree", "models": models}, UNBOUNDED, color=False, now=now).splitlines()


def test_a_tree_its_models_and_totals():
    lines = _lines(
        _model("a"),
        _model("b", verified=False, time=None),
        _model("c", "refused", good=False, changes=("the source has changed", "the new model is gone")),
        _model("e", "refused", expected="refused: unknown-op"),
        _model("d\x1b", other_version=True, time=8240.0),
    )
    assert lines[0] == "new tree: 5 models in the journal, the last one done 1 minute ago"
    rows = [re.split(r" {2,}", line.strip()) for line in lines[3:8]]
    assert rows == [
        ["a", "converted and verified", "2 hours"],
        ["b", "converted, not verified"],
        ["c", "refused", "2 hours", "the source has changed; the new model is gone"],
        ["e", "refused, as expected", "2 hours"],
        [r"d\x1b", "converted and verified", "1 minute"],
    ]
    assert lines[-3:] == [
        "5 models: 2 converted and verified; 1 converted, not verified; 1 refused; 1 refused, as expected",
        "changed since, by number of models: 1 the source has changed; 1 the new model is gone",
        "1 written by another version of migrate or TensorFlow",
    ]


def test_a_tree_in_which_nothing_has_changed():
    assert _lines(_model("a"))[-1] == "nothing has changed since"
    assert _lines()[0] == "new tree: 0 models in the journal"


def test_a_narrow_terminal_breaks_no_name():
    name = "a_long_name/" * 5 + "with a space"
    assert name in render({"tree": "t", "models": [_model(name)]}, 1, color=False, now=1.0).replace("\xa0", " ")


@given(st.floats(0, 1e9))
def test_an_age_is_at_most_the_time_that_has_passed(seconds):
    number, unit = age(seconds).replace(",", "").split()
    size = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[unit.removesuffix("s")]
    assert int(number) * size <= seconds < (int(number) + 1) * size
    assert unit.endswith("s") == (int(number) != 1)
