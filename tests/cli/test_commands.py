"""The commands that read models."""

from __future__ import annotations

import sys

import pytest

from migrate import api
from migrate.records import Convertible, Report
from tests.cli.fake_api import report, run


@pytest.mark.parametrize("line", ["audit a", "convert a b", "validate b --against=a"])
def test_nothing_is_done_where_nobody_can_see_the_report(line, calls, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert run(line) == 2
    assert "standard output is closed" in capsys.readouterr().err
    assert not calls


def test_a_directory_that_takes_no_report_is_said_before_the_work(calls, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(f"audit a --report={tmp_path / 'file'}") == 2
    assert "no report can be written there" in capsys.readouterr().err
    assert not calls


def test_a_form_without_security_is_said_before_the_work(calls, capsys):
    assert run("audit a --security --format=csv") == 2
    assert not calls and "--security is shown as" in capsys.readouterr().err


def test_a_validation_keeps_its_journal_in_the_report(calls, tmp_path, capsys):
    assert run(f"validate b --against=a --report={tmp_path / 'out'}") == 0
    ((_, operands, settings),) = calls
    assert (operands, settings["against"], settings["journal"]) == (("b",), "a", str(tmp_path / "out"))
    assert capsys.readouterr().err.startswith("the report is in ")


def test_no_model_is_no_success(calls, capsys):
    calls.answer = Report(())
    assert run("convert a b") == 2
    assert capsys.readouterr().err == "migrate: no model was found in a, b\n"


def test_a_report_is_made_again_or_compared(monkeypatch, capsys):
    monkeypatch.setattr(api, "render_report", lambda directory, progress: [f"{directory}/report.html"])
    assert run("report out") == 0
    assert capsys.readouterr() == ("", "the report is in out/report.html\n")
    monkeypatch.setattr(api, "compare_reports", lambda new, against, progress: ())
    assert run("report out --against=old --format=json") == 0
    assert capsys.readouterr().out
    assert run("report out --format=json") == 2


def test_details_of_many_models_are_for_those_who_ask(calls, capsys):
    calls.answer = report(Convertible(), Convertible())
    for quiet in ("", " -q"):
        assert run(f"audit a --summary{quiet}") == 0
        assert capsys.readouterr().out.splitlines() == ["2 models: 2 ready, 0 ready with a flag, 0 blocked"]
