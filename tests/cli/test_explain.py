"""`migrate explain`."""

from __future__ import annotations

import pytest

from migrate.cli import output
from migrate.cli.explain import explain
from migrate.errors import UsageError
from migrate.finding_codes import explanations
from migrate.report.labels import BAD


def test_a_code_is_explained_in_four_parts(capsys):
    assert explain(["unknown-op"], None) == 0
    lines = capsys.readouterr().out.split("\n")
    found = explanations()["unknown-op"]
    assert lines == [
        "unknown-op",
        *("", f"  {found.meaning}"),
        *("", "why it matters", f"  {found.why}"),
        *("", "example", f"  {found.example}"),
        *("", "what to do", f"  {found.remedy}"),
        "",
    ]


def test_without_codes_all_are_listed(capsys):
    assert explain([], None) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        *explanations(),
        *("crashed", "failed", "mismatched", "refused", "timed_out", "unreadable"),
    ]


@pytest.mark.parametrize("outcome", BAD)
def test_every_bad_outcome_is_explained(outcome, capsys):
    for written in (outcome, outcome.replace("_", "-")):
        assert explain([written], None) == 0
        assert capsys.readouterr().out.startswith(f"{outcome}\n\n")


@pytest.mark.parametrize("written", ["UNKNOWN-OP", "unknown_op"])
def test_case_and_underscores_are_no_matter(written, capsys):
    assert explain([written], None) == 0
    assert capsys.readouterr().out.startswith("unknown-op\n")


def test_a_code_that_is_not_there_is_said_before_anything_is_printed(capsys):
    with pytest.raises(UsageError, match="there is no finding 'unknwn-op'; did you mean unknown-op"):
        explain(["unknown-op", "unknwn-op"], None)
    with pytest.raises(UsageError, match="migrate explain lists all"):
        explain(["zzzzzz"], None)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_lines_are_wrapped(monkeypatch, capsys):
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "40")
    explain(["unknown-op"], None)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
