"""One export from a plan: what is in the staging directory afterwards, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from migrate.export import graph_job
from migrate.export.graph_job import Exported, ExportJob, checkpoint_in, run
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.plan.plan import make_plan
from migrate.processes.forks import Forks
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


def _with_large_constants() -> MetaGraphDef:
    import tensorflow as tf

    v1 = tf.compat.v1
    rng = np.random.default_rng(1)

    @tf.function(input_signature=[tf.TensorSpec([None, 128])])
    def inner(x):
        return x @ tf.constant(rng.random((128, 160), np.float32), name="inner")

    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 128], name="x")
        weights = tf.constant(rng.random((128, 128), np.float32), name="weights")
        y = tf.identity(inner(x @ weights), name="y")
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        meta_graph = v1.train.export_meta_graph(graph=graph)
    meta_graph.signature_def["serving_default"].CopyFrom(signature)
    meta_graph.meta_info_def.tags.append("serve")
    # This process has a function of the old name.
    return MetaGraphDef.FromString(meta_graph.SerializeToString().replace(b"__inference_inner", b"__inference_other"))


def test_a_model_with_large_constants_is_the_one_that_tensorflow_writes_with_them(tmp_path, monkeypatch):
    plan = make_plan(_with_large_constants())
    assert len(graph_job.with_stubs(plan).contents.parts) == 2
    found = {}
    for name in ("stubs", "whole"):
        if name == "whole":
            monkeypatch.setattr(graph_job, "with_stubs", lambda plan: plan)
        (tmp_path / name).mkdir()
        job = _job(tmp_path / name, plan=plan, checkpoint=None)
        # In processes of their own: TensorFlow numbers its functions.
        exported = Forks().run("export", "migrate.export.graph_job", job, Exported | Failed, 60)
        assert exported == Exported(1)
        found[name] = SavedModel.FromString((tmp_path / name / "saved_model.pb").read_bytes())
    assert found["stubs"] == found["whole"]
    for file in ("fingerprint.pb", "variables/variables.index"):
        assert (tmp_path / "stubs" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
