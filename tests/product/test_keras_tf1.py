"""Files of TensorFlow 1.15's own Keras (testdata/make_keras_tf1.py), judged by what that Keras answered."""

from __future__ import annotations

import shutil

import pytest

import migrate
from migrate.records import Converted, Options
from tests.conversions import ROOT, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

MODELS = ROOT / "testdata" / "keras_tf1"
NAMES = tuple(sorted(path.name for path in MODELS.iterdir()))
KEPT = {"trained": "15 variables", "weighted": "15 variables", "momentum": "9 variables", "rmsprop": "17 variables"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The new models' directory, and the reports by name."""
    new = tmp_path_factory.mktemp("keras_tf1") / "new"
    report = migrate.convert(str(MODELS), str(new), Options(verify=False))
    return new, {model.source.rpartition("/")[2]: model for model in report.models}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NAMES)
def test_the_new_model_answers_and_trains_as_tf1(name, converted):
    new, reports = converted
    assert isinstance(reports[name].outcome, Converted), reports[name]
    run_child([str(ROOT / "tests" / "keras_tf1_answers.py"), str(MODELS), str(new), name])


@pytest.mark.parametrize("name", KEPT)
def test_the_optimizer_is_kept(name, converted):
    found = {finding.code: finding for finding in converted[1][name].findings}
    assert KEPT[name] in found["keras-optimizer-kept"].message
    assert "tf.train.Checkpoint(model).restore" in found["keras-optimizer-kept"].hint
    assert "keras-not-compiled" not in found


def test_a_named_step_is_taken(converted, tmp_path):
    """The other steps differ from the last one, and each is verified against Keras with its own weights."""
    source = str(MODELS / "checkpoints" / "cp-0002.ckpt")
    (report,) = migrate.convert(source, str(tmp_path / "new"), Options()).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.bitwise_equal
    assert "checkpoint-chosen" not in [finding.code for finding in report.findings]
    (other,) = migrate.validate(str(converted[0] / "checkpoints"), against=source).models
    assert not isinstance(other.outcome, Converted)
    assert other.verification.mismatches


def test_an_architecture_from_another_directory(tmp_path):
    for name in ("weights", "architecture"):
        (tmp_path / name).mkdir()
    shutil.copy(MODELS / "yaml" / "weights.h5", tmp_path / "weights" / "cp-0003.weights.h5")
    shutil.copy(MODELS / "yaml" / "model.yaml", tmp_path / "architecture" / "any_name")
    options = Options(architecture=str(tmp_path / "architecture" / "any_name"))
    (report,) = migrate.convert(str(tmp_path / "weights"), str(tmp_path / "new" / "yaml"), options).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.bitwise_equal
    run_child([str(ROOT / "tests" / "keras_tf1_answers.py"), str(MODELS), str(tmp_path / "new"), "yaml"])
