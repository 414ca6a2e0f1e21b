"""A signature of the user's in the place of the model's own, and what the new model says of where it came from."""

from __future__ import annotations

import datetime
import json
import shutil

import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Convertible, Options, Refused
from migrate.signature_flag import parse_signature
from tests.conversions import ROOT, migrate_command, run_child

MODELS = ROOT / "testdata" / "models"
FLAG = "serving_default:inputs=x=x:0;outputs=features=add:0"
GIVEN = (parse_signature(FLAG),)


def test_a_signature_of_the_model_s_is_replaced_only_where_that_is_asked_for():
    model = str(MODELS / "simple_save")
    (report,) = migrate.audit(model, Options(signature=GIVEN)).models
    assert isinstance(report.outcome, Refused)
    assert "--overwrite_signatures" in report.findings[0].hint
    (report,) = migrate.audit(model, Options(signature=GIVEN, overwrite_signatures=True)).models
    assert isinstance(report.outcome, Convertible)
    assert "signature-replaced" in [f.code for f in report.findings]
    (signature,) = report.meta_graphs[0].signatures
    assert list(signature.outputs) == ["features"]


def test_a_signature_of_tensorflow_s_own_name_is_never_given():
    given = (parse_signature("__saved_model_init_op:outputs=y=y:0"),)
    (report,) = migrate.audit(str(MODELS / "simple_save"), Options(signature=given, overwrite_signatures=True)).models
    assert [f.code for f in report.findings] == ["signature-exists"]
    assert "--overwrite_signatures" not in report.findings[0].hint


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_signature_without_a_name_is_converted_and_verified(tmp_path):
    """TensorFlow saves, loads and calls it; `__call__` answers it, as it does each only signature."""
    source, new = tmp_path / "source", tmp_path / "new"
    shutil.copytree(MODELS / "simple_save", source)
    model = SavedModel.FromString((source / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    signatures[""].CopyFrom(signatures["serving_default"])
    signatures[""].method_name = "tensorflow/serving/regress"
    del signatures["serving_default"]
    (source / "saved_model.pb").write_bytes(model.SerializeToString())
    (report,) = migrate.convert(str(source), str(new)).models
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification.gradients_compared
    run_child(["-c", _UNNAMED, str(new)])
    after = SavedModel.FromString((new / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def
    assert after[""].method_name == "tensorflow/serving/regress"


_UNNAMED = """
import sys, numpy as np, tensorflow as tf
new = tf.saved_model.load(sys.argv[1])
x = tf.constant([[1.0, -2.0, 3.0]])
np.testing.assert_array_equal(new(x), new.signatures[""](x=x)["y"])
"""


_FEATURES = """
import sys, numpy as np, tensorflow as tf
new, old = (tf.saved_model.load(path) for path in sys.argv[1:])
x = tf.constant([[1.0, -2.0, 3.0], [-1.0, 5.0, 0.5]])
found = new(x)
expected = old.signatures["serving_default"](x=x)["y"]
np.testing.assert_array_equal(tf.nn.relu(found), expected)
assert (found.numpy() < 0).any()
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(new(x) ** 2)
assert all(g is not None for g in tape.gradient(loss, new.trainable_variables))
assert len(new.trainable_variables) == 2
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_call_answers_the_new_signature_and_the_provenance_is_complete(tmp_path):
    new, old, again = tmp_path / "new", tmp_path / "old", tmp_path / "again"
    flags = (f"--signature={FLAG}", "--overwrite_signatures", "--metadata=owner=ads", "--metadata=note=a=b")
    for destination in (new, again):
        done = migrate_command("convert", MODELS / "simple_save", destination, *flags, SOURCE_DATE_EPOCH="1600000000")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "bit for bit" in done.stdout
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    assert migrate.convert(str(MODELS / "simple_save"), str(old), Options(verify=False)).ok
    run_child(["-c", _FEATURES, str(new), str(old)])
    texts = [(path / "assets.extra" / "migration.json").read_bytes() for path in (new, again)]
    assert texts[0] == texts[1]
    told = json.loads(texts[0])
    assert told["converted"] == "2020-09-13T12:26:40Z"
    assert told["metadata"] == {"owner": "ads", "note": "a=b"}
    assert told["options"]["overwrite_signatures"] is True
    assert told["proposed_signature"] is None
    told = json.loads((old / "assets.extra" / "migration.json").read_text())
    assert before <= datetime.datetime.fromisoformat(told["converted"].replace("Z", "+00:00"))
    assert told["metadata"] == {}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_proposed_signature_that_was_taken_is_noted(tmp_path):
    source = str(ROOT / "testdata" / "forms" / "saver_steps")
    options = Options(take_proposals=True, verify=False)
    (report,) = migrate.convert(source, str(tmp_path / "new"), options).models
    told = json.loads((tmp_path / "new" / "assets.extra" / "migration.json").read_text())
    assert told["proposed_signature"] == "--signature='serving_default:inputs=x=x:0;outputs=y=y:0'"
    assert told["proposed_signature"] in next(f.message for f in report.findings if f.code == "signature-proposed")


@pytest.mark.parametrize("flags", [["--metadata=a"], ["--metadata==b"], ["--metadata=a=1", "--metadata=a=2"]])
def test_metadata_that_is_no_pair_is_wrong_use(flags, tmp_path):
    done = migrate_command("convert", MODELS / "simple_save", tmp_path / "new", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("migrate: --metadata")


_TUNED = """
import sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(model(tf.ones([4, 4]))[:, 0])
gradients = tape.gradient(loss, model.trainable_variables)
assert len(gradients) == 6 and all(g is not None for g in gradients), gradients
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_model_of_keras_behind_an_unfed_learning_phase_can_be_tuned(tmp_path):
    """Its conds on the learning phase have one branch that runs, and TensorFlow has gradients through that alone."""
    assert migrate.convert(str(MODELS / "keras_v1"), str(tmp_path / "new"), Options(verify=False)).ok
    run_child(["-c", _TUNED, str(tmp_path / "new")])


_OTHER_SHAPES = """
import sys
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
for shape in ([], [2], [1, 2]):
    assert loaded(x=tf.fill(shape, -1.0))["y"].shape == shape
"""


@pytest.mark.tensorflow
def test_a_placeholder_takes_what_it_took_whatever_the_signature_says(tmp_path):
    """A Session of TensorFlow 1 and a model server feed a placeholder that has no shape with tensors of any."""
    source, new = tmp_path / "source", tmp_path / "new"
    shutil.copytree(MODELS / "simple_save", source)
    model = SavedModel.FromString((source / "saved_model.pb").read_bytes())
    (meta_graph,) = model.meta_graphs
    graph = meta_graph.graph_def
    del graph.node[:]
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    graph.node.add(name="y", op="Relu", input=["x"]).attr["T"].type = 1
    meta_graph.ClearField("saver_def")
    meta_graph.collection_def.clear()
    signature = meta_graph.signature_def["serving_default"]
    for infos, name in ((signature.inputs, "x"), (signature.outputs, "y")):
        infos.clear()
        infos[name].name, infos[name].dtype = f"{name}:0", 1
        infos[name].tensor_shape.dim.add(size=-1)
    (source / "saved_model.pb").write_bytes(model.SerializeToString())
    shutil.rmtree(source / "variables")
    (report,) = migrate.convert(str(source), str(new)).models
    assert isinstance(report.outcome, Converted), report.outcome
    run_child(["-c", _OTHER_SHAPES, str(new)])
    after = SavedModel.FromString((new / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def
    (dim,) = after["serving_default"].inputs["x"].tensor_shape.dim
    assert dim.size == -1
