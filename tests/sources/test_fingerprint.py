"""fingerprint.py: what counts as a change of a model, and what does not."""

from __future__ import annotations

import os
import shutil

import pytest

from migrate.sources import fingerprint as module
from migrate.sources.fingerprint import fingerprint, same_files
from migrate.sources.forms import form_of
from tests.conversions import MODELS, ROOT


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    shutil.copytree(MODELS / "vocabulary", path)
    return path


def _identity(path):
    return fingerprint(str(path)).identity


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index", "assets/vocab.txt"])
def test_other_bytes_of_the_same_size_and_time_are_a_change(file, model):
    before, status = _identity(model), os.stat(model / file)
    data = bytearray((model / file).read_bytes())
    data[-1] ^= 1
    (model / file).write_bytes(data)
    os.utime(model / file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _identity(model) != before


def test_a_new_file_a_renamed_and_a_missing_one_are_changes(model):
    seen = {_identity(model)}
    (model / "assets" / "more").write_text("more")
    seen.add(_identity(model))
    (model / "assets" / "more").rename(model / "assets" / "most")
    seen.add(_identity(model))
    (model / "variables" / "variables.index").unlink()
    seen.add(_identity(model))
    assert len(seen) == 4


def test_time_place_and_other_models_below_are_no_change(model, tmp_path):
    before = _identity(model)
    for file in model.rglob("*"):
        os.utime(file, (0, 0))
    shutil.copytree(MODELS / "simple_save", model / "another")
    assert _identity(model) == before
    model.rename(tmp_path / "elsewhere")
    assert _identity(tmp_path / "elsewhere") == before


def test_of_a_large_file_size_and_time_count(model, monkeypatch):
    monkeypatch.setattr(module, "_WHOLE_BYTES", 10)
    before = fingerprint(str(model))
    assert {name for name, _, _ in before.large} >= {"saved_model.pb"}
    os.utime(model / "saved_model.pb", ns=(1, 1))
    after = fingerprint(str(model))
    assert (after.content, after.identity == before.identity) == (before.content, False)


def test_how_much_is_read_does_not_grow_with_the_number_of_data_files(model, monkeypatch):
    """Sixteen data files of a megabyte are no more to be read than one of sixteen."""
    monkeypatch.setattr(module, "_WHOLE_BYTES", 4 << 20)
    for number in range(16):
        (model / "variables" / f"variables.data-{number:05d}-of-00016").write_bytes(b"x" * (1 << 20))
    found = fingerprint(str(model))
    assert [name for name, _, _ in found.large] == [f"variables/variables.data-{n:05d}-of-00016" for n in range(16)]
    before = found.identity
    (model / "variables" / "variables.index").write_bytes(b"other checksums")
    assert fingerprint(str(model)).content != found.content
    os.utime(model / "variables" / "variables.data-00003-of-00016", ns=(1, 1))
    assert fingerprint(str(model)).identity != before


def test_large_files_of_one_size_are_compared_byte_by_byte(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WHOLE_BYTES", 10)
    other = tmp_path / "other"
    shutil.copytree(model, other)
    marks = fingerprint(str(model)), fingerprint(str(other))
    assert same_files(str(model), marks[0], str(other), marks[1])
    data = bytearray((other / "saved_model.pb").read_bytes())
    data[-1] ^= 1
    (other / "saved_model.pb").write_bytes(data)
    assert fingerprint(str(other)).content == marks[0].content
    assert not same_files(str(model), marks[0], str(other), fingerprint(str(other)))


def test_large_models_of_one_file_are_compared_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WHOLE_BYTES", 10)
    files = [tmp_path / folder / "frozen.pb" for folder in ("one", "two", "three")]
    for file, last in zip(files, b"aab", strict=True):
        file.parent.mkdir()
        file.write_bytes(bytes(20) + bytes([last]))
    first, second, third = (fingerprint(str(file)) for file in files)
    assert first.large
    assert same_files(str(files[0]), first, str(files[1]), second)
    assert not same_files(str(files[0]), first, str(files[2]), third)


def test_links_that_lead_round_in_a_circle_and_pipes_are_not_waited_for(model):
    (model / "assets" / "round").symlink_to(model / "assets")
    os.mkfifo(model / "pipe")
    assert fingerprint(str(model)) is not None


def test_a_file_counts_with_those_that_share_its_name(tmp_path):
    for name in ("a.ckpt-1.meta", "a.ckpt-1.index", "a.ckpt-1.data-00000-of-00001", "a.ckpt-10.meta"):
        (tmp_path / name).write_text(name)
    before, prefix = _identity(tmp_path / "a.ckpt-1.meta"), _identity(tmp_path / "a.ckpt-1")
    (tmp_path / "a.ckpt-10.meta").write_text("changed")
    assert (_identity(tmp_path / "a.ckpt-1.meta"), _identity(tmp_path / "a.ckpt-1")) == (before, prefix)
    (tmp_path / "a.ckpt-1.index").write_text("changed")
    assert before != _identity(tmp_path / "a.ckpt-1.meta")
    assert prefix != _identity(tmp_path / "a.ckpt-1")


def test_a_model_that_is_gone_has_none(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").symlink_to(tmp_path / "nowhere")
    assert fingerprint(str(tmp_path / "broken")) is None


# Parts of a Keras model, in files of any name

KERAS = ROOT / "testdata" / "keras"


@pytest.mark.parametrize(
    ("model", "path", "others"),
    [
        ("json_hdf5", "model.h5", ["model.json"]),
        ("json_hdf5", "w.h5", ["model.json", "named.anyhow", "metadata.json"]),
        ("json_hdf5", "model.json", ["w.h5", "named.anyhow", "metadata.json"]),
        ("json_objects", "WEIGHTS", ["model.json", "named.anyhow"]),
        ("json_objects", "WEIGHTS.index", ["model.json"]),
        ("json_objects", "WEIGHTS.data-00000-of-00001", ["model.json"]),
        ("json_objects", "model.json", ["WEIGHTS.index", "WEIGHTS.data-00000-of-00001", "checkpoint"]),
    ],
)
def test_each_part_of_a_keras_model_counts(model, path, others, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(KERAS / model, folder)
    for file in folder.iterdir():
        if ".index" in file.name or ".data-" in file.name:
            file.rename(folder / ("WEIGHTS" + file.suffix))
    if path == "w.h5" or "w.h5" in others:
        (folder / "model.h5").rename(folder / "w.h5")
    (folder / "metadata.json").write_text("{}")
    (folder / "checkpoint").write_text('model_checkpoint_path: "WEIGHTS"')
    shutil.copy(folder / "model.json", folder / "named.anyhow")
    (folder / "notes.txt").write_text("none of it")
    seen = {_identity(folder / path)}
    (folder / "notes.txt").write_text("another text")
    assert _identity(folder / path) in seen
    for name in others:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        identity = _identity(folder / path)
        assert identity not in seen, name
        seen.add(identity)


def test_a_link_out_of_a_keras_model_counts_unread(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(KERAS / "json_hdf5", folder)
    (folder / "model.json").rename(tmp_path / "blob")
    (folder / "architecture").symlink_to(tmp_path / "blob")
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    before = _identity(folder / "model.h5")
    (tmp_path / "blob").write_text("{}")
    assert _identity(folder / "model.h5") != before


def test_no_other_model_in_a_directory_is_opened(tmp_path, monkeypatch):
    for name in ("a.h5", "b.h5", "c.h5", "d.ckpt.index", "d.ckpt.data-00000-of-00001", "e.keras", "f.pb"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
    opened = []
    monkeypatch.setattr(module, "form_of", lambda file: opened.append(file) or form_of(file))
    assert _identity(tmp_path / "a.h5")
    assert opened == [str(tmp_path / "a.h5")]
