"""The catalogue of planted faults: one of each kind is real and seen; the page has all of them."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import pathlib
import shutil
import types
from typing import Any

import pytest

from migrate.model.proofs import structure_alone
from migrate.records import (
    Converted,
    Failed,
    Finding,
    Kind,
    Mismatched,
    ModelReport,
    Severity,
    Structure,
    Unverified,
    Validated,
)
from tests.conversions import ROOT

pytestmark = pytest.mark.tensorflow

CHOSEN = (
    "contract/method-classify",
    "vouched/objects-swapped",
    "unreached/matrix-row-17",
    "rare/batch-of-3",
    "state/read-too-early",
    "surface/call-negated",
    "files/warmup-fewer",
    "structure/kernels-swapped",
)


def test_there_are_enough_faults_of_each_kind() -> None:
    from tools.mutate.bases import BASES
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.records import KINDS

    counts = collections.Counter(fault.kind for fault in FAULTS.values())
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 20
    assert len(FAULTS) >= 200
    assert sum(fault.blind for fault in FAULTS.values()) >= 50
    assert {fault.base for fault in FAULTS.values()} == set(BASES)


def test_the_page_has_every_fault() -> None:
    from tools.mutate.catalogue import FAULTS

    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    lines = page.splitlines()
    rows = [line for line in lines if line.startswith(("| `", "- `"))]
    assert len(rows) >= len(FAULTS)
    assert [fault.says for fault in FAULTS.values() if fault.says not in page] == []


def test_the_page_says_what_is_not_proved() -> None:
    from tools.mutate.page import not_proved, with_proved

    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    lines = "\n".join(not_proved())
    assert "testdata/models" in lines
    assert lines in page
    assert with_proved(page) == page


def test_the_page_says_what_is_said_of_untouched_conversions() -> None:
    from tools.mutate.page import not_said_to_differ, with_untouched

    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    lines = "\n".join(not_said_to_differ())
    assert "testdata/keras" in lines and "False alarm:" not in lines
    assert lines in page
    assert with_untouched(page) == page


def test_a_page_is_read_back_and_changed_in_a_part() -> None:
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.page import known, updated
    from tools.mutate.records import Ended
    from tools.mutate.run import Untouched

    text = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    assert set(known(text)) == set(FAULTS)
    assert updated(text, {}, []) == text
    for one in (
        Ended("state/counter-stops", "", "missed", "validated"),
        Ended("files/source-tags", "", "caught", "mismatched", ("mismatched", "tag-set-differs")),
        Ended("files/fingerprint-gone", "", "told", "validated", ("file-added", "provenance-differs")),
        Ended("rare/nan", "", "unverified", "unverified"),
    ):
        base = FAULTS[one.fault].base
        changed = updated(
            text, {base: Untouched(one.outcome if one.verdict == "unverified" else "validated", {})}, [one]
        )
        codes = tuple(code for code in one.codes if code != one.outcome)
        assert known(changed) == {**known(text), one.fault: dataclasses.replace(one, codes=codes)}
    with pytest.raises(ValueError, match="false alarm"):
        known(updated(text, {"words": Untouched("mismatched", {"answer-differs": "other"})}, []))


def _ended(outcome: Any, structure: Structure | None = None) -> ModelReport:
    verification = structure_alone(structure, "proof") if structure is not None else None
    return ModelReport("source", "candidate", Kind.TF1_SAVED_MODEL, outcome, verification=verification)


def test_what_is_not_proved_is_listed_by_its_reason() -> None:
    from tools.proved import section, summary

    reasons = {f"f/{n}": f"session: 'v': no edge orders Assign 'a' and Read '{n}' (Read '{n}')" for n in range(6)}
    structure = Structure(("f/y",), 7, 2, 2, {**reasons, "f": "an unknown op"})
    reports = [
        ("whole", _ended(Converted(), Structure(("f/y",), 1, 1, 1))),
        ("part", _ended(Converted(), structure)),
        ("keras", _ended(Converted())),
        ("bad", _ended(Failed("no"))),
    ]
    found = summary(reports)
    assert found["outcomes"] == {"converted": 3, "failed": 1}
    assert (found["models"], found["whole"], found["outputs"], found["outputs_proved"]) == (2, 1, 8, 2)
    assert found["no_graph"] == ["keras"]
    lines = section({"tree": found})
    assert "| tree | 2 | 1 | 2 of 8 | 0 | 3 of 3 |" in lines
    assert "- tree/part" in lines
    assert "  - `f/0`, `f/1`, `f/2`, `f/3` and 2 more: 'v': no edge orders Assign 'a' and Read '0'" in lines
    assert "  - `f`: an unknown op" in lines


def test_an_edit_leaves_no_stale_checksum(tmp_path: pathlib.Path) -> None:
    from tools.mutate.candidate import Candidate
    from tools.mutate.look import FingerprintHolds

    planted = tmp_path / "planted"
    shutil.copytree(ROOT / "testdata" / "models" / "tf2", planted)
    (planted / "assets.extra").mkdir()
    (planted / "assets.extra" / "migration.json").write_text('{"saved_model_sha256": "of the graph as it was"}')
    candidate = Candidate(str(planted))
    candidate.meta_graph.meta_info_def.tags.append("more")
    candidate.write()
    said = json.loads((planted / "assets.extra" / "migration.json").read_text())
    data = (planted / "saved_model.pb").read_bytes()
    assert said["saved_model_sha256"] == hashlib.sha256(data).hexdigest()
    assert FingerprintHolds()(str(planted))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_fault_of_each_kind_is_real_and_seen(tmp_path: pathlib.Path) -> None:
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.records import KINDS
    from tools.mutate.run import run

    assert {FAULTS[name].kind for name in CHOSEN} == set(KINDS)
    untouched, ended = run([FAULTS[name] for name in CHOSEN], tmp_path, 2, lambda _: None, lambda _: None)
    assert {base: found.reason for base, found in untouched.items() if found.is_alarm} == {}
    assert {one.fault: one.proof for one in ended if one.proof} == {}
    assert {one.fault: one.outcome for one in ended if one.verdict != "caught"} == {}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (("same", "", "same"), "a client sees no difference"),
        (("one", "", "other", "another"), "two looks at the untouched conversion differ"),
        (("one", Failed("no node x")), "cannot be planted"),
        (("one", "", Failed("does not load")), "a look at it fails"),
        ((Failed("does not load"),), "a look at the untouched conversion fails"),
        (("one", "", "other", "one"), ""),
    ],
)
def test_what_is_no_fault_is_not_counted(tmp_path: pathlib.Path, seen: tuple[Any, ...], why: str) -> None:
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.run import Planter

    answers = iter(seen)
    nursery: Any = types.SimpleNamespace(run=lambda *_: next(answers))
    fault = FAULTS["unreached/matrix-row-17"]
    planter = Planter({fault.base: "untouched"}, tmp_path, tmp_path, nursery)
    found = planter.proof(fault, "planted")
    assert found.startswith(why) and bool(found) == bool(why)
    assert next(answers, None) is None


@pytest.mark.parametrize(
    ("outcome", "codes", "verdict"),
    [
        (Validated(), (), "missed"),
        (Validated(), ("gradient-lost",), "told"),
        (Mismatched("1 output differs"), (), "caught"),
        (Unverified("1 output"), (), "caught"),
        (Failed("does not load"), (), "caught"),
    ],
)
def test_a_fault_is_caught_only_where_the_model_is_not_validated(
    outcome: Any, codes: tuple[str, ...], verdict: str
) -> None:
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.run import Untouched, judged

    findings = tuple(Finding(code, Severity.WARNING, "differs") for code in codes)
    report = ModelReport("source", "candidate", Kind.TF1_SAVED_MODEL, outcome, findings=findings)
    ended = judged(FAULTS["unreached/matrix-row-17"], report, Untouched("validated", {}), 1.0)
    assert ended.verdict == verdict
    assert set(codes) <= set(ended.codes)


def test_what_is_said_of_the_untouched_conversion_too_tells_nothing() -> None:
    from tools.mutate.catalogue import FAULTS
    from tools.mutate.run import Untouched, judged

    findings = (Finding("random-op", Severity.WARNING, "draws"),)
    report = ModelReport("source", "candidate", Kind.TF1_SAVED_MODEL, Validated(), findings=findings)
    untouched = Untouched("validated", {"random-op": "draws"})
    assert judged(FAULTS["unreached/matrix-row-17"], report, untouched, 1.0).verdict == "missed"
    unverified = dataclasses.replace(report, outcome=Unverified("1 output"))
    before = Untouched("unverified", {"random-op": "draws", "unverified": "1 output"})
    assert judged(FAULTS["unreached/matrix-row-17"], unverified, before, 1.0).verdict == "unverified"
