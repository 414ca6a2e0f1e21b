"""What audit says of a Keras file. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json

import pytest

from migrate.errors import InputError
from migrate.model.keras_study import facts, study_keras
from migrate.records import Convertible, GivenSignature, Kind, Options, Refused
from migrate.sources.discover import place_of
from migrate.sources.keras_source import Runtime
from tests.conversions import ROOT

_KERAS = ROOT / "testdata" / "keras"


def _studied(name, options=None):
    path = str(_KERAS / name)
    return study_keras(place_of(path), path, options or Options())


def test_what_a_file_is_and_whether_it_would_be_converted():
    report, source = _studied("archive_3")
    assert (report.kind, report.outcome) == (Kind.KERAS_V3, Convertible())
    assert source.runtime is Runtime.KERAS
    assert report.keras == facts(source)
    assert report.keras.runtime == "keras"
    assert list(report.keras.signature.inputs) == ["ids", "x"]
    assert {output.dtype for output in report.keras.signature.outputs.values()} == {"?"}
    assert len(report.keras.variables) == len(source.weights) > 0


@pytest.mark.parametrize(
    ("name", "code", "has_signature"),
    [("custom", "keras-custom-object", True), ("weights_alone", "keras-weights-alone", False)],
)
def test_what_keeps_it_from_being_converted_comes_first(name, code, has_signature):
    report, _ = _studied(name)
    assert report.outcome == Refused()
    assert report.findings[0].code == code
    assert (report.keras.signature is not None) is has_signature


def test_a_checkpoint_that_no_architecture_belongs_to_is_another_matter():
    path = str(ROOT / "testdata" / "forms" / "checkpoint_alone")
    assert study_keras(place_of(path), path, Options()) is None


def test_a_signature_is_refused_with_what_to_do_in_python():
    given = Options(signature=(GivenSignature("features", (("x", "x:0"),), (("y", "y:0"),)),))
    report, _ = _studied("archive_3", given)
    assert report.outcome == Refused()
    assert report.findings[0].code == "keras-signature"
    assert "keras.models.load_model(PATH)" in report.findings[0].hint


def test_the_architecture_that_was_taken_is_named(tmp_path):
    (json_file,) = (_KERAS / "json_hdf5").glob("*.json")
    (weights,) = (_KERAS / "json_hdf5").glob("*.h5")
    (tmp_path / "weights.h5").write_bytes(weights.read_bytes())
    options = Options(architecture=f"{json_file.parent}/./{json_file.name}")
    report, _ = study_keras(place_of(str(tmp_path)), "called", options)
    assert report.outcome == Convertible()
    assert "keras-architecture" in [finding.code for finding in report.findings]


def test_what_cannot_be_read_is_told(tmp_path):
    place = place_of(str(_KERAS / "json_3"))
    broken = tmp_path / "model.json"
    broken.write_text(json.dumps({"class_name": "Functional"})[:-1])
    with pytest.raises(InputError, match=r"model\.json"):
        study_keras(dataclasses.replace(place, file=str(broken)), "called", Options(architecture=str(broken)))
