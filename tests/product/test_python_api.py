"""The Python API: paths, options that are checked when they are made, reports in notebooks, examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import pathlib
import re

import numpy as np
import pytest

import migrate
from migrate import api
from migrate.errors import UsageError
from migrate.events import Began, Finished, Step
from migrate.records import GivenFeed, GivenSignature, Options
from tests.conversions import MODELS, ROOT
from tests.report.reports import MODELS as REPORTS

_WITH_TENSORFLOW = {"convert", "validate"}


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"tags": "serve"}, "tags", frozenset({"serve"})),
        ({"tags": "serve,gpu"}, "tags", frozenset({"serve", "gpu"})),
        ({"tags": ["serve"]}, "tags", frozenset({"serve"})),
        ({"tags": ""}, "tags", frozenset()),
        ({"tags": None}, "tags", None),
        ({"inputs": pathlib.Path("calls.json")}, "inputs", "calls.json"),
        ({"include": "ads/*"}, "include", ("ads/*",)),
        ({"include": ["a", "b"]}, "include", ("a", "b")),
        ({"max_ulps": np.int64(3)}, "max_ulps", 3),
        ({"timeout": 5}, "timeout", 5.0),
        ({"metadata": {"team": "ads"}}, "metadata", (("team", "ads"),)),
        (
            {"feed": {"keep_prob": 1.0, "training:0": False}},
            "feed",
            (GivenFeed("keep_prob:0", "1.0"), GivenFeed("training:0", "false")),
        ),
        ({"feed": "x:0=1"}, "feed", (GivenFeed("x:0", "1"),)),
        ({"signature": "f:outputs=y"}, "signature", (GivenSignature("f", (), (("y", "y:0"),)),)),
        (
            {"signature": [GivenSignature("f", (), (("y", "y:0"),))]},
            "signature",
            (GivenSignature("f", (), (("y", "y:0"),)),),
        ),
    ],
)
def test_options_take_what_people_write(given, field, value):
    found = getattr(Options(**given), field)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"checkpoint": "lnk"}, "Options(checkpoint='lnk'): wants auto, link, copy or rewrite; did you mean 'link'?"),
        ({"verify": "no"}, "Options(verify='no'): wants True or False"),
        ({"verify": 1}, "Options(verify=1): wants True or False"),
        ({"allow_unverified": None}, "Options(allow_unverified=None): wants True or False"),
        ({"max_ulps": -1}, "Options(max_ulps=-1): wants a whole number, 0 or more"),
        ({"max_ulps": True}, "Options(max_ulps=True): wants a whole number, 0 or more"),
        ({"max_ulps": 1.5}, "Options(max_ulps=1.5): wants a whole number, 0 or more"),
        ({"jobs": 0}, "Options(jobs=0): wants a whole number, 1 or more"),
        ({"timeout": float("nan")}, "Options(timeout=nan): wants a number of seconds"),
        ({"audit_seconds": "10"}, "Options(audit_seconds='10'): wants a number of seconds"),
        ({"tags": 3}, "Options(tags=3): wants a sequence"),
        ({"tags": [3]}, "Options(tags=3): wants the tags of one tag set"),
        ({"include": [3]}, "Options(include=3): wants text"),
        ({"inputs": 3}, "Options(inputs=3): wants a path"),
        ({"signature": "f"}, "--signature='f': has no outputs"),
        ({"signature": [3]}, "Options(signature=3): wants GivenSignature, or the text of the flag"),
        ({"signature": ["f:outputs=y", "f:outputs=z"]}, "Options(signature=...): 'f' is there twice"),
        ({"feed": "x"}, "--feed='x': expected"),
        ({"metadata": [("a",)]}, "Options(metadata=('a',)): wants pairs of text"),
    ],
)
def test_options_are_checked_when_they_are_made(given, said):
    with pytest.raises(UsageError) as error:
        Options(**given)
    assert str(error.value).startswith(said)


def test_outcomes_events_and_facts_are_exported():
    (refused,) = migrate.audit(MODELS / "unknown_op").models
    assert isinstance(refused, migrate.ModelReport) and isinstance(refused.outcome, migrate.Refused)
    for name in migrate.__all__:
        assert hasattr(migrate, name)
    outcomes = {kind.__name__ for kind in migrate.Outcome.__args__}
    assert outcomes <= set(migrate.__all__)


def test_paths_may_be_any_path(tmp_path):
    report = migrate.audit([MODELS / "counter", str(MODELS / "tf2")])
    assert [model.source for model in report.models] == [str(MODELS / "counter"), str(MODELS / "tf2")]
    assert migrate.write_report(report, tmp_path / "out")[0] == str(tmp_path / "out" / "report.json")
    assert migrate.render_report(tmp_path / "out")
    assert [c.kind for c in migrate.compare_reports(tmp_path / "out", against=tmp_path / "out")] == ["same", "same"]
    assert migrate.inputs(MODELS / "counter")


def test_audit_tells_the_events_that_the_others_tell():
    told = []
    migrate.audit([MODELS / "counter", MODELS / "tf2"], progress=told.append)
    assert [type(event) for event in told] == [Began, Step, Finished, Step, Finished]
    assert (told[0].models, told[-1].done) == (2, 2)


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


def _modules():
    for file in sorted((ROOT / "migrate").rglob("*.py")):
        if re.search(r"^ +>>> ", file.read_text(encoding="utf-8"), re.MULTILINE):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("name", list(_modules()))
def test_the_examples_in_docstrings(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    _run(importlib.import_module(name), lambda test: test.name.rpartition(".")[2] not in _WITH_TENSORFLOW, {})


@pytest.mark.tensorflow
def test_the_examples_that_start_tensorflow(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    _run(api, lambda test: test.name.rpartition(".")[2] in _WITH_TENSORFLOW, {"new": tmp_path})


def _run(module, wanted, given):
    ran = 0
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=given):
        if test.examples and wanted(test):
            ran += runner.run(test).attempted
    assert ran and not runner.failures
    assert os.getcwd() == str(ROOT)
