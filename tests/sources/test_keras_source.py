"""Keras files as they lie on the disk, read without Keras."""

from __future__ import annotations

import io
import json
import os
import pathlib
import shutil
import zipfile

import h5py
import numpy as np
import pytest

import migrate
from migrate.checks.keras_loading import forbidden
from migrate.checks.keras_needs import needs, training_needs
from migrate.errors import InputError
from migrate.records import Convertible, GivenSignature, Kind, Options, Refused, Unchanged, Unreadable
from migrate.sources import keras_config, keras_source
from migrate.sources.discover import place_of
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_source import KerasFiles, Runtime, Weights, read_keras
from migrate.sources.read import files_of
from migrate.sources.sandbox import guarded
from tests.conversions import ROOT, run_child

pytestmark = pytest.mark.process

MODELS = ROOT / "testdata" / "keras"
_TWO = ("two_and_two", {"ids": ("int32", (None, 3)), "x": ("float32", (None, 2))}, ("scores", "value"))


def _read(path):
    return read_keras(files_of(place_of(str(path))))


@pytest.mark.parametrize(
    ("name", "kind", "runtime", "version", "form", "weights", "optimizer"),
    [
        ("functional", Kind.KERAS_H5_MODEL, Runtime.TF_KERAS, "2.15.1", Weights.HDF5, 11, 19),
        ("old_adam", Kind.KERAS_H5_MODEL, Runtime.TF_KERAS, "2.4.0", Weights.HDF5, 11, 19),
        ("keras_1", Kind.KERAS_H5_MODEL, Runtime.TF_KERAS, "1.1.0", Weights.HDF5, 2, 0),
        ("weights_alone", Kind.KERAS_H5_WEIGHTS, Runtime.TF_KERAS, "2.15.1", Weights.HDF5, 4, 0),
        ("archive_2", Kind.KERAS_V3, Runtime.TF_KERAS, "2.15.1", Weights.HDF5_V3, 11, 19),
        ("archive_3", Kind.KERAS_V3, Runtime.KERAS, "3.15.1", Weights.HDF5_V3, 11, 20),
        ("hdf5_3", Kind.KERAS_H5_MODEL, Runtime.KERAS, "3.15.1", Weights.HDF5, 4, 0),
        ("json_hdf5", Kind.KERAS_JSON, Runtime.TF_KERAS, "2.15.1", Weights.HDF5, 4, 0),
        ("json_3", Kind.KERAS_JSON, Runtime.KERAS, "", Weights.HDF5_V3, 4, 0),
        ("json_objects", Kind.KERAS_JSON, Runtime.TF_KERAS, "2.15.1", Weights.OBJECTS, 4, 0),
        ("json_names", Kind.KERAS_JSON, Runtime.TF_KERAS, "2.15.1", Weights.NAMES, 4, 0),
    ],
)
def test_each_form_is_told_by_its_content(name, kind, runtime, version, form, weights, optimizer):
    source = _read(MODELS / name)
    assert (source.kind, source.runtime, source.keras_version, source.form) == (kind, runtime, version, form)
    assert (len(source.weights), len(source.optimizer)) == (weights, optimizer)


@pytest.mark.parametrize("name", ["functional", "archive_2", "archive_3"])
def test_the_config_says_what_goes_in_and_comes_out(name):
    source = _read(MODELS / name)
    assert keras_config.inputs(source.config) == _TWO[1]
    assert keras_config.outputs(source.config) == _TWO[2]
    assert {layer.class_name for layer in keras_config.layers(source.config)} >= {
        "Embedding",
        "BatchNormalization",
        "Dense",
    }


def test_a_file_is_found_by_its_content_under_any_name(tmp_path):
    shutil.copy(MODELS / "functional" / "model.h5", tmp_path / "weights.bin")
    assert _read(tmp_path).kind is Kind.KERAS_H5_MODEL
    assert _read(tmp_path / "weights.bin").kind is Kind.KERAS_H5_MODEL


def test_audit_starts_neither_keras_nor_tensorflow():
    paths = [str(MODELS / name) for name in ("functional", "archive_3", "json_objects")]
    program = f"""
import sys, migrate
assert migrate.audit({paths!r}).ok
print(sorted({{"tensorflow", "keras", "tf_keras"}} & set(sys.modules)))
"""
    assert run_child(["-c", program]).strip() == "[]"


def test_a_keras_saved_model_is_a_tf2_saved_model(tmp_path):
    (report,) = migrate.convert(str(MODELS / "saved_model"), str(tmp_path / "new")).models
    assert isinstance(report.outcome, Unchanged)
    assert report.kind is Kind.KERAS_SAVED_MODEL
    assert (tmp_path / "new" / "keras_metadata.pb").is_file()


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("weights_alone", Options(), "keras-weights-alone"),
        ("keras_1", Options(), "keras-1"),
        ("theano", Options(), "keras-other-backend"),
        ("custom", Options(), "keras-custom-object"),
        ("custom", Options(custom_objects=("keras_layers:Other",)), "keras-custom-object"),
        ("marshalled", Options(), "keras-lambda"),
        ("functional", Options(signature=(GivenSignature("s", (), (("y", "y:0"),)),)), "keras-signature"),
    ],
)
def test_refused(name, options, code, tmp_path):
    (report,) = migrate.convert(str(MODELS / name), str(tmp_path / "new"), options).models
    assert isinstance(report.outcome, Refused)
    assert report.findings[0].code == code
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [("custom", Options(custom_objects=("keras_layers:Scale",))), ("marshalled", Options(trust=True))],
)
def test_allowed(name, options):
    (report,) = migrate.audit(str(MODELS / name), options).models
    assert isinstance(report.outcome, Convertible)


def test_an_architecture_without_weights_is_refused(tmp_path):
    shutil.copy(MODELS / "json_hdf5" / "model.json", tmp_path)
    (report,) = migrate.audit(str(tmp_path)).models
    (finding,) = report.findings
    assert finding.code == "keras-weights-missing"
    given = str(tmp_path / "model.json")
    assert finding.hint.endswith(f"or pass the weights' path as SOURCE, and this file with --architecture={given}")
    (report,) = migrate.audit(str(MODELS / "weights_alone" / "weights.h5"), Options(architecture=given)).models
    assert "keras-architecture" in [f.code for f in report.findings]


@pytest.mark.parametrize("spelled", ["model.json", "./model.json", "../here/model.json", "..//here//model.json"])
def test_an_architecture_is_not_beside_itself(spelled, tmp_path, monkeypatch):
    shutil.copytree(MODELS / "json_hdf5", tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    (report,) = migrate.audit(spelled).models
    assert isinstance(report.outcome, Convertible), report


def test_several_files_of_weights_are_told(tmp_path):
    shutil.copytree(MODELS / "json_hdf5", tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "model.h5", tmp_path / "other.h5")
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Unreadable)
    assert "2 files of weights" in report.outcome.reason


def test_the_file_checkpoint_chooses_among_several(tmp_path):
    shutil.copytree(MODELS / "json_names", tmp_path, dirs_exist_ok=True)
    shutil.copy(MODELS / "json_hdf5" / "model.h5", tmp_path / "older.h5")
    assert files_of(place_of(str(tmp_path / "model.json"))).weights.endswith("model.ckpt")


def test_data_in_another_file_are_refused(tmp_path):
    shutil.copy(MODELS / "functional" / "model.h5", tmp_path)
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file["model_weights/hidden/hidden/kernel:0"]
        file["model_weights/hidden/hidden/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/")
    (report,) = migrate.audit(str(tmp_path)).models
    assert "keras-external-link" in [f.code for f in report.findings]


def _zip(path: pathlib.Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


_CONFIG = json.dumps({"class_name": "Sequential", "config": {"layers": []}}).encode()
_METADATA = json.dumps({"keras_version": "3.15.1"}).encode()


def _empty_hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(1)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"../evil": b"x"}, "leads out of the archive"),
        ({"/evil": b"x"}, "leads out of the archive"),
        ({"bomb": b"0" * (1 << 28) + b"0"}, "unpacks to"),
        ({"config.json": b"{"}, "is no JSON"),
        ({"config.json": b"[]"}, "is not a Keras config"),
        ({"model.weights.h5": None}, "no model.weights.h5"),
        ({"model.weights.h5": b"nothing"}, "cannot be read"),
    ],
)
def test_a_bad_archive_is_named(members, words, tmp_path):
    good = {"config.json": _CONFIG, "metadata.json": _METADATA, "model.weights.h5": _empty_hdf5()}
    chosen = {name: data for name, data in {**good, **members}.items() if data is not None}
    _zip(tmp_path / "model.keras", **chosen)
    with pytest.raises(InputError, match=words):
        _read(tmp_path)


def test_a_loss_of_the_users_is_no_hindrance(tmp_path):
    compiled = {"optimizer": "adam", "loss": {"class_name": "MyLoss", "module": "mine", "config": {}}}
    config = json.dumps({**json.loads(_CONFIG), "compile_config": compiled}).encode()
    members = {"config.json": config, "metadata.json": _METADATA, "model.weights.h5": _empty_hdf5()}
    _zip(tmp_path / "model.keras", **members)
    source = _read(tmp_path)
    assert source.training == compiled
    assert needs(source.config, source.runtime).custom == ()
    asked = training_needs(source.training, source.runtime)
    assert forbidden(asked, (), trust=False) == ("MyLoss",)
    assert not forbidden(asked, ("mine:MyLoss",), trust=False)


@pytest.mark.parametrize("size", [9, 600, 3000])
def test_a_truncated_file_is_named(size, tmp_path):
    data = (MODELS / "functional" / "model.h5").read_bytes()
    (tmp_path / "model.h5").write_bytes(data[:size])
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Unreadable)
    assert "model.h5" in report.outcome.reason


def test_hdf5_that_is_not_keras_is_named(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="not Keras"):
        _read(tmp_path)


@pytest.mark.parametrize("attribute", ["layer_names", "keras_version", ""])
def test_hdf5_types_that_numpy_has_not_are_named(attribute, tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        if attribute:
            h5py.h5a.create(file.id, attribute.encode(), h5py.h5t.UNIX_D32LE, space)
        else:
            h5py.h5d.create(file.id, b"hidden", h5py.h5t.UNIX_D32LE, space)
        if attribute != "layer_names":
            file.attrs["layer_names"] = [b"hidden"]
    (report,) = migrate.audit(str(path)).models
    assert isinstance(report.outcome, Unreadable), report
    assert "cannot be read as HDF5" in report.outcome.reason


def test_time_to_read_a_checkpoint_grows_with_its_tensors_alone(monkeypatch):
    compared = []

    def equal(one, other):
        compared.append((one, other))
        return (one.name, one.dtype, one.shape) == (other.name, other.dtype, other.shape)

    monkeypatch.setattr(StoredTensor, "__eq__", equal)
    read = _read(ROOT / "testdata" / "keras_tf1" / "manager")
    assert read.weights
    assert read.optimizer
    assert not compared


def _archive(path, compression, weights, elements):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for number in range(weights):
            file.create_dataset(f"layers/dense_{number}/vars/0", data=np.zeros(elements, "float32"))
    data = content.getvalue()
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.4.0"}))
        archive.writestr("model.weights.h5", data)
    return len(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_weights_in_an_archive_are_passed_over_once(compression, tmp_path, monkeypatch):
    """HDF5 goes back and forth in its file, and `zipfile` begins anew each time that it goes back."""
    path = str(tmp_path / "model.keras")
    size = _archive(path, compression, 300, 1_000)
    passed = []
    read = zipfile.ZipExtFile.read

    def count(stream, *arguments):
        passed.append(len(data := read(stream, *arguments)))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", count)
    source = keras_source._read(KerasFiles(path, path, path))
    assert [tensor.shape for tensor in source.weights] == [(1_000,)] * 300
    assert sum(passed) < 2 * size


def test_an_archive_has_the_time_that_its_content_is_worth(tmp_path, monkeypatch):
    path = str(tmp_path / "model.keras")
    size = _archive(path, zipfile.ZIP_DEFLATED, 10, 1_000_000)
    assert os.path.getsize(path) < size / 100
    held = []

    def note(*arguments):
        held.append(arguments[4])
        return guarded(*arguments)

    monkeypatch.setattr("migrate.sources.keras_source.guarded", note)
    assert len(read_keras(KerasFiles(path, path, path)).weights) == 10
    assert held == [size]
