"""Progress in a log, one line per model."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.events import Began, Called, Finished, Step, Warned
from migrate.records import AlreadyTF2, Converted, Refused, TimedOut
from migrate.report.progress import line
from tests.report.reports import model


@pytest.mark.parametrize("event", [Began(3, 2), Step(0, "m", "reading"), Called(0, "m", 1, 2)])
def test_what_goes_on_has_no_line(event):
    assert line(event) is None


def test_a_warning_has_a_line():
    assert line(Warned("the journal is damaged")) == "migrate: the journal is damaged"


def test_a_model_alone_has_no_line():
    assert line(Finished(0, model("m", Converted()), 1, 1)) is None


@pytest.mark.parametrize(
    ("fields", "outcome", "said"),
    [
        ({}, Converted(), "converted: models/m"),
        ({}, AlreadyTF2(), "already tf2: models/m"),
        ({"seconds": {"read": 1.25, "export": 2.0}}, Converted(), "converted: models/m (3.2 s)"),
        ({"skipped": True, "seconds": {"read": 9.0}}, Converted(), "converted before, skipped: models/m"),
        ({"duplicate_of": "models/other"}, Converted(), "converted, as a copy: models/m"),
        ({"expected": "refused: unknown-op"}, Refused(), "refused as expected: models/m"),
        ({"is_validation": True}, TimedOut("golden", 60.0), "timed out: new/m"),
    ],
)
def test_how_a_model_of_many_has_ended(fields, outcome, said):
    found = dataclasses.replace(model("m", outcome), **fields)
    assert line(Finished(0, found, 2, 3)) == f"[2/3] {said}"


def test_counts_are_under_one_another():
    found = model("m", Converted())
    said = [line(Finished(0, found, done, 100)) for done in (1, 10, 100)]
    assert [text.partition("]")[0] for text in said] == ["[  1/100", "[ 10/100", "[100/100"]
