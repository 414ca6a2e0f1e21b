"""A report as JUnit XML: made of the JSON document alone, sound whatever a model is called."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from migrate.records import Mismatched, Refused, Report, refusal
from migrate.report.json import to_document
from migrate.report.junit import to_junit
from tests.report.fleet import HOSTILE, hostile_model
from tests.report.reports import DIFFERENT, FACTS, MODELS, REFUSAL, model


def _document(*models):
    return json.loads(json.dumps(to_document(Report(models))))


def _junit(*models):
    return ET.fromstring(to_junit(_document(*models)).encode())


def test_junit_has_a_test_case_a_model():
    root = _junit(*MODELS)
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert len(cases) == len(MODELS) == int(suite.get("tests"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(MODELS)
    ended = {case.get("name"): [child.tag for child in case] for case in cases}
    assert ended["converted"] == ended["already"] == ended["validated"] == []
    assert ended["unverified"] == ["system-out"]
    assert ended["mismatched"] == ["failure"]
    for name in ("unreadable", "failed", "crashed", "timed_out"):
        assert ended[name] == ["error"]
    assert ended["partly"] == ["skipped", "system-out"]
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("2", "4", "2")


def test_junit_tells_the_codes_of_differences():
    (case,) = _junit(*(m for m in MODELS if m.source == "models/mismatched")).iter("testcase")
    (failure,) = case
    assert "serving_default/y, call 0, tf.saved_model.load: answer-differs, breaks Serving REST, gRPC" in failure.text


def test_junit_failures_carry_code_message_and_hint():
    stands = refusal("unknown-op", "an op nobody knows", ("a",), "drop it")
    also = refusal("python-op", "calls Python", ("b",), "export without it")
    (case,) = _junit(model("m", Refused(), meta_graphs=(FACTS,), findings=(stands, also))).iter("testcase")
    (failure,) = case
    assert failure.get("type") == "unknown-op"
    assert failure.get("message") == "unknown-op: an op nobody knows"
    for text in ("an op nobody knows", "hint: drop it", "python-op: calls Python", "hint: export without it"):
        assert text in failure.text
    (case,) = _junit(model("m", Mismatched("22 outputs differ"), verification=DIFFERENT)).iter("testcase")
    assert case[0].get("message") == "22 outputs differ"
    assert "serving_default/y, call 0" in case[0].text


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_of_hostile_models_is_xml(text):
    (case,) = _junit(hostile_model(text)).iter("testcase")
    assert [child.tag for child in case] == ["failure", "system-out"]


def test_a_refusal_that_is_expected_is_skipped():
    known = model("known", Refused(), findings=(REFUSAL,), expected="refused: " + REFUSAL.code)
    other = model("other", Refused(), findings=(REFUSAL,))
    root = _junit(known, other)
    counts = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "2", "failures": "1", "errors": "0", "skipped": "1"}
    assert [case[0].tag for case in root.iter("testcase")] == ["skipped", "failure"]
