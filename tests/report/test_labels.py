"""The words that the files of a report share."""

from __future__ import annotations

import os
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.records import GOOD_OUTCOMES, Kind, Outcome, Report, outcome_name
from migrate.report import labels
from migrate.report.json import to_document
from tests.report.reports import MODELS

_DOCUMENTS = {one["source"].split("/")[1]: one for one in to_document(Report(MODELS))["models"]}


def test_outcomes_are_those_of_the_records():
    assert set(labels.GOOD) == {outcome_name(kind()) for kind in GOOD_OUTCOMES}
    every = {outcome_name(kind.__new__(kind)) for kind in get_args(Outcome)}
    assert {*labels.GOOD, *labels.BAD} == every


def test_every_kind_has_words_of_its_own():
    words = [labels.kind_words(kind.value) for kind in Kind]
    assert len(set(words)) == len(words)
    assert not any("_" in word for word in words)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("convertible", "It can be converted."),
        ("converted", "The new model answers as the source does."),
        ("unverified", "Converted, and not verified."),
        ("failed", "No space left on device"),
        ("crashed", "The step golden died: killed by signal 11."),
        ("timed_out", "The step candidate passed its limit of 600.0 seconds."),
        ("mismatched", "22 outputs differ"),
        ("refused", "1 finding blocks the conversion; nothing was written."),
    ],
)
def test_how_a_model_has_ended(name, said):
    assert labels.explanation(_DOCUMENTS[name]) == said


def test_an_unknown_document_has_no_explanation_and_needs_attention():
    assert labels.explanation({}) == ""
    assert labels.explanation({"outcome": "made_later", "detail": None}) == ""
    assert labels.explanation({"outcome": "crashed", "detail": {"exit_code": 3, "step": "s"}}).endswith("exit code 3.")
    assert labels.needs_attention({"outcome": "made_later"}) and not labels.verified({"outcome": "made_later"})
    assert not labels.needs_attention({"outcome": "refused", "expected": "refused: x"})


def test_verified_is_what_was_compared_and_good():
    assert [name for name, one in _DOCUMENTS.items() if labels.verified(one)] == ["converted", "validated"]


@given(st.text(), st.integers(1, 50))
def test_cut_keeps_the_beginning(text, characters):
    short = labels.cut(text, characters)
    assert len(short) <= characters
    assert short == text if len(text) <= characters else text.startswith(short[:-1]) and short[-1] == "\u2026"


_PARTS = st.lists(st.text("ab ", min_size=1), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(_PARTS, max_size=6, unique_by=tuple))
def test_short_names_are_the_ends_of_the_paths_and_as_different_as_they(parts):
    sources = [f"/root/{'/'.join(part)}" for part in parts]
    short = labels.short_names(sources)
    assert len(set(short)) == len(sources)
    assert all(name and source.endswith(f"/{name}") for name, source in zip(short, sources, strict=True))
    if len(sources) > 1 and len({os.path.dirname(source) for source in sources}) == 1:
        assert not any("/" in name for name in short)


@given(st.integers(0, 10**17))
def test_a_size_is_right_to_a_decimal(number):
    words = labels.size_words(number)
    value, unit = words.replace(",", "").split()
    scale = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(value) * scale == pytest.approx(number, abs=0.051 * scale)
    assert float(value) < 1000 or unit == "TB"


def test_counts():
    assert labels.tally({"a": 0}) == ""
