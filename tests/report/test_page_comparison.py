"""What the page shows of a comparison."""

from __future__ import annotations

import dataclasses
import json

from migrate.records import Converted, JudgedOutput, Judgement, Report
from migrate.report.json import to_document
from migrate.report.page_comparison import comparison
from tests.report.reports import PASSED, model


def _judged():
    outputs = (
        JudgedOutput("s", "near", 4, 8, False, 1.5, 2.5e-7),
        JudgedOutput("s", "far", 4, 8, False, float("inf"), float("inf"), "call 0: <far>"),
    )
    return dataclasses.replace(PASSED, judgement=Judgement(("tf2", "tf1"), "", "1.15.5", False, outputs))


def test_how_far_each_output_is_from_tensorflow_1():
    document = to_document(Report((model("judged", Converted(), verification=_judged()),)))
    found = comparison(json.loads(json.dumps(document))["models"][0]["verification"])
    assert found["judged"] == [
        ["s", "near", 1.5, 2.5e-7, False, ""],
        ["s", "far", "Infinity", "Infinity", False, "call 0: <far>"],
    ]
    told = "TensorFlow 2; TensorFlow 1.15.5 (not confined), 1 output of 2 beyond the bounds"
    assert ("Judges", told) in found["facts"]


def test_where_tensorflow_1_was_not_asked():
    document = to_document(Report((model("m", Converted(), verification=PASSED),)))
    found = comparison(document["models"][0]["verification"])
    assert found["judged"] == [] and "Judges" not in dict(found["facts"])


def test_proof_and_coverage_are_there_where_they_are_known():
    document = to_document(Report((model("m", Converted(), verification=PASSED),)))
    plain = document["models"][0]["verification"]
    assert not {"Proof", "Coverage", "How much"} & set(dict(comparison(plain)["facts"]))
    structure = {
        "outputs": 2,
        "outputs_proved": ["y"],
        "variables": 1,
        "variables_proved": 1,
        "not_proved": {"z": "why"},
    }
    coverage = {"nodes": 3, "reached": 3, "never": []}
    facts = dict(comparison({**plain, "structure": structure, "coverage": coverage, "level": "replay"})["facts"])
    assert facts["Proof"] == "1 of 2 outputs, 1 of 1 variable"
    assert facts["Not proved"] == "z: why"
    is_open = {**structure, "outputs_unordered": ["z"], "not_proved": {}, "unordered": {"z": "no edge"}}
    facts_of_open = dict(comparison({**plain, "structure": is_open})["facts"])
    assert facts_of_open["Proof"].startswith("1 of 2 outputs, 1 as one of the answers that TF1 leaves open, 1 of 1")
    assert facts["Coverage"] == "calls reached 3 of 3 nodes"
    assert facts["How much"] == "--verify=replay"
