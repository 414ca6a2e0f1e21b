"""Keras files that would act while they are loaded: nothing happens, and audit says why. Judged without TensorFlow."""

from __future__ import annotations

import io
import json
import os
import pathlib
import zipfile

import h5py
import numpy as np
import pytest

import migrate
from migrate.records import Convertible, Options, Refused, Severity, Unreadable
from tests.keras_attacks import ALONE, FLOAT, any_layer, attacks, functional, op_layer

pytestmark = pytest.mark.process


def _hdf5(path, config, version="2.15.0"):
    with h5py.File(path, "w") as file:
        file.attrs.update(keras_version=version, backend="tensorflow", model_config=json.dumps(config))
        group = file.create_group("model_weights")
        group.attrs.update(keras_version=version, backend="tensorflow", layer_names=np.asarray([b"x", b"bad"]))
        for name in ("x", "bad"):
            group.create_group(name).attrs["weight_names"] = np.asarray([], "S1")
    return path


def _archive(path, config, version="3.15.1"):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


_NAMES = tuple(attacks("/nowhere"))


@pytest.fixture
def target(tmp_path):
    """A directory with a file, as it must be afterwards."""
    place = tmp_path / "private" / "kept"
    place.mkdir(parents=True)
    (place / "file").write_text("as it was")
    yield place
    assert [p.name for p in (tmp_path / "private").iterdir()] == ["kept"]
    assert [(p.name, p.read_text()) for p in place.iterdir()] == [("file", "as it was")]


def _refusals(path, tmp_path, options=None):
    (report,) = migrate.convert(str(path), str(tmp_path / "new"), options or Options()).models
    assert isinstance(report.outcome, Refused), report
    assert not (tmp_path / "new").exists()
    return {f.code: f for f in report.findings if f.severity is Severity.REFUSAL}


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("name", _NAMES)
def test_a_layer_that_does_more_than_compute_is_refused(name, target, tmp_path):
    place = target / "file" if name in ("write_file", "write_file_v1", "write_op", "read_file", "debug") else target
    config = functional(attacks(place)[name])
    found = _refusals(_hdf5(tmp_path / "model.h5", config), tmp_path)
    assert list(found) == ["keras-calls"], found
    assert "'--trust'" not in found["keras-calls"].message
    assert any("bad" in node for node in found["keras-calls"].nodes)


def test_the_symbol_and_the_layer_are_named(tmp_path):
    found = _refusals(_hdf5(tmp_path / "model.h5", functional(attacks("/x")["delete"])), tmp_path)
    assert "bad: tf.compat.v1.gfile.DeleteRecursively" in found["keras-calls"].message
    assert "--trust" in found["keras-calls"].hint


@pytest.mark.parametrize("form", ["archive", "json", "sequential"])
def test_every_form_of_a_file_is_judged(form, tmp_path):
    config = functional(attacks("/x")["write_file"])
    if form == "archive":
        path = _archive(tmp_path / "model.keras", config, "2.15.0")
    elif form == "json":
        path = tmp_path / "model.json"
        path.write_text(json.dumps(config))
        _hdf5(tmp_path / "weights.h5", config)
        with h5py.File(tmp_path / "weights.h5", "r+") as file:
            del file.attrs["model_config"]
    else:
        layers = [any_layer("TFOpLambda", function="io.write_file")]
        path = _hdf5(tmp_path / "model.h5", {"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
    assert "keras-calls" in _refusals(path, tmp_path)


@pytest.mark.parametrize(
    "layer",
    [
        any_layer("TFOpLambda", [["x", 0, 0, {"y": 1.0}]], function="math.add"),
        any_layer("TFOpLambda", [[ALONE, -1, 1.0, {"y": ["x", 0, 0]}]], function="__operators__.add"),
        any_layer("TFOpLambda", [[["x", 0, 0, {"axis": 0}]]], function="concat"),
        any_layer("TFOpLambda", function="nn.relu"),
        any_layer("TFOpLambda", [["x", 0, 0, {"dtype": "float16"}]], function="cast"),
        any_layer("TFOpLambda", function="compat.v1.nn.conv2d"),
        any_layer("TFOpLambda", function="keras.backend.mean"),
        any_layer("TFOpLambda", function="image.resize"),
        any_layer("TFOpLambda", function="compat.v1.image.resize_bilinear"),
        any_layer("SlicingOpLambda", [["x", 0, 0, {"slice_spec": [{"start": 0}]}]], function="__operators__.getitem"),
        any_layer("ClassMethod", [[["x", 0, 0, {}]]], cls_symbol="RaggedTensor", method_name="from_row_splits"),
        any_layer("InstanceProperty", attr_name="flat_values"),
        any_layer("InstanceMethod", attr_name="to_tensor"),
        op_layer("AddV2", ("x", "y"), {"1": 1.0}, T=FLOAT),
        op_layer("RandomUniform", ("shape",), T={"type": "DT_INT32"}, dtype=FLOAT),
    ],
    ids=lambda layer: f"{layer['class_name']}-{layer['config'].get('function', '')}",
)
def test_a_layer_that_computes_is_not_refused(layer, tmp_path):
    (report,) = migrate.audit(str(_hdf5(tmp_path / "model.h5", functional(layer)))).models
    assert isinstance(report.outcome, Convertible), report


def test_with_trust_it_is_told(tmp_path):
    path = _hdf5(tmp_path / "model.h5", functional(attacks("/x")["write_file"]))
    (report,) = migrate.audit(str(path), Options(trust=True)).models
    assert isinstance(report.outcome, Convertible)
    assert [f.code for f in report.findings] == ["keras-calls"]
    assert report.findings[0].severity is Severity.WARNING


# Files that settings name


@pytest.mark.parametrize("version", ["2.15.0", "3.15.1"])
@pytest.mark.parametrize("class_name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_vocabulary_in_a_file_is_refused(class_name, version, target, tmp_path):
    layer = any_layer(class_name, vocabulary=str(target / "file"))
    path = _archive(tmp_path / "model.keras", functional(layer), version)
    found = _refusals(path, tmp_path)
    assert list(found) == ["keras-file-name"]
    assert str(target / "file") in found["keras-file-name"].message


@pytest.mark.parametrize("name", ["vocabulary.txt", "assets/vocabulary.txt", "gs://bucket/words", "/dev/zero"])
def test_any_name_of_a_file_is_one(name, tmp_path):
    path = _hdf5(tmp_path / "model.h5", functional(any_layer("StringLookup", vocabulary=name)))
    assert list(_refusals(path, tmp_path)) == ["keras-file-name"]


def test_a_vocabulary_in_the_config_is_none(tmp_path):
    layer = any_layer("StringLookup", vocabulary=["a", "b"], vocabulary_dtype="string", vocabulary_size=None)
    (report,) = migrate.audit(str(_archive(tmp_path / "model.keras", functional(layer)))).models
    assert isinstance(report.outcome, Convertible)


@pytest.mark.parametrize(
    ("class_name", "version"), [("ReloadedLayer", "2.15.0"), ("TFSMLayer", "3.15.1"), ("TorchModuleWrapper", "3.15.1")]
)
def test_another_files_graph_is_refused_even_with_trust(class_name, version, tmp_path):
    layer = any_layer(class_name, filepath="/some/saved_model")
    path = _archive(tmp_path / "model.keras", functional(layer), version)
    assert list(_refusals(path, tmp_path, Options(trust=True))) == ["keras-foreign-layer"]


# Code that a config names


@pytest.mark.slow
@pytest.mark.parametrize("registered", [{"registered_name": None}, {"registered_name": ""}])
def test_no_module_is_imported_for_a_class_of_the_users_name(registered, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Scale: pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"), prepend=os.pathsep)
    layer = {**any_layer("Scale"), "module": "evil_module", **registered}
    path = _archive(tmp_path / "model.keras", functional(layer), "2.15.0")
    options = Options(custom_objects=("keras_layers:Scale",))
    assert list(_refusals(path, tmp_path, options)) == ["keras-custom-object"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "layer",
    [
        any_layer("Dense", kernel_regularizer="deserialize_keras_object"),
        any_layer("Dense", kernel_constraint="deserialize"),
        any_layer("Lambda", function="system", function_type="function", module="os"),
        any_layer("Dense", f={"class_name": "TypeSpec", "type_spec": "tf.data.DatasetSpec", "serialized": []}),
        any_layer("Dense", f={"class_name": ["Dense"], "config": {}}),
        {**any_layer("Dense"), "module": "tensorflow.python.ops"},
        {**any_layer("Dense"), "module": "builtins"},
        {
            **any_layer("Adam", function="io.write_file"),
            "module": "tf_keras.src.layers.core.tf_op_layer",
            "registered_name": "TFOpLambda",
        },
        {**any_layer("Dense"), "module": "keras.layers", "registered_name": "Conv2D"},
        any_layer(
            "Dense",
            activation={
                "class_name": "function",
                "config": "relu",
                "module": "keras.activations",
                "registered_name": "deserialize_keras_object",
            },
        ),
        any_layer(
            "Dense", m={"class_name": "MeanMetricWrapper", "config": {"name": "m", "fn": "serialize_keras_object"}}
        ),
        {**any_layer("Dense"), "compile_config": {"loss": {"bad": "serialize"}, "metrics": ["accuracy", "get"]}},
    ],
    ids=range(12),
)
def test_a_name_that_is_on_no_list_is_refused(layer, tmp_path):
    path = _hdf5(tmp_path / "model.h5", functional(layer))
    assert list(_refusals(path, tmp_path)) == ["keras-custom-object"]


@pytest.mark.parametrize("odd", [{}, {"a": 1}, [], [["Dense"]], 7, True])
@pytest.mark.parametrize("key", ["registered_name", "module", "config"])
def test_a_name_that_is_no_string_is_refused(key, odd, tmp_path):
    named = {"class_name": "function", "config": "relu", "module": "keras.activations", "registered_name": "function"}
    path = _hdf5(tmp_path / "model.h5", functional(any_layer("Dense", activation={**named, key: odd})))
    assert list(_refusals(path, tmp_path)) == ["keras-custom-object"]


# How it is said


@pytest.mark.parametrize(
    "layer",
    [
        any_layer("TFOpLambda", function="compat.v1.gfile.DeleteRecursively"),
        any_layer("StringLookup", vocabulary="gs://bucket/a/long/path/of/a/file/with/words.txt"),
        any_layer("LayerOfMyOwnCompany"),
        any_layer("TFSMLayer", filepath="/some/saved_model"),
        any_layer("Dense", ragged=True),
        any_layer("Convolution2D", nb_filter=3),
    ],
    ids=lambda layer: layer["class_name"],
)
def test_a_refusal_of_many_layers_has_two_lines_and_each_node_once(layer, tmp_path):
    names = [f"a_model_in_a_model_layer_{n}" for n in range(20)]
    layers = [{**layer, "name": n, "config": {**layer["config"], "name": n}} for n in [*names, *names]]
    path = _archive(tmp_path / "model.keras", {"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
    found = _refusals(path, tmp_path)
    assert found
    for finding in found.values():
        assert len(finding.message) <= 178, finding
        assert len(finding.hint) <= 172, finding
        assert len(finding.nodes) == len(set(finding.nodes))


# HDF5


def _pipe(directory: pathlib.Path) -> pathlib.Path:
    """A pipe without a writer: whoever opens it waits."""
    os.mkfifo(directory / "pipe")
    return directory / "pipe"


@pytest.mark.parametrize("place", ["model_weights", "layers", "model_weights/bad", "a/soft"])
def test_a_file_behind_an_external_link_is_not_opened(place, tmp_path):
    (tmp_path / "model").mkdir()
    path = _hdf5(tmp_path / "model" / "model.h5", functional(any_layer("Dense", units=3)))
    other = _pipe(tmp_path)
    with h5py.File(path, "r+") as file:
        if place == "a/soft":
            file["z"] = h5py.ExternalLink(str(other), "/")
            file["a/soft"] = h5py.SoftLink("/z/x")
        else:
            if place in file:
                del file[place]
            file[place] = h5py.ExternalLink(str(other), "/")
    (report,) = migrate.audit(str(path)).models
    assert "keras-external-link" in [f.code for f in report.findings], report


def test_weights_alone_behind_an_external_link(tmp_path):
    (tmp_path / "model").mkdir()
    other = _pipe(tmp_path)
    with h5py.File(tmp_path / "model" / "weights.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(other), "/")
        file["layers"] = h5py.ExternalLink(str(other), "/")
    (report,) = migrate.audit(str(tmp_path / "model" / "weights.h5")).models
    assert isinstance(report.outcome, (Refused, Unreadable))


@pytest.mark.parametrize("target", ["/data", "/model_weights", "/nothing"])
def test_a_soft_link_is_refused_since_it_may_lead_through_another_file(target, tmp_path):
    path = _hdf5(tmp_path / "model.h5", functional(any_layer("Dense", units=3)))
    with h5py.File(path, "r+") as file:
        file["data"] = np.zeros([3, 3], "float32")
        file["model_weights/bad/kernel"] = h5py.SoftLink(target)
    (report,) = migrate.audit(str(path)).models
    assert isinstance(report.outcome, Refused)
    assert [f.code for f in report.findings] == ["keras-external-link"]
