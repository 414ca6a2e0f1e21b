"""Every TF1 model of the corpus ends as docs/corpus.md says, and none of them wrongly."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

import migrate
from migrate.fleet.jobs import convert_model
from migrate.records import Converted, Failed, Mismatched, Options, Refused, Severity, Unreadable, outcome_name

pytestmark = [pytest.mark.tensorflow, pytest.mark.corpus, pytest.mark.timeout(1500)]

_CORPUS = os.environ.get("MIGRATE_CORPUS", "")
_PAGE = pathlib.Path(__file__).parent.parent / "docs" / "corpus.md"


_GRAPHS = ("checkpoint_meta", "frozen_graph", "checkpoint_only", "graphdef_corrupt")


@pytest.fixture(scope="module")
def models(saved_models, graphs):
    """The report of each, by model name."""
    return {**saved_models, **graphs}


@pytest.fixture(scope="module")
def graphs(nursery, tmp_path_factory):
    """The reports of what is no SavedModel: each is given the first signature that audit proposes."""
    new = tmp_path_factory.mktemp("graphs")
    found = {}
    for name in _names(*_GRAPHS):
        source = os.path.join(_CORPUS, name)
        options = Options(signatures=migrate.audit(source).models[0].proposals[:1])
        found[name] = convert_model(source, str(new / name), options, nursery, lambda _: None)
    return found


def _names(*kinds):
    if not _CORPUS:
        pytest.skip("MIGRATE_CORPUS is not set")
    with open(os.path.join(_CORPUS, "INDEX.jsonl"), encoding="utf-8") as file:
        return [entry["name"] for entry in map(json.loads, file) if entry["kind"] in kinds]


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory):
    """The reports of one `convert` of all SavedModels."""
    names = _names("saved_model_tf1")
    tree = tmp_path_factory.mktemp("corpus")
    for name in names:
        os.symlink(os.path.join(_CORPUS, name), tree / name)
    report = migrate.convert(str(tree), str(tmp_path_factory.mktemp("converted") / "tree"))
    found = {os.path.basename(model.source): model for model in report.models}
    assert sorted(found) == sorted(names)
    return found


def test_they_end_as_the_page_says(models):
    rows = [line.split("|") for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    told = {row[1].strip(): row[4].strip().partition(",")[0] for row in rows if row[1].strip() in models}
    assert {name: outcome_name(m.outcome).replace("_", " ") for name, m in models.items()} == told


def test_what_is_converted_is_verified_bit_for_bit(models):
    converted = [m for m in models.values() if isinstance(m.outcome, Converted)]
    assert len(converted) > 70
    for model in converted:
        assert model.verification is not None and model.verification.passed, model.source
        assert model.verification.bitwise_equal, model.source


def test_what_is_not_converted_has_a_reason(models):
    for model in models.values():
        if isinstance(model.outcome, Refused):
            assert any(f.severity is Severity.REFUSAL for f in model.findings), model.source
        elif isinstance(model.outcome, Mismatched):
            assert not model.verification.mismatches, (model.source, model.verification.mismatches[:3])
        elif isinstance(model.outcome, Failed):
            assert model.outcome.reason.startswith("TensorFlow cannot load the source"), model.source
        elif isinstance(model.outcome, Unreadable):
            assert "not a GraphDef" in model.outcome.reason, model.source
        else:
            assert isinstance(model.outcome, Converted), (model.source, model.outcome)
