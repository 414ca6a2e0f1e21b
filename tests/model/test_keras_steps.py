"""How a Keras file answers and becomes a new model. No TensorFlow and no Keras: the processes are recorded."""

from __future__ import annotations

import dataclasses
import functools
import shutil

import numpy as np
import pytest

from migrate.export.keras_messages import KerasExported
from migrate.graph.protos import MetaGraphDef
from migrate.model.keras_steps import keras_steps
from migrate.model.keras_study import facts
from migrate.records import Convertible, Crashed, Failed, Options, Severity, Signature, TensorSpec, Verification
from migrate.sources.discover import place_of
from migrate.sources.files import digest_of
from migrate.sources.keras_source import read_keras
from migrate.sources.read import files_of
from migrate.verify.calls import Answer
from migrate.verify.contract import Candidate
from migrate.verify.messages import PATHS, CandidateResult
from tests.conversions import ROOT
from tests.model.recorded import GOLDEN, Runner, report

_SIGNATURE = Signature("serving_default", "", {}, {"y": TensorSpec("y:0", "float32", (None,))})


@functools.cache
def _source(name="archive_3"):
    return read_keras(files_of(place_of(str(ROOT / "testdata" / "keras" / name))))


def _exported(tmp_path, done, source=None):
    """What is said of the new model, and of what the source was."""
    source = source or _source()
    runner = Runner(done)
    steps = keras_steps(source, "old", Options(), runner)
    base = report(Convertible(), keras=facts(source))
    return steps.export(str(tmp_path / "new"), base, None), runner


def _done(**fields):
    given = {"optimizer": "Adam", "lost": "", "compiled": True, **fields}
    return KerasExported(_SIGNATURE, **given)


def _findings(tmp_path, name="archive_3", **fields):
    found, _ = _exported(tmp_path, _done(**fields), _source(name))
    return {finding.code: finding for finding in found.findings}


def test_the_source_is_asked():
    runner = Runner(GOLDEN)
    steps = keras_steps(_source(), "old", Options(timeout=7.0), runner)
    assert (steps.path, steps.golden(), steps.digest()) == ("old", GOLDEN, _source().sha256)
    assert steps.digest() == digest_of(_source().files.architecture)
    ((step, _, job, _, timeout),) = runner.asked
    assert (step, job.module, timeout) == ("golden", "migrate.verify.keras_replay", 7.0)
    with steps.begin("new") as taking:
        assert taking is None


def test_the_report_has_the_signature_of_the_model_that_was_loaded(tmp_path):
    found, runner = _exported(tmp_path, _done())
    assert found.keras == dataclasses.replace(facts(_source()), signature=_SIGNATURE)
    ((_, _, job, _, _),) = runner.asked
    assert job.module == "migrate.export.keras_job"
    assert job.job.staging == str(tmp_path / "new")
    assert job.job.provenance["source"]["file"] == "model.keras"
    assert job.job.provenance["source"]["sha256"] == _source().sha256


@pytest.mark.parametrize("ending", [Failed("no"), Crashed("export", -9, "")])
def test_an_export_that_fails_is_given_back(tmp_path, ending):
    assert _exported(tmp_path, ending)[0] == ending


@pytest.mark.parametrize(
    ("name", "fields", "codes"),
    [
        ("archive_3", {"compiled": False}, {"keras-optimizer-kept", "keras-not-compiled"}),
        ("functional", {}, {"keras-optimizer-kept"}),
        ("functional", {"lost": "no state", "compiled": False}, {"keras-optimizer-dropped", "keras-not-compiled"}),
        ("functional", {"dropped": ("'acc'",)}, {"keras-optimizer-kept", "keras-not-compiled"}),
        ("functional", {"assumed": ("'acc'",)}, {"keras-optimizer-kept", "keras-metric-assumed"}),
        ("json_3", {"optimizer": "", "compiled": False}, set()),
    ],
)
def test_what_is_said_of_training(tmp_path, name, fields, codes):
    assert _findings(tmp_path, name, **fields).keys() == codes


def test_what_is_lost_is_a_warning_with_its_reason(tmp_path):
    found = _findings(tmp_path, "functional", lost="it has no state", compiled=False)
    assert {finding.severity for finding in found.values()} == {Severity.WARNING}
    assert all("it has no state" in finding.message for finding in found.values())


def test_the_same_calls_are_made_of_the_candidate():
    runner = Runner(CandidateResult(dict.fromkeys(PATHS, GOLDEN.answers)), Failed("no"))
    steps = keras_steps(_source(), "old", Options(), runner)
    found = steps.replay(GOLDEN, "new")
    assert isinstance(found, Verification)
    assert found.mismatches == ()
    other = dataclasses.replace(GOLDEN, answers=(Answer({"y": np.ones(2, np.float32)}),))
    assert steps.replay(other, "new") == Failed("no")
    assert [(step, job.job.candidate_path) for step, _, job, _, _ in runner.asked] == [("candidate", "new")] * 2


def test_what_load_model_needs_is_part_of_the_contract(tmp_path):
    meta_graph = MetaGraphDef()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.object_graph_def.nodes.add()
    candidate = Candidate(str(tmp_path), (meta_graph,))
    of_keras_2 = keras_steps(_source("functional"), "old", Options(), Runner())
    of_keras_3 = keras_steps(_source(), "old", Options(), Runner())
    assert [mismatch.output for mismatch in of_keras_2.contract(candidate)] == ["keras_metadata.pb"]
    assert of_keras_3.contract(candidate) == ()
    shutil.copy(ROOT / "testdata" / "keras" / "saved_model" / "keras_metadata.pb", tmp_path)
    assert of_keras_2.contract(candidate) == ()
