from __future__ import annotations

import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.sources.v1_checkpoint import read_v1_checkpoint
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"


def _report(path, **options):
    (report,) = migrate.audit(str(path), migrate.Options(**options)).models
    return report


def test_a_shard_of_a_v1_checkpoint_is_missing(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "saver_v1_sharded", model)
    (model / "model.ckpt-00001-of-00002").unlink()
    given = migrate.Options(signature=(_report(FORMS / "saver_v1_sharded").proposals[0],))
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
