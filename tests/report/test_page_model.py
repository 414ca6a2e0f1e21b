"""What the page shows of one model."""

from __future__ import annotations

import pytest

from migrate.finding_codes import explanations
from migrate.report.page_model import details


def test_a_keras_file_and_a_bare_checkpoint_show_what_they_hold():
    weights = [{"name": "dense/kernel", "dtype": "float32", "shape": [3, 2]}]
    keras = {
        "keras_version": "2.15.0",
        "layers": {"Dense": 1},
        "weights": weights,
        "optimizer": {"class_name": "Adam", "variables": 5},
    }
    tensors = [{"name": "w", "dtype": "float32", "shape": [4], "bytes": 16, "slices": 0}]
    checkpoint = {"format": "V2", "object_based": False, "shards": 1, "tensors": tensors}
    empty = {
        "source": "m",
        "kind": "keras_h5_model",
        "outcome": "convertible",
        "findings": [],
        "meta_graphs": [],
        "seconds": {},
    }
    shown = details({**empty, "keras": keras}, "convertible")
    assert dict(shown["facts"])["Optimizer"] == "Adam, 5 variables"
    assert dict(shown["facts"])["Weights"] == "1 tensor, 6 parameters"
    assert shown["variables"] == [["dense/kernel", "float32", "(3, 2)", ""]]
    shown = details({**empty, "checkpoint": checkpoint}, "convertible")
    assert dict(shown["facts"])["Checkpoint"] == "format V2, name-based, 1 shard"
    assert shown["variables"] == [["w", "float32", "(4)", ""]]


def _refused(**fields):
    return {
        "source": "models/a b",
        "kind": "tf1_saved_model",
        "outcome": "refused",
        "findings": [],
        "meta_graphs": [],
        "seconds": {},
        **fields,
    }


def test_a_finding_about_files_says_so():
    def found(code):
        return {"code": code, "severity": "refusal", "message": "", "nodes": ["a"], "hint": ""}

    shown = details(_refused(findings=[found("checkpoint-shard-missing"), found("random-op")]), "blocked")
    assert [finding["about"] for finding in shown["findings"]] == ["file", "node"]


def test_proposals_are_whole_commands():
    proposed = {"feed": ["keep_prob:0=1.0"], "signature": ["f:inputs=x=x:0;outputs=y=y:0"]}
    others = ["f:inputs=x=x:0;outputs=y=y:0", "g:inputs=;outputs=z=z:0"]
    shown = details(_refused(proposed_options=proposed, proposed_signatures=others), "flagged")
    convert = "migrate convert 'models/a b' NEW"
    assert [command for _, command in shown["commands"]] == [
        f"{convert} --signature='f:inputs=x=x:0;outputs=y=y:0' --feed=keep_prob:0=1.0",
        f"{convert} --signature='g:inputs=;outputs=z=z:0'",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "a\x1b;rm"},
        {"proposed_options": {"feed": ["x\x1b;rm=1"]}},
        {"proposed_options": None},
        {"proposed_options": {"feed": ["x:0=1"]}, "outcome": "converted"},
        {"proposed_signatures": ["a;\x07"]},
    ],
)
def test_what_cannot_be_copied_or_is_not_needed_is_no_command(fields):
    assert details({**_refused(), **fields}, "refused")["commands"] == []


def test_what_to_do_is_the_hint_else_the_remedy_of_the_code():
    def action(code, severity, hint):
        finding = {"code": code, "severity": severity, "message": "m", "hint": hint, "nodes": []}
        return details(_refused(findings=[finding]), "refused")["findings"][0]["action"]

    assert action("unknown-op", "refusal", "pass --feed=x:0=1 to it") == [
        ["Pass", False],
        ["--feed=x:0=1", True],
        ["to it", False],
    ]
    remedy = " ".join(part for part, _ in action("unknown-op", "refusal", ""))
    assert remedy == explanations()["unknown-op"].remedy.replace("`", "")
    assert action("stale-shapes", "note", "") == []
    assert action("made-later", "refusal", "") == []
