from __future__ import annotations

import pytest

import migrate
from tests.report.reports import MODELS as REPORTS


def test_a_report_is_short_in_a_terminal_and_a_table_in_a_notebook():
    report = migrate.Report(REPORTS)
    assert repr(report).startswith(f"<Report: {len(REPORTS)} models: 1 convertible, 1 already_tf2, ")
    assert len(repr(report)) < 300 and len(repr(report.models[0])) < 100
    html = report._repr_html_()
    assert html.count("<tr>") == len(REPORTS) + 1
    odd = migrate.ModelReport("<script>", None, migrate.Kind.UNKNOWN, migrate.Refused())
    assert "<script>" not in migrate.Report((odd,))._repr_html_()


def test_a_report_as_a_table_of_pandas():
    pytest.importorskip("pandas")
    frame = migrate.Report(REPORTS).to_dataframe()
    assert list(frame["outcome"])[:2] == ["convertible", "already_tf2"] and len(frame) == len(REPORTS)


def test_a_report_as_a_table_without_pandas_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pandas"):
        migrate.Report(()).to_dataframe()
