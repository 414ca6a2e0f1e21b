"""The loop that validates untouched conversions: which models it takes, and what it calls a false alarm."""

from __future__ import annotations

import pytest

from migrate.records import Failed, Kind, Mismatched, ModelReport, Unverified, Validated
from migrate.verify.differences import mismatch
from tools.untouched import OPTIONS, alarm, chosen, counted, label, section, together


def test_a_tree_is_taken_whole_or_in_steps(tmp_path):
    for name in ("b", "a", "d", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "INDEX.jsonl").write_text("")
    assert chosen(str(tmp_path)) == (str(tmp_path), OPTIONS)
    path, options = chosen(f"{tmp_path}:3")
    assert (path, options.include) == (str(tmp_path), ("a", "a/*", "d", "d/*"))
    assert chosen(f"{tmp_path}:3:1")[1].include == ("b", "b/*")


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
    assert alarm(report) == "mismatched: tag-set-differs /, contract, call -1: expected one"


def _report(name, outcome):
    return ModelReport(f"models/{name}", name, Kind.TF1_SAVED_MODEL, outcome)


def test_a_copy_that_cannot_be_run_is_no_alarm():
    found = counted(
        [
            (_report("good", Validated()), False),
            (_report("lost", Failed("no such file")), True),
            (_report("broken", Failed("no answer")), False),
            (_report("held", Failed("not run: it writes files")), False),
            (_report("wrong", Mismatched("one differs")), True),
        ]
    )
    assert found["outcomes"] == {"failed": 1, "mismatched": 1, "validated": 1}
    assert set(found["alarms"]) == {"broken", "wrong"} and set(found["not_run"]) == {"lost", "held"}


def test_a_reason_has_no_path_of_this_machine():
    (reason,) = counted([(_report("lost", Failed("NotFoundError: models/lost/variables/index")), True)])[
        "not_run"
    ].values()
    assert reason == "NotFoundError: lost/variables/index"


def test_pieces_of_a_tree_are_counted_together():
    one = counted([(_report("a", Validated()), False)])
    other = counted([(_report("b", Validated()), False), (_report("c", Failed("no")), True)])
    both = together(one, other)
    assert (both["models"], both["outcomes"], list(both["not_run"])) == (3, {"validated": 2}, ["c"])
    lines = section({label("somewhere/models"): both})
    assert "| corpus | 3 | 2 | 0 | 0 | 1 |" in lines and any(line.startswith("- Not run: `c`") for line in lines)
    assert label("testdata/models") == "testdata/models"
