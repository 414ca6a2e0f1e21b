from __future__ import annotations

import dataclasses
import json

import pytest

from migrate.records import Converted, DangerousOp, GoldenFile, Mismatched, NearOutput, Report
from migrate.report.files import read_document, write_files
from migrate.report.json import to_document, to_json
from migrate.report.page_model import details
from tests.report.reports import DIFFERENT, FACTS, MODELS, NOTE, PASSED, TRAINING_FACTS, model


def _load(*models):
    def reject(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(to_json(Report(models)), parse_constant=reject)


def test_document():
    document = _load()
    assert list(document) == ["schema_version", "tool", "models"]
    assert document["schema_version"] == 1
    assert list(document["tool"]) == ["name", "version", "python", "tensorflow"]
    assert document["models"] == []


def test_outcomes_are_snake_case_and_carry_their_fields():
    models = _load(*MODELS)["models"]
    assert {m["outcome"]: list(m["detail"]) for m in models} == {
        "convertible": [],
        "already_tf2": [],
        "unreadable": ["reason"],
        "converted": [],
        "unchanged": [],
        "validated": [],
        "refused": [],
        "mismatched": ["reason"],
        "unverified": ["reason"],
        "failed": ["reason"],
        "crashed": ["step", "exit_code", "stderr_tail", "call", "calls"],
        "timed_out": ["step", "seconds", "stderr_tail"],
    }


def test_every_model_has_the_same_keys():
    keys = {tuple(m) for m in _load(*MODELS)["models"]}
    assert keys == {
        (
            "source",
            "destination",
            "kind",
            "outcome",
            "detail",
            "findings",
            "dangerous_ops",
            "signatures",
            "meta_graphs",
            "keras",
            "checkpoint",
            "expected",
            "proposed_options",
            "proposed_signatures",
            "verification",
            "seconds",
            "bytes",
            "skipped",
            "duplicate_of",
            "confinement",
            "converted_signatures",
            "sketches",
        )
    }


def test_facts_findings_and_signatures():
    (shown,) = _load(model("m", Converted(), meta_graphs=(FACTS,), findings=(NOTE,)))["models"]
    assert shown["findings"] == [
        {
            "code": "stale-shapes",
            "severity": "note",
            "message": "first line\nsecond line",
            "nodes": [],
            "hint": "",
        }
    ]
    (facts,) = shown["meta_graphs"]
    assert facts["tags"] == ["gpu", "serve"]
    assert list(facts["ops"]) == ["Add", "VariableV2"]
    assert facts["variables"][5] == {
        "name": "words",
        "dtype": "string",
        "shape": None,
        "is_resource": False,
        "trainable": False,
        "needed": True,
    }
    assert list(shown["signatures"]) == ["bare", "classify", "serving_default"]
    assert shown["signatures"] == facts["signatures"]
    assert shown["signatures"]["serving_default"]["inputs"]["x"] == {
        "name": "x:0",
        "dtype": "float32",
        "shape": [None, 3],
        "encoding": "dense",
        "components": [],
    }
    assert shown["signatures"]["classify"]["inputs"]["inputs"]["components"] == ["v:0", "i:0", "s:0"]


@pytest.mark.parametrize(("meta_graphs", "signatures"), [((TRAINING_FACTS, FACTS), 3), ((TRAINING_FACTS,), 0), ((), 0)])
def test_signatures_are_those_of_the_serving_meta_graph_or_the_first(meta_graphs, signatures):
    (shown,) = _load(model("m", Converted(), meta_graphs=meta_graphs))["models"]
    assert len(shown["signatures"]) == signatures


def test_verification_that_was_not_run_is_null():
    unverified, verified = _load(model("a", Converted()), model("b", Converted(), verification=PASSED))["models"]
    assert unverified["verification"] is None
    assert verified["verification"]["passed"] is True


def test_numbers_that_json_cannot_hold_are_strings():
    (shown,) = _load(model("m", Mismatched("differs"), verification=DIFFERENT))["models"]
    assert shown["verification"]["max_abs_difference"] == "Infinity"
    assert shown["verification"]["mismatches"][0]["path"] == "tf.saved_model.load"


def test_the_text_is_ascii_and_always_the_same():
    report = Report((*MODELS, model("mod\xe8le/\udcff", Converted())))
    assert to_json(report).isascii()
    assert to_json(report) == to_json(report)
    assert to_json(report).endswith("}\n")


def test_dangerous_ops_the_savers_own_included():
    own = DangerousOp("SaveV2", "writes-files", "save graph", ("d",), True, True, ("serve",))
    (shown,) = _load(model("m", Converted(), dangerous_ops=(own,)))["models"]
    assert shown["dangerous_ops"] == [
        {
            "op": "SaveV2",
            "effect": "writes-files",
            "where": "save graph",
            "nodes": ["d"],
            "reached": True,
            "standard": True,
            "tags": ["serve"],
        }
    ]


def test_the_differences_from_a_golden_file():
    outputs = (
        NearOutput("s", "y", 2, 4, False, float("inf"), float("inf")),
        NearOutput("s", "n", 2, 4, True, 0.0, 0.0),
    )
    golden = GoldenFile("golden.npz", "TensorFlow 1.4.1", 2, 1e-6, 1e-4, outputs, {"s/y": "why"}, ("a note",))
    whole = dataclasses.replace(PASSED, golden=golden)
    found = _load(model("m", Converted(), verification=whole))["models"][0]["verification"]["golden"]
    assert found == {
        "file": "golden.npz",
        "by": "TensorFlow 1.4.1",
        "calls": 2,
        "max_absolute": 1e-6,
        "max_relative": 1e-4,
        "outputs": [
            {
                "signature": "s",
                "output": "y",
                "calls": 2,
                "values": 4,
                "equal": False,
                "largest": "Infinity",
                "relative": "Infinity",
            },
            {
                "signature": "s",
                "output": "n",
                "calls": 2,
                "values": 4,
                "equal": True,
                "largest": 0.0,
                "relative": 0.0,
            },
        ],
        "unverified": {"s/y": "why"},
        "notes": ["a note"],
    }


def test_a_report_with_a_golden_file_is_made_again(tmp_path):
    """Every form of a report is made of its document, which is checked against its types when it is read."""
    outputs = (NearOutput("s", "y", 2, 4, False, 2.5e-7, 1e-8),)
    golden = GoldenFile("golden.npz", "TensorFlow 1.4.1", 2, 1e-6, 1e-4, outputs)
    whole = dataclasses.replace(PASSED, golden=golden)
    document = to_document(Report((model("m", Converted(), verification=whole),)))
    write_files(document, str(tmp_path))
    assert read_document(str(tmp_path)) == json.loads(json.dumps(document))
    facts = dict(details(document["models"][0], "converted")["verification"]["facts"])
    assert facts["Golden file"] == "golden.npz, answered by TensorFlow 1.4.1: 2 calls"
    assert "s, y: 2.5e-07, 1.0e-08" in facts["Largest difference"]
