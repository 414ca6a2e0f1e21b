"""docs/reference/: made of the program, and the schema that report.json keeps."""

from __future__ import annotations

import json

import pytest

from migrate.records import Report
from migrate.report.json import to_document
from tests.conversions import ROOT
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import MODELS
from tools import make_reference


@pytest.mark.parametrize("name", sorted(make_reference.pages()))
def test_a_page_is_what_the_program_says(name):
    text = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert text == make_reference.pages()[name], "run python -m tools.make_reference"


def _validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "reference" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_reports_keep_the_schema():
    document = to_document(Report((*MODELS, *make_fleet(20), *map(hostile_model, HOSTILE))))
    assert [error.message for error in _validator().iter_errors(json.loads(json.dumps(document)))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"models": [{}]},
        {"models": [{"source": 3, "kind": "", "outcome": "", "findings": [], "meta_graphs": [], "seconds": {}}]},
        {"tool": None},
    ],
)
def test_what_is_no_report_does_not(change):
    document = {"schema_version": 1, "tool": {}, "models": [], **change}
    assert list(_validator().iter_errors(document))


def test_the_schema_names_every_key_of_a_model():
    schema = json.loads((ROOT / "docs" / "reference" / "report.schema.json").read_text(encoding="utf-8"))
    named = set(schema["$defs"]["Model"]["properties"])
    assert set(to_document(Report(MODELS))["models"][0]) <= named
