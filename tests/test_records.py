from __future__ import annotations

import dataclasses
import json

import pytest

import migrate
from migrate.records import (
    _NOT_SHAPING,
    _SAME_MODEL,
    AlreadyTF2,
    Convertible,
    Failed,
    Finding,
    Kind,
    MetaGraphFacts,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Refused,
    Report,
    Severity,
    TensorSpec,
    TimedOut,
    Unchanged,
    Unverified,
    Validated,
    Verification,
    chosen_meta_graph,
    graph_shaping,
    gravest_first,
    outcome_name,
    refusal,
    shaping,
)
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


def _finding(code, severity, *nodes):
    return Finding(code, severity, "", nodes)


def test_findings_are_ordered_by_weight_and_nodes_are_told_once():
    note, warning = _finding("a", Severity.NOTE, "x", "y", "x"), _finding("b", Severity.WARNING)
    first, second = refusal("c", ""), refusal("a", "")
    found = gravest_first([note, first, warning, second])
    assert found == (first, second, warning, _finding("a", Severity.NOTE, "x", "y"))
    assert first.severity is Severity.REFUSAL


@pytest.mark.parametrize(
    ("outcome", "name", "ok"),
    [
        (Convertible(), "convertible", True),
        (AlreadyTF2(), "already_tf2", True),
        (Unchanged(), "unchanged", True),
        (Refused(), "refused", False),
        (Unverified("why"), "unverified", False),
        (TimedOut("export", 1.0), "timed_out", False),
    ],
)
def test_outcomes(outcome, name, ok):
    assert outcome_name(outcome) == name
    model = ModelReport("m", None, Kind.UNKNOWN, outcome)
    assert (model.ok, Report((model,)).ok) == (ok, ok)
    assert dataclasses.replace(model, expected="refused: x").ok


def test_outcomes_of_two_kinds_are_never_equal():
    assert Convertible() == Convertible() != AlreadyTF2()
    assert Failed("a") == Failed("a") != Mismatched("a")
    assert len({Convertible(), Convertible(), AlreadyTF2(), Failed("a"), Mismatched("a")}) == 4


def test_the_tensors_of_an_input_by_its_encoding():
    assert TensorSpec("x:0", "float32", ()).tensors == ("x:0",)
    assert TensorSpec("", "float32", (), "coo_sparse", ("v:0", "i:0", "s:0")).tensors == ("v:0", "i:0", "s:0")


@pytest.mark.parametrize(
    ("values", "mismatches", "unverified", "passed"),
    [
        (1, (), {}, True),
        (0, (), {}, False),
        (1, (Mismatch("s", 0, "y", "tf2", ""),), {}, False),
        (1, (Mismatch("s", 0, "y", "tf2", "", "c", ("Python",)),), {}, False),
        (1, (Mismatch("s", 0, "y", "tf2", "", "c", ()),), {}, True),
        (1, (), {"s": ""}, False),
    ],
)
def test_a_verification_passes_where_something_was_compared_and_nothing_differs(values, mismatches, unverified, passed):
    found = Verification(1, 1, values, True, 0.0, 0, 0, (), mismatches, {}, (), unverified)
    assert found.passed is passed


def test_the_meta_graph_that_a_client_means():
    def facts(*tags):
        return MetaGraphFacts(tags, "", 0, {}, (), (), (), (), (), 0, ())

    def chosen(*meta_graphs):
        return chosen_meta_graph(ModelReport("m", None, Kind.UNKNOWN, Convertible(), meta_graphs=meta_graphs))

    assert chosen() is None
    assert chosen(facts("a"), facts("b")) == facts("a")
    assert chosen(facts("train"), facts("gpu", "serve"), facts("serve")) == facts("gpu", "serve")


def test_options_that_decide_what_becomes_of_a_model():
    plain = Options()
    assert shaping(Options(jobs=3, timeout=9, config="m.toml")) == shaping(plain)
    assert shaping(Options(tags="b,a"))["tags"] == ["a", "b"]
    assert graph_shaping(Options(tags="a", verify=False, checkpoint="copy")) == graph_shaping(plain)
    assert graph_shaping(Options(variables=True)) != graph_shaping(plain)
    json.dumps(shaping(Options(signature="s:outputs=y", feed="x:0=1", metadata={"a": "b"})))
    # An option that is new is taken for one that decides.
    names = {field.name for field in dataclasses.fields(Options)}
    assert shaping(plain).keys() == names - _NOT_SHAPING and names >= _NOT_SHAPING | _SAME_MODEL


def test_what_the_report_is_on():
    model = ModelReport("old", "new", Kind.UNKNOWN, Validated(), is_validation=True)
    assert (model.title, dataclasses.replace(model, is_validation=False).title) == ("new", "old")
    found = dataclasses.replace(model, findings=(refusal("a", ""), _finding("b", Severity.NOTE)))
    assert [finding.code for finding in found.refusals] == ["a"]
