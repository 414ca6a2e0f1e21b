"""A report as SARIF: made of the JSON document alone, sound whatever a model is called."""

from __future__ import annotations

import dataclasses
import json

import pytest

from migrate.finding_codes import meaning
from migrate.records import Converted, Finding, Mismatched, Refused, Report, Severity, Unreadable, refusal
from migrate.report.json import to_document
from migrate.report.sarif import to_sarif
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import DIFFERENT, MODELS, REFUSAL, model


def _document(*models):
    return json.loads(json.dumps(to_document(Report(models))))


def _sarif(*models):
    return json.loads(to_sarif(_document(*models)))


def test_sarif_has_a_result_a_finding():
    note = Finding("device-pin", Severity.NOTE, "pinned", ("a", "b"))
    warning = Finding("random-op", Severity.WARNING, "draws")
    stop = refusal("unknown-op", "an op nobody knows", ("n",), "drop it")
    log = _sarif(model("a b", Refused(), findings=(stop, warning, note)), model("c", Converted()))
    (run,) = log["runs"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("unknown-op", "error"),
        ("random-op", "warning"),
        ("device-pin", "note"),
    ]
    first = run["results"][0]
    assert first["message"]["text"] == "an op nobody knows\nHint: drop it"
    (location,) = first["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/a%20b"
    assert location["logicalLocations"] == [{"fullyQualifiedName": "n", "kind": "element"}]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["shortDescription"]["text"] == meaning(result["ruleId"])


def test_sarif_tells_of_endings_that_no_finding_explains():
    results = _sarif(*MODELS)["runs"][0]["results"]
    assert {r["ruleId"] for r in results if r["ruleId"].startswith("outcome-")} == {
        "outcome-unreadable",
        "outcome-failed",
        "outcome-crashed",
        "outcome-timed-out",
    }


def test_each_code_of_a_difference_is_a_result_in_sarif():
    note = dataclasses.replace(DIFFERENT.mismatches[0], code="shape-differs", clients=(), reason="wider")
    shown = model("m", Mismatched("n"), verification=dataclasses.replace(DIFFERENT, mismatches=(note, note)))
    results = _sarif(*(m for m in MODELS if m.source == "models/mismatched"), shown)["runs"][0]["results"]
    assert [(r["ruleId"], r["level"]) for r in results] == [
        ("answer-differs", "error"),
        ("shape-differs", "note"),
        ("outcome-mismatched", "error"),
    ]
    assert results[0]["message"]["text"].endswith("; breaks Serving REST, gRPC, Session, Python (and 21 more)")
    assert results[1]["message"]["text"] == "serving_default/y: wider; breaks nobody (and 1 more)"


def test_what_is_unverified_is_a_warning_in_sarif():
    (shown,) = (m for m in MODELS if m.source == "models/partly")
    (result,) = _sarif(shown)["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("unverified", "warning")


def test_sarif_is_what_its_types_say():
    """The pydantic models of the package sarif-pydantic are made after the standard's JSON schema."""
    sarif = pytest.importorskip("sarif_pydantic")
    for models in (MODELS, make_fleet(50), tuple(map(hostile_model, HOSTILE)), ()):
        log = sarif.Sarif.model_validate_json(to_sarif(_document(*models)))
        assert len(log.runs) == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a/b c", "file:///a/b%20c"),
        ("a:b/c", "a%3Ab/c"),
        ("gs://bucket/m 1", "gs://bucket/m%201"),
        ("a\udcff", "a%FF"),
        ("100%/#x?", "100%25/%23x%3F"),
    ],
)
def test_sarif_paths_are_uris(path, uri):
    one = dataclasses.replace(MODELS[-1], source=path)
    (result,) = _sarif(one)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_refusal_that_is_expected_is_suppressed():
    known = model("known", Refused(), findings=(REFUSAL,), expected="refused: " + REFUSAL.code)
    other = model("other", Refused(), findings=(REFUSAL,))
    torn = model("torn", Unreadable("cut off"), expected="unreadable")
    (result,) = _sarif(torn)["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "unreadable"}]
    results = _sarif(known, other)["runs"][0]["results"]
    suppressions = [{"kind": "external", "justification": known.expected}]
    assert [result.get("suppressions") for result in results] == [suppressions, None]
