"""The report of an audit of many models, for people."""

from __future__ import annotations

import pytest

from migrate.records import (
    Convertible,
    Finding,
    GivenFeed,
    ModelOptions,
    Refused,
    Report,
    Severity,
    Unreadable,
    refusal,
)
from migrate.report.audit_text import render_audit
from migrate.report.layout import UNBOUNDED
from migrate.report.text import render
from tests.report.reports import model

_BAD = refusal("unknown-op", "an op nobody knows", ("n1", "n2"), "drop it with --exclude=bad")
_FED = ModelOptions(feed=(GivenFeed("keep_prob:0", "1.0"),))
_REPORT = Report(
    (
        model("good", Convertible(), findings=(Finding("random-op", Severity.WARNING, "draws"),)),
        model("fed", Refused(), findings=(refusal("unfed-placeholder", "needs a value"),), proposed=_FED),
        model("bad", Refused(), findings=(_BAD,)),
        model("torn", Unreadable("models/torn: no such proto\x1b[31m")),
        model("known", Refused(), findings=(_BAD,), expected="refused: unknown-op"),
    )
)


def test_models_that_end_as_expected_are_counted_by_how_they_end():
    torn = model("torn", Unreadable("no such proto"), expected="unreadable")
    head = render_audit(Report((*_REPORT.models, torn)), UNBOUNDED, summary_only=True).splitlines()[0]
    assert head.endswith("2 blocked, 2 blocked as the config expects")


def _lines(width=UNBOUNDED, **settings):
    return render_audit(_REPORT, width, **settings).splitlines()


def test_totals_then_flags_to_copy_then_what_is_blocked_and_what_to_do():
    lines = _lines(summary_only=True)
    assert lines[0] == "5 models: 1 ready, 1 ready with a flag, 2 blocked, 1 blocked as the config expects"
    assert lines[lines.index("  1 model:") + 1] == "    --take_proposals"
    blocked = lines[lines.index("blocked") :]
    assert [line for line in blocked if line.startswith("  1 model: ")] == [
        "  1 model: unknown-op",
        "  1 model: unreadable",
    ]
    assert any(line.endswith("--exclude=bad") and line.strip().startswith("--exclude") for line in blocked)
    assert r"no such proto\x1b[31m" in "".join(blocked)


def test_a_model_with_several_blockers_is_said_to_be_counted_by_the_first():
    both = (_BAD, refusal("python-op", "calls Python"))
    report = Report((model("both", Refused(), findings=both), model("good", Convertible())))
    lines = render_audit(report, UNBOUNDED, summary_only=True).splitlines()
    assert "blocked, each model counted by its first finding" in lines and "  1 model: unknown-op" in lines


def test_a_refusal_that_a_proposal_solves_has_the_color_of_flags():
    lines = render_audit(_REPORT, 200, color=True, details=True).splitlines()
    assert any(line.startswith("\x1b[33mrefusal \x1b[0m") and "unfed-placeholder" in line for line in lines)
    assert any(line.startswith("\x1b[31mrefusal \x1b[0m") and "unknown-op" in line for line in lines)


@pytest.mark.parametrize("width", [UNBOUNDED, 100, 60])
def test_the_table_has_a_row_a_model(width):
    lines = _lines(width)
    head = next(number for number, line in enumerate(lines) if line.startswith("model "))
    assert ("kind" in lines[head].split()) == (width >= 80)
    rows = {line.split()[0]: line.split() for line in lines[head + 1 : head + 6]}
    told = {
        name: next(word for word in row if word in ("ready", "flag", "blocked", "expected"))
        for name, row in rows.items()
    }
    assert told == {"good": "ready", "fed": "flag", "bad": "blocked", "torn": "blocked", "known": "expected"}
    assert {name: row[-1] for name, row in rows.items()} == {
        "good": "random-op",
        "fed": "unfed-placeholder",
        "bad": "unknown-op",
        "torn": "unreadable",
        "known": "unknown-op",
    }


def test_without_details_no_finding_is_told_in_full_and_with_them_each_once():
    assert not any("an op nobody knows" in line for line in _lines())
    lines = _lines(details=True)
    assert [line for line in lines if "an op nobody knows" in line] == ["  an op nobody knows"]
    at = lines.index("refusal unknown-op in 2 models")
    assert {"    bad", "    known"} <= set(lines[at:])
    assert not any("nodes: n1, n2" in line for line in lines)  # Of two models they need not be the same.
    at = lines.index("fed: proposed")
    assert lines[at + 1] == "  --feed=keep_prob:0=1.0"
    assert r"  models/torn: no such proto\x1b[31m" in lines


def test_a_finding_about_files_says_so():
    missing = refusal("checkpoint-shard-missing", "no such file", ("w.data-00000-of-00001",))
    report = Report((model("bad", Refused(), findings=(missing,)), model("good", Convertible())))
    assert "  files: w.data-00000-of-00001" in render_audit(report, UNBOUNDED, details=True).splitlines()
    assert "files: w.data-00000-of-00001" in render(Report(report.models[:1]), UNBOUNDED)


def test_the_summary_alone_has_no_table():
    assert not any(line.startswith("model ") for line in _lines(summary_only=True))


def test_an_expectation_that_does_not_hold_is_told():
    outdated = Finding("expectation-outdated", Severity.WARNING, "the config has expect, and the model is convertible")
    report = Report((model("m", Convertible(), findings=(outdated,)), model("n", Convertible())))
    lines = render_audit(report, UNBOUNDED, summary_only=True).splitlines()
    assert lines[0] == "2 models: 2 ready, 0 ready with a flag, 0 blocked"
    assert any(line.startswith("  m: the config has expect") for line in lines)


def test_color_is_for_those_who_ask():
    assert "\x1b[" in render_audit(_REPORT, 80, color=True)
    assert "\x1b[" not in render_audit(_REPORT, 80)
