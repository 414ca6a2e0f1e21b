"""--feed, and signatures that nobody can answer, through the program and from disk."""

from __future__ import annotations

import json

import pytest

from tests.conversions import MODELS, migrate_command, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_ANSWERS = """
import json, sys
import numpy as np, tensorflow as tf
source, new, training = sys.argv[1:]
v1 = tf.compat.v1
xs = [np.arange(6, dtype=np.float32).reshape(2, 3) * (n + 1) for n in range(3)]
def in_session(path, feeds):
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        x, y = signature.inputs["x"].name, signature.outputs["y"].name
        return [session.run(y, {x: value, **feeds}).tolist() for value in xs]
golden = in_session(source, {"is_training:0": training == "true", "keep_prob:0": 1.0})
served = in_session(new, {})
loaded = tf.saved_model.load(new)
called = [loaded.signatures["serving_default"](x=tf.constant(x))["y"].numpy().tolist() for x in xs]
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(loaded(tf.constant(xs[0])) ** 2)
gradients = [g is not None for g in tape.gradient(loss, list(loaded.trainable_variables))]
print(json.dumps([golden, served, called, gradients]))
"""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("training", ["false", "true"])
def test_a_fed_model_answers_as_a_session_that_feeds(training, tmp_path):
    source, new = MODELS / "unfed_training", tmp_path / "new"
    feeds = (f"--feed=is_training:0={training}", "--feed=keep_prob=1.0")
    done = migrate_command("convert", source, new, *feeds, "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert model["verification"]["bitwise_equal"]
    assert model["verification"]["compared"]
    golden, served, called, gradients = json.loads(run_child(["-c", _ANSWERS, str(source), str(new), training]))
    assert served == golden
    assert called == golden
    assert gradients == [True]
    assert len({str(answer) for answer in golden}) == 3


def test_the_provenance_says_what_was_fed(tmp_path):
    feeds = ("--feed=is_training:0=false", "--feed=keep_prob=1.0")
    assert migrate_command("convert", MODELS / "unfed_training", tmp_path / "new", *feeds, "--noverify").returncode == 0
    told = json.loads((tmp_path / "new" / "assets.extra" / "migration.json").read_text())["options"]["feed"]
    assert told == [{"tensor": "is_training:0", "value": "false"}, {"tensor": "keep_prob:0", "value": "1.0"}]


def test_validate_believes_the_flag_and_not_the_candidate(tmp_path):
    source, new = MODELS / "unfed_training", tmp_path / "new"
    feeds = ("--feed=is_training:0=false", "--feed=keep_prob=1.0")
    assert migrate_command("convert", source, new, *feeds, "--noverify").returncode == 0
    against = f"--against={source}"
    assert migrate_command("validate", new, against, *feeds).returncode == 0
    without = migrate_command("validate", new, against)
    assert without.returncode == 1
    assert "unfed-placeholder" in without.stdout
    other = migrate_command("validate", new, against, "--feed=is_training:0=true", "--feed=keep_prob=1.0")
    assert other.returncode == 1
    assert "mismatched" in other.stdout


def test_proposed_values_are_taken_and_told(tmp_path):
    audited = migrate_command("audit", MODELS / "unfed_training", "--format=json")
    (finding,) = json.loads(audited.stdout)["models"][0]["findings"]
    assert "--feed=is_training:0=false --feed=keep_prob:0=1.0" in finding["hint"]
    done = migrate_command("convert", MODELS / "unfed_training", tmp_path / "new", "--take_proposals", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f["code"] for f in json.loads(done.stdout)["models"][0]["findings"]] == ["feed-proposed", "random-op"]


@pytest.mark.parametrize("command", ["audit", "convert", "validate"])
def test_a_tensor_that_no_model_has_is_wrong_use(command, tmp_path):
    model = MODELS / "unfed_training"
    arguments = {"audit": [model], "convert": [model, tmp_path / "new"], "validate": [model, f"--against={model}"]}
    done = migrate_command(command, *arguments[command], "--feed=is_trainin:0=false")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("migrate: --feed: no model here has the tensor 'is_trainin:0'")
    assert "is_training:0" in done.stderr
    assert not list(tmp_path.iterdir())


def test_in_a_tree_it_applies_to_the_models_that_have_the_tensor(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for model in ("unfed_training", "simple_save"):
        (tree / model).symlink_to(MODELS / model)
    feeds = ("--feed=is_training:0=false", "--feed=keep_prob=1.0")
    done = migrate_command("convert", tree, tmp_path / "new", *feeds, "--noverify", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [m["outcome"] for m in json.loads(done.stdout)["models"]] == ["converted", "converted"]


_FAILING = """
import json, sys
import tensorflow as tf
v1 = tf.compat.v1
ends = []
def ending(call):
    try:
        return call()
    except Exception as error:
        return [type(error).__name__, "You must feed a value for placeholder" in str(error)]
loaded = tf.saved_model.load(sys.argv[1])
for key in ("good", "bad"):
    ends.append(ending(lambda: loaded.signatures[key](x=tf.constant([1.0, 2.0]))["y"].numpy().tolist()))
with tf.Graph().as_default(), v1.Session() as session:
    signatures = v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def
    for key in ("good", "bad"):
        signature = signatures[key]
        x, y = signature.inputs["x"].name, signature.outputs["y"].name
        ends.append(ending(lambda: session.run(y, {x: [1.0, 2.0]}).tolist()))
print(json.dumps(ends))
"""


def test_a_signature_that_nobody_can_answer_fails_as_in_tf1_beside_one_that_answers(tmp_path):
    new = tmp_path / "new"
    done = migrate_command("convert", MODELS / "unfed_placeholder", new, "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    (finding,) = [f for f in json.loads(done.stdout)["models"][0]["findings"] if f["code"] == "unfed-placeholder"]
    assert finding["severity"] == "warning"
    good, bad, served, not_served = json.loads(run_child(["-c", _FAILING, str(new)]))
    assert good == served
    assert isinstance(good[0], float)
    assert bad == not_served == ["InvalidArgumentError", True]
