"""The loop that validates untouched conversions: which models it takes, and what it calls a false alarm."""

from __future__ import annotations

import pytest

from migrate.records import Failed, Kind, Mismatched, ModelReport, Unverified, Validated
from migrate.verify.differences import mismatch
from tools.untouched import OPTIONS, alarm, chosen


def test_a_tree_is_taken_whole_or_in_steps(tmp_path):
    for name in ("b", "a", "d", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "INDEX.jsonl").write_text("")
    assert chosen(str(tmp_path)) == (str(tmp_path), OPTIONS)
    path, options = chosen(f"{tmp_path}:3")
    assert (path, options.include) == (str(tmp_path), ("a", "a/*", "d", "d/*"))


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Validated(), ""),
        (Unverified("one output"), ""),
        (Mismatched("one differs"), "mismatched: "),
        (Failed("no"), "failed: "),
    ],
)
def test_what_is_said_to_differ_is_an_alarm(outcome, told):
    report = ModelReport("source", "candidate", Kind.TF1_SAVED_MODEL, outcome)
    assert alarm(report).startswith(told) and bool(alarm(report)) == bool(told)


def test_an_alarm_names_the_first_differences():
    from migrate.model.verdict import without_calls

    told = without_calls((mismatch("tag-set-differs", "contract", "expected one"),))
    report = ModelReport("source", "candidate", Kind.TF1_SAVED_MODEL, Mismatched("one differs"), verification=told)
    assert alarm(report) == "mismatched: tag-set-differs /: expected one"
