"""Files of other forms than a SavedModel's that audit has crashed on or hung at, each made by hand."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import resource
import shutil
import signal
import tarfile
import zipfile

import h5py
import numpy as np
import pytest

from migrate.errors import InputError
from migrate.graph.protos import AssetFileDef, GraphDef, MetaGraphDef, SavedModel, VariableDef
from migrate.model.study import audit_model
from migrate.records import Options, Refused, Severity, Unreadable
from migrate.sources import sandbox
from migrate.sources.discover import find_models
from migrate.sources.sandbox import guarded
from tests.conversions import MODELS, ROOT, migrate_command

pytestmark = pytest.mark.process

FORMS = ROOT / "testdata" / "forms"
KERAS = ROOT / "testdata" / "keras"


def _audit(path):
    return audit_model(str(path), Options())


def _why(path):
    outcome = _audit(path).outcome
    assert isinstance(outcome, Unreadable), outcome
    return outcome.reason


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


# Archives.


def test_a_zip_whose_data_are_damaged(tmp_path):
    graph = (MODELS / "counter" / "saved_model.pb").read_bytes()
    path = _zip(tmp_path / "model.zip", {"saved_model.pb": graph})
    data = bytearray(path.read_bytes())
    start = 30 + len("saved_model.pb")  # After the local header (APPNOTE.TXT, 4.3.7).
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    assert "damaged archive" in _why(path)


def test_a_zip_with_a_member_that_has_no_name(tmp_path):
    path = _zip(tmp_path / "model.zip", {"saved_model.pb": b"\x08\x01", "": b"x"})
    assert "without a name" in _why(path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_is_deeper_than_any_model(kind, tmp_path):
    name = "/".join(["d"] * 900) + "/saved_model.pb"
    path = tmp_path / f"model.{kind}"
    if kind == "zip":
        _zip(path, {name: b"\x08\x01"})
    else:
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert "901 levels deep" in _why(path)


def test_a_keras_archive_whose_data_are_damaged(tmp_path):
    path = tmp_path / "model.keras"
    shutil.copyfile(KERAS / "archive_3" / "model.keras", path)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("config.json")
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    _zip(path, {"config.json": members.pop("config.json"), **members})
    data = bytearray(path.read_bytes())
    start = 30 + len(info.filename)
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    assert "cannot be read as a .keras archive" in _why(path)


# Finding.


def test_a_file_that_says_that_it_goes_on_for_ever(tmp_path):
    # Found by tools/explore.py: a length of 2^70, to which a file cannot be sought.
    (tmp_path / "model.pb").write_bytes(b"\x0a" + b"\xff" * 40 + b"+")
    assert find_models(str(tmp_path)) == (str(tmp_path),)
    assert _why(tmp_path)


def test_a_deep_tree_is_not_resolved_name_by_name(tmp_path, monkeypatch):
    deep = tmp_path / "/".join(["d"] * 60)
    deep.mkdir(parents=True)
    shutil.copytree(MODELS / "counter", deep / "model")
    (tmp_path / "link").symlink_to(deep / "model")
    asked = []
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: asked.append(path) or real(path))
    assert find_models(str(tmp_path)) == (str(deep / "model"),)
    assert asked == [str(tmp_path), str(tmp_path / "link")]


# Graphs.


def test_a_session_bundle_whose_own_graph_is_damaged(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "session_bundle", model)
    proto = MetaGraphDef.FromString((model / "export.meta").read_bytes())
    packed = proto.collection_def["serving_graph"].any_list.value
    if not packed:
        packed.add().Pack(GraphDef())
    packed[0].value = b"\xff\xff\xff"
    (model / "export.meta").write_bytes(proto.SerializeToString())
    assert "serving_graph of this SessionBundle cannot be parsed" in _why(model)


def test_a_session_bundle_with_an_asset_of_nothing(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "session_bundle", model)
    proto = MetaGraphDef.FromString((model / "export.meta").read_bytes())
    proto.collection_def["serving_assets"].any_list.value.add(
        type_url="type.googleapis.com/tensorflow.serving.AssetFile"
    )
    (model / "export.meta").write_bytes(proto.SerializeToString())
    assert isinstance(_audit(model).outcome, Refused)


@pytest.mark.parametrize("name", ["x:abc", "::", ":0", "x:\u0661", "x:99999999999999999999", "x:-1"])
def test_proposals_for_a_graph_with_names_that_are_none(name, tmp_path):
    graph = GraphDef.FromString((FORMS / "frozen" / "frozen.pb").read_bytes())
    graph.node[-1].input.append(name)
    graph.node.add(name=name, op="Identity", input=[name]).attr["T"].type = 1
    placeholder = next(node for node in graph.node if node.op == "Placeholder")
    graph.node.add(name="after", op="Identity", input=[f"{placeholder.name}:{name}"]).attr["T"].type = 1
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    assert isinstance(_audit(tmp_path).outcome, Refused)


def test_a_damaged_asset_beside_a_needless_one(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODELS / "counter", model)
    proto = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    meta_graph = proto.meta_graphs[0]
    meta_graph.graph_def.node.add(name="needless", op="Const").attr["dtype"].type = 7
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value
    gone = AssetFileDef(filename="gone.txt")
    gone.tensor_info.name = "needless:0"
    packed.add().Pack(gone)
    packed.add().CopyFrom(packed[0])
    packed[1].value = b"\xff\xff\xff"
    (model / "saved_model.pb").write_bytes(proto.SerializeToString())
    codes = {f.code: f.severity for f in _audit(model).findings}
    assert codes["asset-missing"] is Severity.WARNING
    assert codes["collection-damaged"] is Severity.REFUSAL


# Keras.


@pytest.mark.parametrize("levels", [300, 100_000])
def test_a_config_of_too_many_levels(levels, tmp_path):
    (tmp_path / "model.json").write_text(
        '{"class_name": "Sequential", "config": ' + "[" * levels + "]" * levels + "}", encoding="ascii"
    )
    assert "more than 150 values within one another" in _why(tmp_path / "model.json")


def test_a_config_of_many_models_in_models_is_read(tmp_path):
    config = {"class_name": "Dense", "config": {"name": "dense", "units": 1}}
    for level in range(30):
        config = {"class_name": "Sequential", "config": {"name": f"model_{level}", "layers": [config]}}
    (tmp_path / "model.json").write_text(json.dumps(config))
    assert {f.code for f in _audit(tmp_path / "model.json").findings} == {"keras-weights-missing", "keras-not-built"}


def test_weights_that_are_a_link_to_themselves(tmp_path):
    shutil.copyfile(KERAS / "json_hdf5" / "model.json", tmp_path / "model.json")
    (tmp_path / "model.h5").symlink_to(tmp_path / "model.h5")
    assert [f.code for f in _audit(tmp_path / "model.json").findings] == ["keras-weights-missing"]


def test_groups_that_more_ways_lead_to_than_can_be_gone(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as content:
        content.attrs["layer_names"] = np.array([b"lattice"])
        last = content.create_group("lattice")
        for _ in range(60):
            below = last.create_group("a")
            last["b"] = below
            last = below
        last["weight"] = np.zeros(3, "f4")
        content["lattice"]["round"] = content["/"]
    report = _audit(tmp_path / "model.h5")
    assert [f.code for f in report.findings] == ["keras-weights-alone"]
    assert len(report.keras.variables) == 1


def _loop():
    while True:
        pass


def _die():
    faulthandler.disable()  # pytest's, which would tell of it at length
    os.kill(os.getpid(), signal.SIGSEGV)


def _eat():
    return len(bytearray(2 * sandbox._MEMORY_BYTES))


def _raise():
    raise InputError("this is it")


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (_loop, "FILE: damaged: reading it takes more than 1 s"),
        (_die, r"FILE: damaged: its reader crashes \(SIGSEGV\)"),
        (_eat, "FILE: damaged: reading it takes more than 1,024 MB"),
        (_raise, "this is it"),
    ],
)
def test_what_a_library_does_costs_the_file_alone(read, words, monkeypatch):
    if read is _loop:
        monkeypatch.setattr(sandbox, "_PROCESSOR_SECONDS", 1)
    forks, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(fork()) or forks[-1])
    with pytest.raises(InputError, match=words):
        guarded("FILE", read, int)
    (pid,) = forks
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # It was waited for.


def test_what_is_guarded_may_be_large_and_changes_no_limit():
    before = resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_AS)
    assert guarded("FILE", lambda: b"x" * 5_000_000, bytes) == b"x" * 5_000_000
    assert (resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_AS)) == before


def test_a_damaged_hdf5_file_says_nothing_beside_the_report(tmp_path):
    data = bytearray((KERAS / "functional" / "model.h5").read_bytes())
    for start in range(2000, len(data), 3000):
        data[start : start + 8] = b"\xff" * 8
    (tmp_path / "model.h5").write_bytes(data)
    run = migrate_command("audit", tmp_path / "model.h5")
    assert run.returncode in (0, 1) and run.stderr == "", run.stderr


def _lose(definition):
    return b"\xff\xff\xff"


def _slice_wrongly(definition):
    definition.save_slice_info_def.full_name = definition.variable_name.partition(":")[0]
    definition.save_slice_info_def.var_offset.extend([0, 0])
    return definition.SerializeToString()


@pytest.mark.parametrize("damage", [_lose, _slice_wrongly])
def test_a_variable_that_a_hub_module_lists_wrongly_has_no_value(damage, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODELS / "hub_module", model)
    proto = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    for meta_graph in proto.meta_graphs:
        listed = meta_graph.collection_def["variables"].bytes_list.value
        for place, serialized in enumerate(listed):
            listed[place] = damage(VariableDef.FromString(serialized))
    (model / "saved_model.pb").write_bytes(proto.SerializeToString())
    report = _audit(model)
    assert isinstance(report.outcome, Refused)
    assert {f.code for f in report.findings if f.severity is Severity.REFUSAL} == {"variable-without-value"}


def test_a_name_that_promises_very_many_shards_is_told_in_a_few_findings(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "session_bundle", model)
    os.rename(model / "export-00000-of-00001", model / "export-00000-of-99999")
    report = _audit(model)
    assert [f.code for f in report.findings].count("checkpoint-shard-missing") == 10
    assert any("1 of 99999 shards are there" in f.message for f in report.findings)
