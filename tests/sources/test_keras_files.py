"""Keras weights and the architecture that they belong to, in files of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import migrate
from migrate.errors import InputError, UsageError
from migrate.records import Convertible, Options, Refused, Unreadable
from migrate.sources import keras_files
from migrate.sources.discover import place_of
from migrate.sources.keras_source import load_architecture
from migrate.sources.read import files_of
from tests.conversions import ROOT, migrate_command
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

MODELS = ROOT / "testdata" / "keras"
OF_TF1 = ROOT / "testdata" / "keras_tf1"


def _steps(folder, *names):
    shutil.copy(MODELS / "json_hdf5" / "model.json", folder)
    for name in names:
        shutil.copy(MODELS / "json_hdf5" / "model.h5", folder / name)


def _found(path, **flags):
    files = files_of(place_of(str(path)), **flags)
    return os.path.basename(files.architecture), os.path.basename(files.weights)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["cp-0003.weights.h5", "cp-0010.weights.h5"], "cp-0010.weights.h5"),
        (["weights.09-0.50.hdf5", "weights.10-0.25.hdf5"], "weights.10-0.25.hdf5"),
        (["v2-epoch9.h5", "v2-epoch10.h5", "v2-epoch1.h5"], "v2-epoch10.h5"),
    ],
)
def test_the_highest_step_is_taken_and_told(names, taken, tmp_path):
    _steps(tmp_path, *names)
    assert _found(tmp_path) == ("model.json", taken)
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible)
    (told,) = [f for f in report.findings if f.code == "checkpoint-chosen"]
    assert repr(taken) in told.message
    assert all(name in told.message for name in names)


@pytest.mark.parametrize("damage", [600, 3000, 9])
def test_a_damaged_file_beside_the_weights_is_none_of_them(damage, tmp_path):
    _steps(tmp_path, "weights.h5", "features.h5")
    (tmp_path / "features.h5").write_bytes((tmp_path / "weights.h5").read_bytes()[:damage])
    assert _found(tmp_path) == ("model.json", "weights.h5")
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible), report


def test_an_older_step_stands_for_no_damaged_one(tmp_path):
    _steps(tmp_path, "w-1.h5", "w-2.h5", "w-3.h5")
    whole = (tmp_path / "w-1.h5").read_bytes()
    (tmp_path / "w-1.h5").write_bytes(whole[:600])
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible), report
    (told,) = [f for f in report.findings if f.code == "checkpoint-chosen"]
    assert "'w-3.h5'" in told.message
    assert "w-1.h5" in told.message
    (tmp_path / "w-3.h5").write_bytes(whole[:600])
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Unreadable), report
    assert "w-3.h5: cannot be read as HDF5" in report.outcome.reason
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "w-2.h5"')
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible), report


@pytest.mark.parametrize(
    "state", ["", 'model_checkpoint_path: "cp-0099.ckpt"\n', 'model_checkpoint_path: "cp-0002.ckpt"']
)
def test_the_file_checkpoint_names_the_step_where_that_is_there(state, tmp_path):
    shutil.copytree(OF_TF1 / "checkpoints", tmp_path, dirs_exist_ok=True)
    if state:
        (tmp_path / "checkpoint").write_text(state)
    taken = "cp-0002.ckpt" if "0002" in state else "cp-0010.ckpt"
    assert _found(tmp_path) == ("model.json", taken)
    (report,) = migrate.audit(str(tmp_path)).models
    assert [f.code for f in report.findings].count("checkpoint-chosen") == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cp-0002.ckpt", "cp-0002.ckpt"),
        ("cp-0002.ckpt.index", "cp-0002.ckpt"),
        ("cp-0002.ckpt.data-00000-of-00002", "cp-0002.ckpt"),
        ("cp-0003.weights.h5", "cp-0003.weights.h5"),
    ],
)
def test_a_step_that_is_named_is_taken(name, given, tmp_path):
    shutil.copytree(OF_TF1 / "checkpoints", tmp_path, dirs_exist_ok=True)
    shutil.copy(OF_TF1 / "yaml" / "weights.h5", tmp_path / "cp-0003.weights.h5")
    assert _found(tmp_path / name) == ("model.json", given)
    (report,) = migrate.audit(str(tmp_path / name)).models
    assert isinstance(report.outcome, Convertible), report
    assert "checkpoint-chosen" not in [f.code for f in report.findings]


def test_one_architecture_in_two_forms_is_one(tmp_path):
    shutil.copytree(OF_TF1 / "yaml", tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.json").write_text(json.dumps(load_architecture(str(OF_TF1 / "yaml" / "model.yaml"))))
    for path in (tmp_path / "model.json", tmp_path / "model.yaml", tmp_path / "weights.h5"):
        (report,) = migrate.audit(str(path)).models
        assert isinstance(report.outcome, Convertible), report


def test_two_architectures_for_one_file_of_weights(tmp_path):
    _steps(tmp_path, "weights.h5")
    shutil.copy(MODELS / "json_3" / "model.json", tmp_path / "another.json")
    for path in (tmp_path / "model.json", tmp_path / "weights.h5"):
        (report,) = migrate.audit(str(path)).models
        assert isinstance(report.outcome, Unreadable)
        assert "2 Keras architectures" in report.outcome.reason
        assert "--architecture=" in report.outcome.reason
        assert "\n" not in report.outcome.reason
    options = Options(architecture=str(tmp_path / "model.json"))
    for path in (tmp_path / "model.json", tmp_path / "weights.h5"):
        (report,) = migrate.audit(str(path), options).models
        assert isinstance(report.outcome, Convertible), report


def _another(folder, name="another.json"):
    shutil.copy(MODELS / "json_3" / "model.json", folder / name)


@pytest.mark.parametrize("folder", ["json_hdf5", "json_objects"])
def test_a_directory_with_two_architectures_is_one_model_whose_architecture_is_chosen(folder, tmp_path):
    shutil.copytree(MODELS / folder, tmp_path / "model")
    _another(tmp_path / "model")
    (report,) = migrate.audit(str(tmp_path / "model")).models
    assert isinstance(report.outcome, Unreadable), report
    assert "2 Keras architectures beside it (another.json, model.json)" in report.outcome.reason
    assert f"--architecture={tmp_path}/model/another.json" in report.outcome.reason
    options = Options(architecture=str(tmp_path / "model" / "model.json"))
    (report,) = migrate.audit(str(tmp_path / "model"), options).models
    assert isinstance(report.outcome, Convertible), report


def test_a_whole_model_beside_two_architectures_needs_none(tmp_path):
    shutil.copy(MODELS / "functional" / "model.h5", tmp_path)
    _steps(tmp_path)
    _another(tmp_path)
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Convertible), report


def test_two_architectures_in_a_tree_are_of_one_model(tmp_path):
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        _steps(tmp_path / name, "w.h5")
    _another(tmp_path / "bad")
    outcomes = {os.path.basename(m.source): type(m.outcome) for m in migrate.audit(str(tmp_path)).models}
    assert outcomes == {"good": Convertible, "bad": Unreadable}


def test_an_architecture_in_two_forms_makes_one_model_of_a_directory(tmp_path):
    shutil.copytree(OF_TF1 / "yaml", tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.json").write_text(json.dumps(load_architecture(str(OF_TF1 / "yaml" / "model.yaml"))))
    (report,) = migrate.audit(str(tmp_path)).models
    assert (report.source, type(report.outcome)) == (str(tmp_path), Convertible)


def _no_architecture(folder):
    (folder / "model.json").write_text('{"a": 1}')
    shutil.copy(MODELS / "json_hdf5" / "model.h5", folder)
    return "model.json beside them: is not a Keras architecture (no class_name, no config)"


def _of_another(folder):
    shutil.copy(OF_TF1 / "yaml" / "model.yaml", folder)
    shutil.copy(MODELS / "json_hdf5" / "model.h5", folder)
    return "weights of 2 layers with weights (hidden, scores)"


def _of_other_shapes(folder):
    whole = json.loads((MODELS / "json_hdf5" / "model.json").read_text())
    whole["config"]["layers"][-1]["config"]["units"] = 7
    (folder / "model.json").write_text(json.dumps(whole))
    shutil.copy(MODELS / "json_hdf5" / "model.h5", folder)
    return "of another architecture: scores/scores/kernel:0 has the shape [3, 2], the layer 'scores' [3, 7]"


def _two_architectures(folder):
    _steps(folder, "w.h5")
    _another(folder)
    return "w.h5: has 2 Keras architectures beside it (another.json, model.json); say which is its own"


def _tagged(folder):
    text = (OF_TF1 / "yaml" / "model.yaml").read_text()
    tagged = text.replace("config:", "config:\n  made: !!python/object/apply:os.system ['touch ran']", 1)
    (folder / "model.yaml").write_text(tagged)
    shutil.copy(OF_TF1 / "yaml" / "weights.h5", folder)
    return "has the tag !!python/object/apply:os.system"


@pytest.mark.parametrize("make", [_no_architecture, _of_another, _of_other_shapes, _two_architectures, _tagged])
def test_what_does_not_belong_together_is_a_line_and_nothing_is_written(make, tmp_path):
    (tmp_path / "model").mkdir()
    words = make(tmp_path / "model")
    done = migrate_command("convert", tmp_path / "model", tmp_path / "new", "--format=json")
    assert done.returncode == 1, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    (told,) = [f["message"] for f in model["findings"] if f["severity"] == "refusal"] or [model["detail"]["reason"]]
    assert words in told
    assert "\n" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_an_architecture_elsewhere_is_joined(tmp_path):
    shutil.copy(MODELS / "weights_alone" / "weights.h5", tmp_path / "w.h5")
    (report,) = migrate.audit(str(tmp_path)).models
    assert "--architecture" in report.findings[0].hint
    options = Options(architecture=str(MODELS / "json_hdf5" / "model.json"))
    (report,) = migrate.audit(str(tmp_path / "w.h5"), options).models
    assert isinstance(report.outcome, Convertible), report
    assert "keras-architecture" in [f.code for f in report.findings]


@pytest.mark.parametrize(
    "spelt", ["m/model.json", "./m/model.json", "m/../m//model.json", "{}/m/model.json", "link/model.json"]
)
@pytest.mark.parametrize("path", ["m", "m/model.json", "m/w.h5", "."])
def test_the_architecture_that_is_there_may_be_spelt_in_any_way(path, spelt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    _steps(tmp_path / "m", "w.h5")
    (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path / "m")
    spelt = spelt.format(tmp_path).replace("link", f"../{tmp_path.name}-link")
    (report,) = migrate.audit(path, Options(architecture=spelt)).models
    assert isinstance(report.outcome, Convertible), report
    assert [f.code for f in report.findings].count("keras-architecture") == 1


@pytest.mark.parametrize("model", ["functional", "archive_2", "json_hdf5"])
def test_an_architecture_that_nothing_takes_is_wrong_use(model, tmp_path):
    options = Options(architecture=str(MODELS / "json_3" / "model.json"))
    for call in (
        lambda: migrate.audit(str(MODELS / model), options),
        lambda: migrate.convert(str(MODELS / model), str(tmp_path / "new"), options),
    ):
        with pytest.raises(UsageError, match="--architecture"):
            call()
    assert not (tmp_path / "new").exists()
    done = migrate_command("audit", MODELS / "weights_alone", f"--architecture={tmp_path}/none.json")
    assert done.returncode == 2
    assert "no such file" in done.stderr


@pytest.mark.parametrize("content", ["{}", '{"name": "x", "version": "1"}', "[1, 2]", "text", '{"class_name": "A"}'])
def test_a_json_that_is_no_architecture_is_named_in_a_line(content, tmp_path):
    (tmp_path / "model").mkdir()
    shutil.copy(MODELS / "weights_alone" / "weights.h5", tmp_path / "model" / "w.h5")
    (tmp_path / "other.json").write_text(content)
    done = migrate_command("convert", tmp_path / "model", tmp_path / "new", f"--architecture={tmp_path}/other.json")
    assert done.returncode == 2
    assert f"{tmp_path}/other.json: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("other", ["json_hdf5/model.h5", "functional/model.h5", "archive_2/model.keras"])
def test_the_weights_of_a_whole_model_are_not_taken_for_those_that_are_given(other):
    options = Options(architecture=str(MODELS / other))
    with pytest.raises(InputError, match="no JSON or YAML"):
        migrate.audit(str(MODELS / "weights_alone"), options)


@pytest.mark.parametrize(
    ("given", "outcome"), [(None, Convertible), ("model", Convertible), ("optimizer", Refused), ("", Refused)]
)
def test_the_root_of_a_manager_s_checkpoint(given, outcome):
    (report,) = migrate.audit(str(OF_TF1 / "manager"), Options(checkpoint_root=given)).models
    assert isinstance(report.outcome, outcome), report
    assert "keras-checkpoint-root" in [f.code for f in report.findings]
    if outcome is Refused:
        assert "--checkpoint_root=model" in report.findings[0].hint


@pytest.mark.parametrize("model", ["functional", "json_hdf5", "json_names"])
def test_a_root_that_nothing_has_is_wrong_use(model):
    with pytest.raises(UsageError, match="--checkpoint_root"):
        migrate.audit(str(MODELS / model), Options(checkpoint_root="model"))


def test_a_link_to_an_architecture_outside_is_refused(tmp_path):
    (tmp_path / "model").mkdir()
    shutil.copy(MODELS / "json_hdf5" / "model.h5", tmp_path / "model" / "w.h5")
    shutil.copy(MODELS / "json_hdf5" / "model.json", tmp_path / "secret.json")
    os.symlink(tmp_path / "secret.json", tmp_path / "model" / "model.json")
    for path in (tmp_path / "model", tmp_path / "model" / "w.h5"):
        (report,) = migrate.audit(str(path)).models
        assert [f.code for f in report.findings] == ["link-leads-out"], report


def test_many_copies_of_an_architecture_are_read_once_each(tmp_path, monkeypatch):
    _steps(tmp_path, "w.h5")
    whole = json.loads((tmp_path / "model.json").read_text())
    for number in range(9):
        # The order of keys and the version of Keras are none of it.
        copy = {**dict(reversed(whole.items())), "keras_version": f"2.{number}"}
        (tmp_path / f"copy-{number}.json").write_text(json.dumps(copy))
    read = []
    monkeypatch.setattr(keras_files, "load_architecture", lambda file: read.append(file) or load_architecture(file))
    assert _found(tmp_path / "w.h5") == ("copy-0.json", "w.h5")
    assert sorted(read) == sorted(str(file) for file in tmp_path.glob("*.json"))
    (tmp_path / "copy-8.json").write_text('{"class_name": "Model", "config": {"layers": ["of another model"]}}')
    with pytest.raises(InputError, match=r"2 Keras architectures beside it \(copy-0.json, copy-8.json\)"):
        _found(tmp_path / "w.h5")


def test_an_architecture_of_another_class_is_another(tmp_path):
    _steps(tmp_path, "w.h5")
    whole = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**whole, "class_name": "Another"}))
    for name in ("w.h5", "model.json", "other.json"):
        with pytest.raises(InputError, match="2 Keras architectures"):
            _found(tmp_path / name)


def test_no_committed_model_names_the_machine_that_made_it():
    states = [file.read_text() for file in (ROOT / "testdata").rglob("checkpoint") if file.is_file()]
    assert states
    assert not [state for state in states if re.search(r'path\w*: "/', state)]


# A directory that may be entered and not listed


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """Root may list everything, so the call fails here."""
    listdir, folder = os.listdir, tmp_path / "locked"
    folder.mkdir()

    def denied(path="."):
        if os.path.realpath(path) == str(folder):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", denied)
    return folder


@pytest.mark.parametrize("name", ["model.json", "w.h5"])
def test_what_lies_beside_parts_of_a_model_is_not_known(name, locked):
    shutil.copy(MODELS / "json_hdf5" / "model.json", locked)
    shutil.copy(MODELS / "json_hdf5" / "model.h5", locked / "w.h5")
    (report,) = migrate.audit(str(locked / name)).models
    assert isinstance(report.outcome, Unreadable), report
    assert f"{locked}: cannot be listed (Permission denied)" in report.outcome.reason
    options = Options(architecture=str(MODELS / "json_hdf5" / "model.json"))
    (report,) = migrate.audit(str(locked / "w.h5"), options).models
    assert isinstance(report.outcome, Convertible), report


@pytest.mark.parametrize("model", ["functional/model.h5", "archive_2/model.keras"])
def test_a_model_in_one_file_needs_no_list(model, locked):
    shutil.copy(MODELS / model, locked)
    (report,) = migrate.audit(str(locked / os.path.basename(model))).models
    assert isinstance(report.outcome, Convertible), report


# YAML


def test_other_yaml_is_no_model(tmp_path):
    (tmp_path / "settings.yaml").write_text("name: x\nclass_name: y\n")
    with pytest.raises(InputError, match="no model"):
        migrate.audit(str(tmp_path))


def test_an_architecture_is_read_without_yaml_where_it_is_json():
    code = "import sys, migrate\nmigrate.audit(sys.argv[1])\nassert 'yaml' not in sys.modules"
    path = str(MODELS / "json_hdf5")
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=PATIENCE_SECONDS)


_UNFIT = {
    "no_architecture.json": ('{"a": 1}', "is not a Keras architecture (no class_name, no config)"),
    "cut.json": ('{"cl', "cannot be read as JSON"),
    "empty.yaml": ("", "is empty (0 bytes)"),
    "tagged.yaml": ("!!python/object/apply:os.system [touch ran]", "tag !!python/object/apply:os.system"),
    "tagged.yml": ("class_name: !!python/name:os.system ''\nconfig: {}\n", "tag !!python/name:os.system"),
    "pointer.json": ("version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
}


def test_a_checkpoint_of_keras_without_its_architecture_is_told_of_the_flag(tmp_path):
    shutil.copytree(MODELS / "json_objects", tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.json").unlink()
    (report,) = migrate.audit(str(tmp_path)).models
    assert report.findings[0].code == "checkpoint-without-graph"
    assert "its path with --architecture=FILE; or build the model with its own code" in report.findings[0].hint
    given = Options(architecture=str(MODELS / "json_objects" / "model.json"))
    (report,) = migrate.audit(str(tmp_path), given).models
    assert isinstance(report.outcome, Convertible), report


@pytest.mark.parametrize("weights", ["json_hdf5", "json_objects"])
@pytest.mark.parametrize("name", _UNFIT)
def test_a_file_beside_weights_that_is_no_architecture_is_named_with_its_fault(name, weights, tmp_path, monkeypatch):
    shutil.copytree(MODELS / weights, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.json").unlink()
    if weights == "json_hdf5":
        (tmp_path / "model.h5").rename(tmp_path / "weights.h5")
    content, fault = _UNFIT[name]
    (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    (report,) = migrate.audit(os.curdir).models
    assert isinstance(report.outcome, Refused), report
    told = report.findings[0]
    assert told.code == ("keras-weights-alone" if weights == "json_hdf5" else "checkpoint-without-graph")
    assert f"{name} beside them: " in told.message
    assert fault in told.message
    assert len(told.message) <= 178, told.message
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match=re.escape(fault)):
        migrate.audit(os.curdir, Options(architecture=name))


@pytest.mark.parametrize(("model", "word"), [("checkpoints", "prefix"), ("whole", "file")])
def test_how_to_take_another_step_is_said_as_its_files_are(model, word, tmp_path):
    if model == "checkpoints":
        shutil.copytree(OF_TF1 / model, tmp_path, dirs_exist_ok=True)
    else:
        for step in (1, 2):
            shutil.copy(OF_TF1 / "yaml" / "weights.h5", tmp_path / f"cp-{step:04d}.weights.h5")
        shutil.copy(OF_TF1 / "yaml" / "model.yaml", tmp_path)
    (report,) = migrate.audit(str(tmp_path)).models
    (told,) = [f for f in report.findings if f.code == "checkpoint-chosen"]
    name = "cp-0001.ckpt" if word == "prefix" else "cp-0001.weights.h5"
    assert told.hint == f"to take another one, pass its {word}, for example DIRECTORY/{name}"
    (other,) = migrate.audit(str(tmp_path / name)).models
    assert isinstance(other.outcome, Convertible), other
