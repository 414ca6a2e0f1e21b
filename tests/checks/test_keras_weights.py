"""Weights of another architecture: audit names the tensor and both shapes, for each form in which Keras stores them."""

from __future__ import annotations

import json
import shutil

import pytest

import migrate
from migrate.records import Convertible, Options, Refused
from migrate.sources.keras import load_architecture
from tests.conversions import ROOT

MODELS = ROOT / "testdata" / "keras"
OF_TF1 = ROOT / "testdata" / "keras_tf1"
CASES = {
    "json_hdf5": MODELS / "json_hdf5",
    "json_objects": MODELS / "json_objects",
    "json_names": MODELS / "json_names",
    "json_3": MODELS / "json_3",
    "yaml": OF_TF1 / "yaml",
    "checkpoints": OF_TF1 / "checkpoints",
    "manager": OF_TF1 / "manager",
    "by_name": OF_TF1 / "by_name",
}


def _changed(name, folder, edit):
    """A model whose architecture was edited, layer settings by layer name."""
    shutil.copytree(CASES[name], folder, dirs_exist_ok=True)
    (file,) = [path for path in folder.iterdir() if path.suffix in (".json", ".yaml")]
    config = json.loads(json.dumps(load_architecture(str(file))))
    inner = config["config"]
    entries = inner if isinstance(inner, list) else inner["layers"]
    edit(entries)
    file.unlink()
    (folder / "model.json").write_text(json.dumps(config))
    (report,) = migrate.audit(str(folder)).models
    return report


def _set(layer, **settings):
    def edit(entries):
        (entry,) = [entry for entry in entries if entry["config"]["name"] == layer]
        assert settings.keys() <= entry["config"].keys()
        entry["config"].update(settings)

    return edit


@pytest.mark.parametrize("name", CASES)
def test_the_right_weights_are_taken(name, tmp_path):
    report = _changed(name, tmp_path, lambda entries: None)
    assert isinstance(report.outcome, Convertible), report


@pytest.mark.parametrize(
    ("name", "edit", "tensor", "shapes"),
    [
        ("json_hdf5", _set("hidden", units=5), "hidden/hidden/kernel:0", "[4, 3], the layer 'hidden' [4, 5]"),
        ("json_objects", _set("hidden", units=5), "layer_with_weights-0/kernel", "[4, 3], the layer 'hidden' [4, 5]"),
        ("json_3", _set("scores", units=7), "layers/dense_1/vars/0", "[3, 2], the layer 'scores' [3, 7]"),
        ("json_names", _set("scores", units=7), "scores/kernel", "[3, 2], the layer 'scores' [3, 7]"),
        ("yaml", _set("conv", kernel_size=[5, 5]), "conv/conv/kernel:0", "[3, 3, 2, 3], the layer 'conv' [5, 5, 2, 3]"),
        (
            "yaml",
            _set("conv", batch_input_shape=[None, 6, 6, 9]),
            "conv/conv/kernel:0",
            "the layer 'conv' [3, 3, 9, 3]",
        ),
        ("checkpoints", _set("scores", units=4), "layer_with_weights-2/bias", "[3], the layer 'scores' [4]"),
        (
            "manager",
            _set("table", input_dim=9),
            "model/layer_with_weights-0/embeddings",
            "[7, 4], the layer 'table' [9, 4]",
        ),
        ("by_name", _set("hidden", use_bias=True, units=6), "hidden/kernel", "[6, 5], the layer 'hidden' [?, 6]"),
    ],
)
def test_the_tensor_that_does_not_fit_is_named_with_both_shapes(name, edit, tensor, shapes, tmp_path):
    report = _changed(name, tmp_path, edit)
    assert isinstance(report.outcome, Refused), report
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert tensor in told.message
    assert shapes in told.message
    assert "\n" not in told.message


@pytest.mark.parametrize("name", CASES)
def test_a_layer_that_is_not_stored_is_named(name, tmp_path):
    def add(entries):
        last = json.loads(json.dumps(entries[-1]))
        last["config"]["name"] = "added"
        last["name"] = "added"
        entries.append(last)

    report = _changed(name, tmp_path, add)
    assert isinstance(report.outcome, Refused), report
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert "added" in told.message


def test_behind_a_layer_that_is_not_known_numbers_say_nothing_and_names_do(tmp_path):
    def edit(entries):
        entries.insert(1, {"class_name": "Scale", "config": {"name": "scale"}})
        _set("hidden", units=5)(entries)

    for name in ("json_objects", "json_hdf5"):
        report = _changed(name, tmp_path / name, edit)
        codes = [f.code for f in report.findings]
        assert ("keras-weights-differ" in codes) is (name == "json_hdf5")
        assert "keras-custom-object" in codes


def test_weights_that_are_given_with_another_architecture():
    options = Options(architecture=str(MODELS / "json_hdf5" / "model.json"))
    (report,) = migrate.audit(str(OF_TF1 / "yaml" / "weights.h5"), options).models
    assert isinstance(report.outcome, Refused), report
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert "3 layers with weights (conv, normal, scores)" in told.message
    assert "2 (hidden, scores)" in told.message


def test_keras_3_loads_no_checkpoint(tmp_path):
    shutil.copytree(CASES["json_objects"], tmp_path, dirs_exist_ok=True)
    shutil.copy(CASES["json_3"] / "model.json", tmp_path)
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Refused), report
    assert report.findings[0].code == "keras-weights-form"
