"""TF2 SavedModels as sources: what audit says of their variables, what a flag does to them, and validate."""

from __future__ import annotations

import pathlib
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.records import (
    AlreadyTF2,
    Failed,
    GivenSignature,
    Mismatched,
    Options,
    Refused,
    Unchanged,
    Validated,
)
from tests.conversions import ROOT, run_child

TF2 = ROOT / "testdata" / "models" / "tf2"
KERAS = ROOT / "testdata" / "keras" / "saved_model"
GIVEN = (GivenSignature("features", (("x", "x:0"),), (("y", "y:0"),)),)

_FROZEN = """
import sys, tensorflow as tf
module = tf.Module()
module.a = tf.Variable([1.0, 2.0], name="a")
module.b = tf.Variable(3, trainable=False, name="b")
module.f = tf.function(lambda x: x * module.a, input_signature=[tf.TensorSpec([2])])
tf.saved_model.save(module, sys.argv[1], signatures=module.f)
"""


def _variables(path):
    (report,) = migrate.audit(str(path)).models
    assert isinstance(report.outcome, AlreadyTF2)
    return {v.name: v.trainable for v in report.meta_graphs[0].variables}


def test_the_object_graph_says_what_is_trainable():
    assert _variables(TF2) == {"w": True, "b": True}
    assert list(_variables(KERAS).values()) == [True] * 4


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_variable_that_is_not_trained_is_told(tmp_path):
    run_child(["-c", _FROZEN, str(tmp_path / "model")])
    assert _variables(tmp_path / "model") == {"a": True, "b": False}


@pytest.mark.process
@pytest.mark.parametrize("source", [TF2, KERAS], ids=["tf2", "keras"])
def test_a_signature_is_refused_and_not_ignored(source, tmp_path):
    for report in (
        migrate.audit(str(source), Options(signature=GIVEN)),
        migrate.convert(str(source), str(tmp_path / "new"), Options(signature=GIVEN)),
    ):
        (model,) = report.models
        assert isinstance(model.outcome, Refused)
        assert [f.code for f in model.findings] == ["tf2-signature"]
        assert not report.ok
    assert not (tmp_path / "new").exists()


_AS_THE_HINT_SAYS = """
import sys, numpy as np, tensorflow as tf, tf_keras
tf2, keras, new = sys.argv[1:]
model = tf.saved_model.load(tf2)
half = tf.function(lambda x: {"half": model(x)["y"] / 2}, input_signature=[tf.TensorSpec([None, 3], name="x")])
tf.saved_model.save(model, f"{new}/tf2", signatures={**model.signatures, "half": half})
again = tf.saved_model.load(f"{new}/tf2").signatures
x = tf.constant([[1.0, 2.0, -3.0]])
assert set(again) == {"serving_default", "half"}
np.testing.assert_array_equal(again["half"](x=x)["half"] * 2, again["serving_default"](x=x)["y"])
model = tf_keras.models.load_model(keras)
tf_keras.Model(model.inputs, model.get_layer("hidden").output).save(f"{new}/keras", save_format="tf")
(found,) = tf.saved_model.load(f"{new}/keras").signatures["serving_default"](tf.ones([1, 4])).values()
np.testing.assert_allclose(found, model.get_layer("hidden")(tf.ones([1, 4])), rtol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_the_refusal_advises_works(tmp_path):
    run_child(["-c", _AS_THE_HINT_SAYS, str(TF2), str(KERAS), str(tmp_path)])


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("source", [TF2, KERAS], ids=["tf2", "keras"])
def test_a_copy_is_validated(source, tmp_path):
    (copied,) = migrate.convert(str(source), str(tmp_path / "new")).models
    assert isinstance(copied.outcome, Unchanged)
    (report,) = migrate.validate(str(tmp_path / "new"), against=str(source)).models
    assert isinstance(report.outcome, Validated), report
    assert report.verification.bitwise_equal
    assert report.verification.values


_CHANGED = """
import sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
model.w.assign(model.w + 1e-6)
tf.saved_model.save(model, sys.argv[2], signatures=model.signatures)
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_other_weights_are_told(tmp_path):
    run_child(["-c", _CHANGED, str(TF2), str(tmp_path / "new")])
    (report,) = migrate.validate(str(tmp_path / "new"), against=str(TF2)).models
    assert isinstance(report.outcome, Mismatched), report
    assert [m.output for m in report.verification.mismatches]


def test_names_that_differ_are_said_before_anything_runs():
    (report,) = migrate.validate(str(TF2), against=str(KERAS)).models
    assert isinstance(report.outcome, Mismatched)
    assert "'serving_default' takes features, and the candidate's x" in report.outcome.reason
    assert report.verification.calls == 0
    assert "golden" not in report.seconds


def _written(directory, meta_graphs):
    directory.mkdir()
    model = SavedModel(saved_model_schema_version=1, meta_graphs=meta_graphs)
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())
    return directory


def _meta_graphs_of_tf2():
    """One tagged `serve`, and one for GPUs whose signature has another name."""
    (serve,) = SavedModel.FromString((TF2 / "saved_model.pb").read_bytes()).meta_graphs
    gpu = MetaGraphDef.FromString(serve.SerializeToString())
    gpu.meta_info_def.tags.append("gpu")
    gpu.signature_def["on_gpu"].CopyFrom(gpu.signature_def["serving_default"])
    del gpu.signature_def["serving_default"]
    return serve, gpu


@pytest.mark.parametrize(
    ("tags", "told"), [(None, "'serving_default' takes"), (("serve", "gpu"), "no signature 'on_gpu'")]
)
def test_names_are_those_of_the_meta_graph_that_is_asked(tmp_path, tags, told):
    source = _written(tmp_path / "source", _meta_graphs_of_tf2())
    (keras,) = SavedModel.FromString((KERAS / "saved_model.pb").read_bytes()).meta_graphs
    keras.meta_info_def.tags.extend([] if tags is None else ["gpu"])
    candidate = _written(tmp_path / "candidate", [keras])
    options = Options(tags=None if tags is None else frozenset(tags))
    (report,) = migrate.validate(str(candidate), against=str(source), options=options).models
    assert isinstance(report.outcome, Mismatched), report
    assert told in report.outcome.reason
    assert report.verification.calls == 0


def test_the_candidate_takes_no_more_memory_than_an_audit_may(tmp_path):
    (serve, _) = _meta_graphs_of_tf2()
    for number in range(200_000):
        serve.graph_def.node.add(name=f"n{number}", op="NoOp")
    candidate = _written(tmp_path / "candidate", [serve])
    with pytest.raises(InputError, match=f"^{candidate}.*--graph_memory"):
        migrate.validate(str(candidate), against=str(TF2), options=Options(graph_memory_bytes=80 << 20))


_WRITES = """
import sys, tensorflow as tf
module = tf.Module()
def write(x):
    with tf.control_dependencies([tf.io.write_file(sys.argv[2], "written")]):
        return x + 1.0
module.f = tf.function(write, input_signature=[tf.TensorSpec([2])])
tf.saved_model.save(module, sys.argv[1], signatures=module.f)
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_source_that_does_more_than_compute_is_not_run(tmp_path):
    target = tmp_path / "target"
    run_child(["-c", _WRITES, str(tmp_path / "model"), str(target)])
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    (report,) = migrate.validate(str(tmp_path / "copy"), against=str(tmp_path / "model")).models
    assert isinstance(report.outcome, Failed), report
    assert "WriteFile" in report.outcome.reason
    assert "--allow_side_effects" in report.outcome.reason
    assert not pathlib.Path(target).exists()
