"""One export from a plan: what is in the staging directory afterwards, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from migrate.export.graph_job import Exported, ExportJob, checkpoint_in, run
from migrate.plan.plan import make_plan
from migrate.records import Failed
from migrate.sources.saved_model import read_saved_model
from tests.conversions import MODELS

pytestmark = pytest.mark.tensorflow


def _job(staged, name="simple_save", **fields):
    source = read_saved_model(str(MODELS / name))
    given = {"plan": make_plan(source.meta_graphs[0]), "checkpoint": source.checkpoint, "staging": str(staged)}
    given |= {"assets_dir": source.assets_dir, "taken": {}, "provenance": {"source": {"path": "old"}}, "digest": "d"}
    return ExportJob(**{**given, **fields})


def test_a_new_model_stands_in_the_staging_directory(tmp_path):
    import tensorflow as tf

    assert run(_job(tmp_path)) == Exported(1)
    told = json.loads((tmp_path / "assets.extra" / "migration.json").read_text())
    assert told["source"] == {"path": "old"}
    assert told["variables"] == {name: f"vars/{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in ("w", "b")}
    assert told["sources"]["w"] == {"key": "w", "slice": ""}
    assert (tmp_path / "fingerprint.pb").exists()
    new = tf.train.load_checkpoint(checkpoint_in(str(tmp_path)))
    old = tf.train.load_checkpoint(read_saved_model(str(MODELS / "simple_save")).checkpoint)
    np.testing.assert_array_equal(new.get_tensor(told["variables"]["w"]), old.get_tensor("w"))


def test_weights_that_cannot_be_read_are_told(tmp_path):
    found = run(_job(tmp_path / "new", checkpoint=str(tmp_path / "absent")))
    assert isinstance(found, Failed)
    assert "absent" in found.reason


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    assert isinstance(run(_job(tmp_path / "file" / "new")), Failed)
