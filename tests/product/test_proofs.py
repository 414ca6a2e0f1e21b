"""The proof in the product: --verify=proof, and models that are not run."""

from __future__ import annotations

import pytest

import migrate
from migrate.records import Converted, Options, Validated
from tests.conversions import MODELS, ROOT

pytestmark = pytest.mark.tensorflow

PROOF = Options(verify="proof")


def _converted(tmp_path, model, options=PROOF):
    (report,) = migrate.convert(str(model), str(tmp_path / "new"), options).models
    return report


@pytest.mark.parametrize("model", ["vocabulary", "counter", "training_adam"])
def test_a_conversion_is_proved_and_nothing_is_run(tmp_path, model):
    report = _converted(tmp_path, MODELS / model)
    assert isinstance(report.outcome, Converted)
    found = report.verification
    assert (found.passed, found.calls, found.level) == (True, 0, "proof")
    assert len(found.structure.outputs_proved) == found.structure.outputs > 0
    assert found.structure.variables_proved == found.structure.variables > 0
    assert "golden" not in report.seconds
    assert "proof" in report.seconds


def test_constants_that_become_variables_are_proved(tmp_path):
    report = _converted(tmp_path, MODELS / "constant_weights", Options(verify="proof", variables=True))
    assert isinstance(report.outcome, Converted)
    assert len(report.verification.structure.outputs_proved) == report.verification.structure.outputs


@pytest.mark.parametrize("form", ["saver_v1", "saver_v1_sharded", "session_bundle", "frozen", "saver_tables"])
def test_other_forms_are_proved(tmp_path, form):
    report = _converted(tmp_path, ROOT / "testdata" / "forms" / form, Options(verify="proof", take_proposals=True))
    assert isinstance(report.outcome, Converted)
    assert report.verification.structure.not_proved == {}


def test_a_keras_file_has_no_graph(tmp_path):
    model = next((ROOT / "testdata" / "keras" / "functional").glob("*.h5"), ROOT / "testdata" / "keras" / "functional")
    report = _converted(tmp_path, model)
    assert "no graph" in report.outcome.reason


def test_a_replay_says_what_is_proved_as_well(tmp_path):
    report = _converted(tmp_path, MODELS / "simple_save", Options(verify="replay"))
    assert report.verification.calls > 0
    assert report.verification.structure.outputs_proved == ("serving_default/y",)
    (found,) = migrate.validate(str(tmp_path / "new"), against=str(MODELS / "simple_save")).models
    assert isinstance(found.outcome, Validated)
    assert found.verification.structure.outputs_proved == ("serving_default/y",)
