"""What audit promises, convert does: over all models of the repository (test_corpus.py has those of the corpus)."""

from __future__ import annotations

import json
import os
import shutil

import pytest

import migrate
from migrate.records import Converted, GivenFeed, Options, Refused, Unverified
from tests import conversions, law
from tests.conversions import ROOT, run_child
from tests.sampling import EVERY, few

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(1500)]


# The conversions of the other trees are looked at one by one by other tests.
@pytest.mark.parametrize("tree", ["forms", *(["keras", "models"] if EVERY else [])])
@pytest.mark.parametrize("options", [Options(take_proposals=True)], ids=["take_proposals"])
def test_what_audit_promises_convert_does(tree, options, tmp_path):
    assert not law.broken(str(conversions.ROOT / "testdata" / tree), str(tmp_path / "new"), options)


REFUSED = {
    "read_before_the_write_functional",
    "read_before_the_write_ref",
    "read_before_the_write_resource",
    "read_beside_the_write_ref",
}
"""Graphs whose first call fails in TF1, or may fail; each other one converts."""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    built = tmp_path_factory.mktemp("graphs")
    run_child([str(ROOT / "tests" / "law_graphs.py"), "build", str(built)])
    for tree in built.iterdir():
        models = sorted(tree.iterdir())
        for left_out in {*models} - {*few(models, 4)}:
            shutil.rmtree(left_out)
    return built


def _judged(tmp_path, pairs, feeds):
    job = tmp_path / "job.json"
    job.write_text(json.dumps([(source, new, feeds) for source, new in pairs]))
    return json.loads(run_child([str(ROOT / "tests" / "law_graphs.py"), "judge", str(job)]).splitlines()[-1])


def test_graphs_of_every_kind_end_as_audit_says(graphs, tmp_path):
    tree = str(graphs / "own")
    audited = {model.source: model for model in migrate.audit(tree).models}
    converted = {model.source: model for model in migrate.convert(tree, str(tmp_path / "new")).models}
    assert not law.differences(audited, converted)
    done = []
    for source, model in converted.items():
        is_refused = os.path.basename(source) in REFUSED
        by_form = os.path.basename(source).startswith("no_values_")
        by_proof = os.path.basename(source).startswith("proved_")
        is_open = os.path.basename(source).startswith("open_")
        expected = Refused if is_refused else Unverified if by_form else Converted
        assert isinstance(model.outcome, expected), (source, model.outcome)
        codes = {finding.code for finding in model.findings}
        assert "unordered-access" not in codes or by_form or is_open, source
        assert is_refused == ("variable-without-value" in codes), source
        if by_proof:
            structure = model.verification.structure
            assert structure.outputs_proved and not structure.not_proved, source
        elif is_open:
            # Each answer of the new model is one that TF1 may give.
            structure = model.verification.structure
            assert structure.outputs_unordered and not structure.not_proved, source
        elif not is_refused and not by_form:
            assert model.verification.bitwise_equal and not model.verification.skipped, source
            done.append((source, model.destination))
    assert _judged(tmp_path, done, {}) == {}


@pytest.mark.parametrize("value", ["false", "true"])
def test_fed_graphs_answer_as_a_session_that_feeds(value, graphs, tmp_path):
    tree, options = str(graphs / "fed"), Options(feed=(GivenFeed("training:0", value),))
    audited = {model.source: model for model in migrate.audit(tree, options).models}
    converted = {model.source: model for model in migrate.convert(tree, str(tmp_path / "new"), options).models}
    assert not law.differences(audited, converted)
    for source, model in converted.items():
        assert isinstance(model.outcome, Converted), (source, model.outcome)
        assert model.verification.bitwise_equal, source
    done = [(m.source, m.destination) for m in converted.values()]
    assert _judged(tmp_path, done, {"training:0": value == "true"}) == {}
