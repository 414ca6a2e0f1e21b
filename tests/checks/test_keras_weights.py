"""Weights of another architecture: audit names the tensor and both shapes, for each form in which Keras stores them."""

from __future__ import annotations

import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest

import migrate
from migrate.checks.keras_weights import find_misfits
from migrate.records import Convertible, Options, Refused, Severity
from migrate.sources.discover import place_of
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_source import Weights, load_architecture, read_keras
from migrate.sources.read import files_of
from tests.conversions import ROOT

pytestmark = pytest.mark.process

MODELS = ROOT / "testdata" / "keras"
TWO_LINES = 178  # Of a report that is 100 characters wide.
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


def _changed(name, folder, edit, options=None):
    """A model whose architecture was edited, layer settings by layer name."""
    shutil.copytree(CASES[name], folder, dirs_exist_ok=True)
    (file,) = [path for path in folder.iterdir() if path.suffix in (".json", ".yaml")]
    config = json.loads(json.dumps(load_architecture(str(file))))
    inner = config["config"]
    entries = inner if isinstance(inner, list) else inner["layers"]
    edit(entries)
    file.unlink()
    (folder / "model.json").write_text(json.dumps(config))
    (report,) = migrate.audit(str(folder), options or Options()).models
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
        ("checkpoints", _set("scores", units=4), "layer_with_weights-2/kernel", "[12, 3], the layer 'scores' [?, 4]"),
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
    assert len(told.message) <= TWO_LINES
    assert len(told.nodes) == len(set(told.nodes))


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


def _without_last(entries):
    entries.pop()


_BEYOND = {
    "json_objects": "2 tensors are of no layer of this one (layer_with_weights-1/bias, layer_with_weights-1/kernel)",
    "checkpoints": "(layer_with_weights-2/bias, layer_with_weights-2/kernel)",
    "manager": "(model/layer_with_weights-3/bias, model/layer_with_weights-3/kernel)",
    "json_3": "(layers/dense_1/vars/0, layers/dense_1/vars/1)",
    "json_hdf5": "of 2 layers with weights (hidden, scores), and the architecture has 1 (hidden)",
    "yaml": "of 3 layers with weights (conv, normal, scores)",
}


@pytest.mark.parametrize("name", _BEYOND)
def test_weights_of_a_larger_model_are_refused(name, tmp_path):
    report = _changed(name, tmp_path, _without_last)
    assert isinstance(report.outcome, Refused), report
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert _BEYOND[name] in told.message


def test_in_a_checkpoint_by_name_those_of_a_larger_model_are_left_out_and_named(tmp_path):
    report = _changed("by_name", tmp_path, _without_last)
    assert isinstance(report.outcome, Convertible), report
    (told,) = [f for f in report.findings if f.code == "keras-weights-unused"]
    assert "2 tensors are of no layer of the architecture, and left out (value/bias, value/kernel)" in told.message


@pytest.mark.parametrize("left_out", ["hidden", "scores"])
def test_a_bias_that_a_layer_does_not_have_is_of_a_larger_model(left_out, tmp_path):
    report = _changed("json_objects", tmp_path, _set(left_out, use_bias=False))
    assert isinstance(report.outcome, Refused), report
    assert "1 tensor is of no layer of this one" in report.findings[0].message


def test_layers_that_may_have_weights_or_none_are_counted_as_if_they_had(tmp_path):
    def edit(count):
        def edited(entries):
            while len(entries) > 1:
                entries.pop()
            entries += [{"class_name": "Scale", "config": {"name": f"scale_{n}"}} for n in range(count)]

        return edited

    options = Options(custom_objects=("mine:Scale",))
    for count in (1, 2):
        report = _changed("json_objects", tmp_path / str(count), edit(count), options)
        assert isinstance(report.outcome, Convertible if count == 2 else Refused), report


def _objects(folder, tensors):
    """A checkpoint source whose tensors are changed; only names and shapes are judged."""
    source = read_keras(files_of(place_of(str(CASES["json_objects"]))))
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 3}}
    inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [dense]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [inner, {**dense, "name": "e"}]}}
    end = "/.ATTRIBUTES/VARIABLE_VALUE"
    weights = tuple(StoredTensor(f"{name}{end}", "float32", (3, 3) if "kernel" in name else (3,)) for name in tensors)
    return list(find_misfits(dataclasses.replace(source, config=config, weights=weights), ()))


_INNER = [f"layer_with_weights-0/layer_with_weights-0/{name}" for name in ("kernel", "bias")]
_OUTER = [f"layer_with_weights-1/{name}" for name in ("kernel", "bias")]


def test_layers_of_models_in_models_are_judged(tmp_path):
    assert _objects(tmp_path, [*_INNER, *_OUTER]) == []
    (found,) = _objects(tmp_path, [*_INNER, *_OUTER, "layer_with_weights-0/layer_with_weights-1/kernel"])
    assert "(layer_with_weights-0/layer_with_weights-1/kernel)" in found.message
    (found,) = _objects(tmp_path, _INNER)
    assert "no layer_with_weights-1/kernel" in found.message
    # Of a weight in several places the shortest path is the key.
    assert _objects(tmp_path, _OUTER) == []


def _of_keras_3(tensors):
    source = read_keras(files_of(place_of(str(CASES["json_3"]))))
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 3}}
    inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [dense]}}
    outer = {"class_name": "Functional", "config": {"name": "outer", "layers": [inner, {**inner, "name": "second"}]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [outer, dense]}}
    weights = tuple(StoredTensor(name, "float32", (3,) if name.endswith("1") else (3, 3)) for name in tensors)
    return list(find_misfits(dataclasses.replace(source, config=config, weights=weights), ()))


_OF_A_LAYER = ["vars/0", "vars/1"]
_DEEP = [
    f"layers/functional/layers/{model}/layers/dense/{v}"
    for model in ("functional", "functional_1")
    for v in _OF_A_LAYER
]


def test_layers_of_models_in_models_of_keras_3_are_judged():
    outer = [f"layers/dense/{variable}" for variable in _OF_A_LAYER]
    assert _of_keras_3([*_DEEP, *outer]) == []
    for beyond in ("layers/functional/layers/functional_2/layers/dense/vars/0", _DEEP[0].replace("dense", "dense_1")):
        (found,) = _of_keras_3([*_DEEP, *outer, beyond])
        assert f"1 tensor is of no layer of this one ({beyond})" in found.message
    # A layer that two models have is stored in one of them.
    assert _of_keras_3([*_DEEP[:2], *outer]) == []
    (found,) = _of_keras_3([*_DEEP[1:], *outer])
    assert "it has no functional/functional/dense/0" in found.message


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


def test_nor_from_a_manager_s_directory_and_one_refusal_is_enough(tmp_path):
    shutil.copytree(CASES["manager"], tmp_path, dirs_exist_ok=True)
    shutil.copy(CASES["json_3"] / "model.json", tmp_path)
    (report,) = migrate.audit(str(tmp_path)).models
    refusals = [f.code for f in report.findings if f.severity is Severity.REFUSAL]
    assert refusals == ["keras-weights-form"]
    assert "keras-checkpoint-root" not in [f.code for f in report.findings]


# Names of layers that are parts of one another's, as in DenseNet of keras.applications.

_NESTED = [
    ("InputLayer", "input_1", {"batch_input_shape": [None, 8, 8, 3]}, {}),
    ("Conv2D", "conv1/conv", {"filters": 4, "kernel_size": [3, 3]}, {"kernel": [3, 3, 3, 4], "bias": [4]}),
    ("BatchNormalization", "conv1/bn", {}, {name: [4] for name in ("gamma", "beta", "moving_mean", "moving_variance")}),
    ("Dense", "conv1", {"units": 5}, {"kernel": [4, 5], "bias": [5]}),
    ("Dense", "conv1/conv/last", {"units": 2}, {"kernel": [5, 2], "bias": [2]}),
]


def _nested(folder, layers=_NESTED, parts=0):
    """A Sequential model of layers and their weights; the list of names may be in parts, as Keras has a long one."""
    entries = [{"class_name": kind, "config": {"name": name, **settings}} for kind, name, settings, _ in layers]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": entries}, "keras_version": "2.2.4-tf"}
    (folder / "model.json").write_text(json.dumps(config))
    with h5py.File(folder / "w.h5", "w") as file:
        names = [name.encode() for _, name, _, _ in _NESTED]
        if parts:
            for part, some in enumerate(np.array_split(np.array(names), parts)):
                file.attrs[f"layer_names{part}"] = some
        else:
            file.attrs["layer_names"] = names
        for _, name, _, weights in sorted(_NESTED, key=lambda layer: layer[1]):  # As Keras does it.
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{weight}:0".encode() for weight in weights]
            for weight, shape in weights.items():
                group[f"{name}/{weight}:0"] = np.zeros(shape, np.float32)


@pytest.mark.parametrize("parts", [0, 3])
def test_names_of_layers_may_be_parts_of_one_another(parts, tmp_path):
    _nested(tmp_path, parts=parts)
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible), report


@pytest.mark.parametrize("name", ["conv1", "conv1/conv", "conv1/conv/last"])
def test_the_layer_of_such_names_that_does_not_fit_is_named(name, tmp_path):
    wider = {"units": 9} if name != "conv1/conv" else {"filters": 9}
    _nested(tmp_path, [(k, n, {**settings, **(wider if n == name else {})}, w) for k, n, settings, w in _NESTED])
    (report,) = migrate.audit(str(tmp_path)).models
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert f"{name}/{name}/kernel:0 has the shape" in told.message
    assert f"the layer {name!r}" in told.message


def test_such_layers_are_counted(tmp_path):
    _nested(tmp_path, _NESTED[:-1])
    (report,) = migrate.audit(str(tmp_path)).models
    (told,) = [f for f in report.findings if f.code == "keras-weights-differ"]
    assert "4 layers with weights (conv1, conv1/bn, conv1/conv, conv1/conv/last)" in told.message
    assert "3 (conv1/conv, conv1/bn, conv1)" in told.message


def test_such_names_in_a_checkpoint_by_name(tmp_path):
    _nested(tmp_path)
    source = read_keras(files_of(place_of(str(tmp_path))))
    stored = {f"{name}/{weight}": tuple(shape) for _, name, _, w in _NESTED for weight, shape in w.items()}
    stored["global_step"] = ()

    def told(**changed):
        weights = tuple(StoredTensor(name, "float32", shape) for name, shape in {**stored, **changed}.items())
        return list(find_misfits(dataclasses.replace(source, form=Weights.NAMES, weights=weights, groups=()), ()))

    assert told() == []
    (finding,) = told(**{"conv1/conv/last/kernel": (5, 3)})
    assert finding.nodes == ("conv1/conv/last",)


def test_without_a_list_of_layers_none_are_counted(tmp_path):
    _nested(tmp_path)
    source = dataclasses.replace(read_keras(files_of(place_of(str(tmp_path)))), groups=())
    strange = StoredTensor("another/another/kernel:0", "float32", (1, 1))
    assert list(find_misfits(dataclasses.replace(source, weights=(*source.weights, strange)), ())) == []


# Classes of the user's


@pytest.mark.parametrize("name", ["json_hdf5", "json_objects", "json_names", "json_3"])
@pytest.mark.parametrize("registered", ["Dense", "mine>Dense"])
def test_a_class_that_the_user_gives_is_not_judged_as_one_of_keras(name, registered, tmp_path):
    shutil.copytree(CASES[name], tmp_path, dirs_exist_ok=True)
    file = tmp_path / "model.json"
    config = json.loads(file.read_text())
    _set("hidden", units=5)(config["config"]["layers"])
    for entry in config["config"]["layers"]:
        if entry["class_name"] == "Dense":
            entry["class_name"] = registered
    file.write_text(json.dumps(config))
    (report,) = migrate.audit(str(tmp_path), Options(custom_objects=("mine:Dense",))).models
    assert "keras-weights-differ" not in [f.code for f in report.findings], report
    (report,) = migrate.audit(str(tmp_path), Options(custom_objects=("mine:Other",))).models
    expected = "keras-weights-differ" if registered == "Dense" else "keras-custom-object"
    assert expected in [f.code for f in report.findings], report
