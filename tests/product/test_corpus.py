"""Every TF1 model of the corpus ends as docs/corpus.md says, and none of them wrongly."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

import migrate
from migrate.records import Converted, Options, Refused, Severity, Unreadable, Unverified, outcome_name
from tests import law
from tests.sampling import EVERY

pytestmark = [pytest.mark.tensorflow, pytest.mark.corpus, pytest.mark.timeout(1500)]

_CORPUS = os.environ.get("MIGRATE_CORPUS", "")
_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "corpus.md"


_KINDS = ("saved_model_tf1", "checkpoint_meta", "frozen_graph", "checkpoint_only", "graphdef_corrupt")
"""Of the models whose endings are asserted one by one; the law holds for every kind."""
_STEP = 1 if EVERY else 8
"""Each eighth model is tried, by name."""


def _index() -> list[dict[str, str]]:
    """What the corpus says of the models that are tried."""
    with open(os.path.join(_CORPUS, "INDEX.jsonl"), encoding="utf-8") as file:
        return sorted(map(json.loads, file), key=lambda entry: entry["name"])[::_STEP]


def _options() -> Options:
    tried = [entry["name"] for entry in _index()]
    return Options(take_proposals=True, include=tuple(p for name in tried for p in (name, f"{name}/*")))


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The reports of one `convert` of the whole corpus, by path; a graph is given the first proposed signature."""
    if not _CORPUS:
        pytest.skip("MIGRATE_CORPUS is not set")
    report = migrate.convert(_CORPUS, str(tmp_path_factory.mktemp("converted") / "tree"), _options())
    return {model.source: model for model in report.models}


@pytest.fixture(scope="module")
def models(converted):
    """Those of `_KINDS`, by the name that the index has."""
    kinds = {entry["name"]: entry["kind"] for entry in _index()}
    named = {os.path.relpath(source, _CORPUS).split(os.sep)[0]: model for source, model in converted.items()}
    found = {name: model for name, model in named.items() if kinds[name] in _KINDS}
    assert len(found) == sum(kind in _KINDS for kind in kinds.values())
    return found


def test_what_audit_promises_convert_does(converted):
    audited = {model.source: model for model in migrate.audit(_CORPUS, _options()).models}
    assert sorted(audited) == sorted(converted)
    assert not law.differences(audited, converted)


def test_they_end_as_the_page_says(models):
    rows = [line.split("|") for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    told = {row[1].strip(): row[4].strip().partition(",")[0] for row in rows if row[1].strip() in models}
    assert {name: outcome_name(m.outcome).replace("_", " ") for name, m in models.items()} == told


def test_what_is_converted_is_verified_bit_for_bit(models):
    converted = [m for m in models.values() if isinstance(m.outcome, Converted)]
    assert len(converted) > 70 // _STEP
    for model in converted:
        found = model.verification
        assert found is not None and found.passed, model.source
        # What nobody here can run is converted where every output is proved.
        is_proved = found.structure is not None and len(found.structure.outputs_shown) == found.structure.outputs > 0
        assert found.bitwise_equal or (not found.calls and is_proved), model.source


def test_what_is_not_converted_has_a_reason(models):
    for model in models.values():
        if isinstance(model.outcome, Refused):
            assert any(f.severity is Severity.REFUSAL for f in model.findings), model.source
        elif isinstance(model.outcome, Unreadable):
            assert "not a GraphDef" in model.outcome.reason, model.source
        else:
            assert isinstance(model.outcome, Converted | Unverified), (model.source, model.outcome)
