"""Holes stay holes, and what a copy takes is known before it is made."""

from __future__ import annotations

import os
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.model.study import audit_model
from migrate.records import Failed, Options
from migrate.sources.boundary import boundary_of
from migrate.sources.copies import copy_data, copy_file, copy_tree, data_bytes, data_ranges, tree_bytes
from migrate.sources.fingerprint import fingerprint
from tests.conversions import MODELS

pytestmark = pytest.mark.timeout(60)

GB = 1 << 30
MB = 1 << 20


def _sparse(path, size=40 * GB, pieces=((10 * GB, b"middle"), (39 * GB, b"end"))):
    with open(path, "wb") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    return path


def _has_holes(path):
    return os.stat(path).st_blocks * 512 < os.stat(path).st_size // 2


def test_a_file_of_holes_is_copied_as_it_is(tmp_path):
    old = _sparse(tmp_path / "old")
    if not _has_holes(old):
        pytest.skip("this file system has no holes")
    copy_file(str(old), str(tmp_path / "new"))
    assert os.stat(tmp_path / "new").st_size == 40 * GB
    assert data_bytes(str(tmp_path / "new"), os.stat(tmp_path / "new")) < MB
    with open(tmp_path / "new", "rb") as file:
        for offset, data in ((10 * GB, b"middle"), (39 * GB, b"end")):
            file.seek(offset - 3)
            assert file.read(3 + len(data)) == b"\0\0\0" + data


@pytest.mark.parametrize("size", [0, 1, 4096, 3 * MB + 5])
@pytest.mark.parametrize("ways", ["kernel", "by hand", "no holes told"])
def test_bytes_are_the_same(size, ways, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(22, "Invalid argument")

    if ways != "kernel":
        monkeypatch.setattr(os, "copy_file_range", fail)
    if ways == "no holes told":
        monkeypatch.setattr(os, "lseek", fail)
    data = os.urandom(size)
    (tmp_path / "old").write_bytes(data)
    copy_file(str(tmp_path / "old"), str(tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == data


def test_a_disk_that_is_full_is_said(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"content")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    monkeypatch.setattr("fcntl.ioctl", full)
    with pytest.raises(OSError, match="No space left"):
        copy_file(str(tmp_path / "old"), str(tmp_path / "new"))


def test_nothing_is_copied_over_or_through_what_is_there(tmp_path):
    (tmp_path / "old").write_bytes(b"content")
    (tmp_path / "there").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("there", "link"):
        with pytest.raises(OSError, match="exists"):
            copy_file(str(tmp_path / "old"), str(tmp_path / name))
    assert (tmp_path / "there").read_bytes() == b"kept"


def test_ranges_of_data(tmp_path):
    _sparse(tmp_path / "file", 3 * MB, [(2 * MB, b"x" * MB)])
    handle = os.open(tmp_path / "file", os.O_RDONLY)
    found = list(data_ranges(handle, 3 * MB))
    os.close(handle)
    assert found[-1][1] == 3 * MB
    assert sum(end - start for start, end in found) in (MB, 3 * MB)  # 3 MB where the file system does not tell.


@pytest.mark.parametrize(("name", "folder"), [("tf2", "."), ("counter", "assets.extra")])
def test_what_a_model_takes_is_said_before_it_is_copied(name, folder, tmp_path, monkeypatch):
    shutil.copytree(MODELS / name, tmp_path / "model")
    (tmp_path / "model" / folder).mkdir(exist_ok=True)
    extra = tmp_path / "model" / "assets.extra"
    extra.mkdir(exist_ok=True)
    _sparse(extra / "sparse")
    if not _has_holes(extra / "sparse"):
        pytest.skip("this file system has no holes")
    model = str(tmp_path / "model")
    boundary = boundary_of(model)
    assert tree_bytes(model, boundary) < MB
    assert audit_model(model, Options()).bytes < MB
    assert fingerprint(model).bytes < MB
    copy_tree(str(extra), str(tmp_path / "copy"), boundary)
    assert data_bytes(str(tmp_path / "copy" / "sparse"), os.stat(tmp_path / "copy" / "sparse")) < MB
    # Bytes that are there count.
    (extra / "large").write_bytes(bytes(9 * MB))
    from migrate.model import jobs
    from migrate.model.messages import ConvertJob

    class _Usage:
        free = 8 * MB

    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage)
    report = jobs.convert_model(ConvertJob(model, str(tmp_path / "new"), Options(verify=False)), None, lambda _: None)
    assert isinstance(report.outcome, Failed)
    assert "takes 9," in report.outcome.reason
    assert "has 8,388,608 free" in report.outcome.reason
    assert os.listdir(tmp_path) and not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_tf2_model_with_a_sparse_file_is_copied(tmp_path):
    shutil.copytree(MODELS / "tf2", tmp_path / "model")
    _sparse(tmp_path / "model" / "sparse")
    if not _has_holes(tmp_path / "model" / "sparse"):
        pytest.skip("this file system has no holes")
    assert migrate.convert(str(tmp_path / "model"), str(tmp_path / "new"), Options(verify=False)).ok
    assert _has_holes(tmp_path / "new" / "sparse")


def test_a_file_that_becomes_shorter(tmp_path):
    (tmp_path / "old").write_bytes(b"content")
    (tmp_path / "new").write_bytes(b"")
    old, new = os.open(tmp_path / "old", os.O_RDONLY), os.open(tmp_path / "new", os.O_WRONLY)
    os.truncate(tmp_path / "old", 3)
    copy_data(old, new)
    os.close(old)
    os.close(new)
    assert (tmp_path / "new").read_bytes() == b"con"
    with pytest.raises((InputError, FileNotFoundError)):
        copy_file(str(tmp_path / "gone"), str(tmp_path / "any"))
