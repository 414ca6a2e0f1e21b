"""No file that an HDF5 file refers to is opened, whatever the reference is. A pipe tells: opening it would wait."""

from __future__ import annotations

import os
import shutil
import zipfile

import h5py
import numpy as np
import pytest

from migrate.model.study import audit_model
from migrate.records import Convertible, Options, Refused
from migrate.sources.keras_source import read_keras
from tests.conversions import ROOT

pytestmark = [pytest.mark.timeout(30), pytest.mark.process, pytest.mark.slow]

KERAS = ROOT / "testdata" / "keras"
NAMES = ["model_weights", "layers", "_layer_checkpoint_dependencies", "other", "top_level_model_weights"]


def _external(file, name, target):
    file[name] = h5py.ExternalLink(target, "/")


def _soft(file, name, target):
    """A path in this file that passes through another one."""
    file["elsewhere"] = h5py.ExternalLink(target, "/")
    file[name] = h5py.SoftLink("/elsewhere/data")


def _raw(file, name, target):
    file.create_dataset(name, (3,), "f4", external=[(target, 0, 12)])


def _virtual(file, name, target):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(target, "data", (3,))
    file.create_virtual_dataset(name, layout)


def _virtual_without_end(file, name, target):
    layout = h5py.VirtualLayout((3,), "f4", maxshape=(None,))
    source = h5py.VirtualSource(target, "data", (3,), maxshape=(None,))
    layout[0 : h5py.h5s.UNLIMITED] = source[0 : h5py.h5s.UNLIMITED]
    file.create_virtual_dataset(name, layout)


WAYS = [_external, _soft, _raw, _virtual, _virtual_without_end]


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_weights_alone(way, name, tmp_path, pipe):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"a"])
        file["a"] = np.zeros(3, "f4")
        way(file, name, pipe)
    report = audit_model(str(tmp_path / "weights.h5"), Options())
    assert isinstance(report.outcome, Refused)
    from migrate.sources.keras_source import KerasFiles

    found = read_keras(KerasFiles(str(tmp_path), "", str(tmp_path / "weights.h5")))
    assert name in found.links


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_model(way, tmp_path, pipe):
    shutil.copytree(KERAS / "functional", tmp_path / "model")
    (path,) = (tmp_path / "model").glob("*.h5")
    with h5py.File(path, "a") as file:
        for name in list(file["model_weights"]):
            del file["model_weights"][name]
        way(file, "model_weights/hidden", pipe)
    report = audit_model(str(path), Options())
    assert "keras-external-link" in [f.code for f in report.findings]


def test_all_weights_of_a_whole_model(tmp_path, pipe):
    shutil.copytree(KERAS / "functional", tmp_path / "model")
    (path,) = (tmp_path / "model").glob("*.h5")
    with h5py.File(path, "a") as file:
        file.attrs.pop("backend", None)  # h5py would look for it in the group.
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(pipe, "/")
    report = audit_model(str(path), Options())
    assert "keras-external-link" in [f.code for f in report.findings]


@pytest.mark.parametrize("way", WAYS)
def test_a_keras_archive(way, tmp_path, pipe):
    with zipfile.ZipFile(KERAS / "archive_3" / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "inner.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "inner.h5", "a") as file:
        way(file, "layers/extra", pipe)
    members["model.weights.h5"] = (tmp_path / "inner.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    report = audit_model(str(tmp_path / "model.keras"), Options())
    assert "keras-external-link" in [f.code for f in report.findings]


def test_hard_links_are_the_file_s_own(tmp_path):
    shutil.copytree(KERAS / "functional", tmp_path / "model")
    (path,) = (tmp_path / "model").glob("*.h5")
    with h5py.File(path, "a") as file:
        file["again"] = file["model_weights"]
    assert isinstance(audit_model(str(path), Options()).outcome, Convertible)
