from __future__ import annotations

import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.graph.data_protos import SavedTensorSlices
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import Slice
from migrate.sources.leveldb import write_table
from migrate.sources.v1_checkpoint import StoredTensor, is_foreign_table, read_v1_checkpoint
from tests.audits import audited
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"


def test_a_shard_of_a_v1_checkpoint_is_missing(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "saver_v1_sharded", model)
    (model / "model.ckpt-00001-of-00002").unlink()
    given = migrate.Options(signature=(audited(FORMS / "saver_v1_sharded").proposals[0],))
    (report,) = migrate.audit(str(model), given).models
    (finding,) = [f for f in report.findings if f.code == "checkpoint-shard-missing"]
    assert "model.ckpt-00001-of-00002" in finding.message


def test_v1_checkpoints(tmp_path):
    checkpoint = read_v1_checkpoint(str(FORMS / "saver_v1_sharded" / "model.ckpt-?????-of-00002"))
    assert {key: (t.dtype, t.shape, len(t.slices)) for key, t in checkpoint.tensors.items()} == {
        "b": ("float32", (2,), 1),
        "w": ("float32", (4, 2), 2),
    }
    file = tmp_path / "model.ckpt"
    whole = (FORMS / "saver_v1" / "model.ckpt").read_bytes()
    for broken in (whole[:-60], bytes([whole[0] ^ 1]) + whole[1:], b""):
        file.write_bytes(broken)
        with pytest.raises(InputError):
            read_v1_checkpoint(str(file))


def _table(path, tensors, *more):
    """A V1 checkpoint without data, of (name, dtype, shape, slices); in a slice, None is a whole dimension."""
    slices = SavedTensorSlices()
    for name, dtype, shape, parts in tensors:
        tensor = slices.meta.tensor.add(name=name, type=dtype)
        for size in shape:
            tensor.shape.dim.add(size=size)
        for part in parts:
            stored = tensor.slice.add()
            for extent in part:
                stored.extent.add(**({} if extent is None else {"start": extent[0], "length": extent[1]}))
    path.write_bytes(write_table([(b"", slices.SerializeToString()), *more]))
    return str(path)


def test_what_the_list_of_a_file_says(tmp_path):
    file = _table(
        tmp_path / "c",
        [("w", 1, (4, 2), [[(0, 2), None], [(2, 2), None]]), ("s", 7, (), [[]]), ("r", 101, (1,), [[None]])],
    )
    found = read_v1_checkpoint(file)
    assert (found.path, found.files, found.missing) == (file, (file,), ())
    assert found.tensors == {
        "w": StoredTensor("w", "float32", (4, 2), (Slice((0, 0), (2, -1)), Slice((2, 0), (2, -1)))),
        "s": StoredTensor("s", "string", (), (Slice((), ()),)),
        "r": StoredTensor("r", "float32", (1,), (Slice((0,), (-1,)),)),
    }


def test_shards_have_parts_of_one_tensor_and_some_are_missing(tmp_path, monkeypatch):
    for shard in (0, 2):
        _table(tmp_path / f"c-{shard:05d}-of-00003", [("w", 1, (6,), [[(2 * shard, 2)]])])
    _table(tmp_path / "d-00000-of-00003", [("other", 1, (), [[]])])
    monkeypatch.chdir(tmp_path)
    for folder in (f"{tmp_path}/", ""):
        found = read_v1_checkpoint(f"{folder}c-?????-of-00003")
        assert found.files == (f"{folder}c-00000-of-00003", f"{folder}c-00002-of-00003")
        assert found.missing == (f"{folder}c-00001-of-00003",)
        assert {key: tensor.slices for key, tensor in found.tensors.items()} == {
            "w": (Slice((0,), (2,)), Slice((4,), (2,)))
        }


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([(b"a", b"")], "a table that lists no tensors; not a checkpoint"),
        ([], "a table that lists no tensors; not a checkpoint"),
        ([(b"", b"")], "not a V1 checkpoint"),
        ([(b"", b"\xff")], "its list of tensors cannot be parsed"),
        ([(b"", bytes((1 << 23) + 1))], "its list of tensors has 8,388,609 bytes"),
    ],
)
def test_a_table_that_is_no_checkpoint(items, says, tmp_path):
    (tmp_path / "c").write_bytes(write_table(items))
    with pytest.raises(InputError, match=says):
        read_v1_checkpoint(str(tmp_path / "c"))


def test_what_is_no_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none: cannot be read"):
        read_v1_checkpoint(str(tmp_path / "none"))
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(InputError, match=r"c: is empty"):
        read_v1_checkpoint(str(tmp_path / "c"))
    (tmp_path / "c").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match=r"c: is a Git LFS pointer"):
        read_v1_checkpoint(str(tmp_path / "c"))
    with pytest.raises(InputError, match=r"outside of the model"):
        read_v1_checkpoint(str(tmp_path / "c"), Boundary((str(tmp_path / "model"),)))


def test_tables_of_others(tmp_path):
    assert not is_foreign_table(_table(tmp_path / "own", []))
    (tmp_path / "foreign").write_bytes(write_table([(b"key", b"value")]))
    assert is_foreign_table(str(tmp_path / "foreign"))
    (tmp_path / "empty").write_bytes(write_table([]))
    assert is_foreign_table(str(tmp_path / "empty"))
    (tmp_path / "damaged").write_bytes(b"anything")
    assert not is_foreign_table(str(tmp_path / "damaged"))
    assert not is_foreign_table(str(tmp_path / "none"))
