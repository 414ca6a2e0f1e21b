"""--variables: a frozen model answers as before, and can be trained again."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import migrate
from migrate.records import Converted, Options
from tests.conversions import BY_NAME, MODELS, ask, compare, run_child

pytestmark = pytest.mark.tensorflow

_TUNE = """
import pickle, sys, numpy as np, tensorflow as tf
path, out = sys.argv[1:]
image = np.random.RandomState(3).uniform(-1, 1, (8, 6, 6, 3)).astype(np.float32)
ids = np.random.RandomState(4).randint(0, 5, (8, 2))
loaded = tf.saved_model.load(path)
before = {name: v.numpy() for name, v in loaded.vars.items()}
losses, silent = [], set()
for _ in range(5):
    with tf.GradientTape() as tape:
        scores = loaded.signatures["serving_default"](image=tf.constant(image), ids=tf.constant(ids))["scores"]
        loss = tf.reduce_mean(tf.square(scores - 0.5))
    losses.append(float(loss))
    for v, g in zip(loaded.trainable_variables, tape.gradient(loss, list(loaded.trainable_variables))):
        silent |= {v.name} if g is None else set()
        v.assign_sub(0.02 * tf.convert_to_tensor(g))
changed = {name for name, v in loaded.vars.items() if not np.array_equal(before[name], v.numpy())}
pickle.dump({"before": before, "losses": losses, "silent": silent, "changed": changed}, open(out, "wb"))
"""

_STATISTICS = {f"{scope}/moving_{what}" for scope in ("fused", "plain") for what in ("mean", "variance")}


@pytest.fixture(scope="module")
def unfrozen(tmp_path_factory):
    path = tmp_path_factory.mktemp("unfrozen") / "constant_weights"
    (report,) = migrate.convert(str(MODELS / "constant_weights"), str(path), Options(variables=True)).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification is not None and report.verification.bitwise_equal
    return path


def test_it_answers_as_the_frozen_graph(unfrozen, golden):
    assert BY_NAME["constant_weights"].calls
    for way in ("tf2", "session"):
        compare("constant_weights", golden, ask(way, {"constant_weights": unfrozen}, unfrozen.parent))


@pytest.fixture(scope="module")
def tuned(unfrozen):
    """What a few steps of training from the loaded model have done."""
    file = unfrozen.parent / "tuned"
    run_child(["-c", _TUNE, str(unfrozen), str(file)])
    return pickle.loads(file.read_bytes())


def test_it_can_be_trained_again(tuned):
    assert not tuned["silent"]
    assert tuned["changed"] == set(tuned["before"]) - _STATISTICS
    assert tuned["losses"] == sorted(tuned["losses"], reverse=True)
    assert tuned["losses"][-1] < tuned["losses"][0]


def test_the_variables_hold_what_the_constants_held(tuned):
    from migrate.sources.saved_model import read_saved_model

    tf = pytest.importorskip("tensorflow")
    before = tuned["before"]
    nodes = read_saved_model(str(MODELS / "constant_weights")).meta_graphs[0].graph_def.node
    constants = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in nodes if node.name in before}
    assert set(constants) == set(before) and len(before) == 14
    for name, value in before.items():
        np.testing.assert_array_equal(value, constants[name])
