"""What audit says of a checkpoint without a graph. No TensorFlow."""

from __future__ import annotations

import os
import shutil

import pytest

from migrate.errors import InputError
from migrate.model.checkpoint_study import study_checkpoint
from migrate.records import Kind, Refused
from migrate.sources.discover import place_of
from tests.conversions import MODELS, ROOT

_FORMS = ROOT / "testdata" / "forms"


def _studied(path):
    return study_checkpoint(place_of(str(path)), "called")


def _refusal(path):
    report = _studied(path)
    assert (report.kind, report.outcome) == (Kind.CHECKPOINT, Refused())
    return report.findings[0]


@pytest.mark.parametrize(
    ("name", "version", "tensors"),
    [("checkpoint_alone", "V2", {"rows", "step", "word"}), ("checkpoint_alone_v1", "V1", {"b", "w"})],
)
def test_its_tensors_are_listed_and_it_is_refused(name, version, tensors):
    report = _studied(_FORMS / name)
    assert (report.source, report.checkpoint.format, report.checkpoint.object_based) == ("called", version, False)
    assert {tensor.name for tensor in report.checkpoint.tensors} == tensors
    (found,) = report.findings
    assert found.code == "checkpoint-without-graph"
    assert "copy its .meta file too" in found.hint


def test_one_by_object_is_told_apart(tmp_path):
    checkpoint = ROOT / "testdata" / "keras_tf1" / "manager"
    for file in checkpoint.glob("ckpt-2.*"):
        shutil.copy(file, tmp_path)
    found = _refusal(tmp_path / "ckpt-2")
    assert found.message.startswith("an object-based checkpoint without its objects")
    assert found.hint.startswith("put the model's JSON (Model.to_json) beside them")


def test_the_weights_of_a_saved_model_are_told_to_lack_it(tmp_path):
    shutil.copytree(MODELS / "simple_save" / "variables", tmp_path / "variables")
    found = _refusal(tmp_path / "variables" / "variables")
    assert found.message.endswith("; the saved_model.pb that belongs to it is missing")


def test_what_else_is_wrong_with_it_is_told(tmp_path):
    for file in (_FORMS / "checkpoint_alone").iterdir():
        shutil.copy(file, tmp_path)
    for file in tmp_path.glob("*.data-*"):
        os.truncate(file, 1)
    codes = [finding.code for finding in _studied(tmp_path).findings]
    assert codes[0] == "checkpoint-without-graph"
    assert "checkpoint-shard-short" in codes


def test_an_index_that_is_none_is_told(tmp_path):
    place = place_of(str(_FORMS / "checkpoint_alone"))
    for file in (_FORMS / "checkpoint_alone").iterdir():
        shutil.copy(file, tmp_path)
    (index,) = tmp_path.glob("*.index")
    index.write_bytes(index.read_bytes()[:-8])
    broken = vars(place) | {"checkpoint": str(index).removesuffix(".index")}
    with pytest.raises(InputError, match=str(index)):
        study_checkpoint(type(place)(**broken), "called")
