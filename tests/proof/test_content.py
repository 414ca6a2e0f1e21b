"""Checkpoints and assets are told by their bytes."""

from __future__ import annotations

import shutil

import pytest

from migrate.proof.content import Checkpoint, file_digest
from tests.conversions import MODELS, ROOT

FORMS = ROOT / "testdata" / "forms"


def _copy(tmp_path, folder):
    return shutil.copytree(folder, tmp_path / "copy")


def test_a_tensor_is_told_by_dtype_shape_and_checksum():
    found = Checkpoint(str(MODELS / "simple_save" / "variables" / "variables"), reads_data=True)
    w, b = found.content("w"), found.content("b")
    assert w is not None
    assert b is not None
    assert w != b
    assert w[0] == "float32"
    assert found.content("nothing") is None


def test_damaged_data_is_told(tmp_path):
    folder = _copy(tmp_path, MODELS / "simple_save" / "variables")
    (data,) = folder.glob("*.data-*")
    data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    found = Checkpoint(str(folder / "variables"), reads_data=True)
    assert None in (found.content("w"), found.content("b"))
    assert None not in (Checkpoint(str(folder / "variables")).content("w"), found.content("b") or found.content("w"))


def test_data_that_is_not_there_is_told(tmp_path):
    folder = _copy(tmp_path, MODELS / "simple_save" / "variables")
    (data,) = folder.glob("*.data-*")
    data.write_bytes(b"")
    found = Checkpoint(str(folder / "variables"))
    assert found.content("w") is None
    assert "bytes" in found.problem


def test_no_checkpoint_has_no_content():
    assert Checkpoint(None).content("w") is None
    assert Checkpoint("/nonexistent/model").content("w") is None


def test_slices_are_told_as_restorev2_takes_them():
    found = Checkpoint(str(MODELS / "partitioned" / "variables" / "variables"))
    whole = found.content("embedding")
    assert whole is None or whole[1] == (10, 4)
    assert found.content("embedding", "10 4 0,4:0,4")[1] == (4, 4)
    assert found.content("embedding", "10 4 0,4:-")[1] == (4, 4)
    for wrong in ("10 4 0,5:0,4", "9 4 0,4:0,4", "10 4 0,4", "a", "", "10 4 0,x:0,4", "10 4 0,4:0,4,1"):
        assert found.content("embedding", wrong) in (None, whole), wrong


@pytest.mark.parametrize("form", ["saver_v1/model.ckpt", "saver_v1_sharded/model.ckpt-?????-of-00002"])
def test_a_v1_checkpoint_has_the_checksums_that_a_v2_one_has(form):
    found = Checkpoint(str(FORMS / form))
    content = found.content("b")
    assert content is not None
    assert content[0] == "float32"
    assert found.content("nothing") is None


def test_a_file_is_told_by_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "c").write_bytes(b"2")
    one, same, other = (file_digest(str(tmp_path / name)) for name in "abc")
    assert one == same != other
    assert file_digest(str(tmp_path)) is None
    assert file_digest(str(tmp_path / "nothing")) is None
