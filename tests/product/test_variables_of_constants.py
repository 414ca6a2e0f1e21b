"""--variables: a frozen model answers as before, and can be trained again."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

import migrate
from migrate.levels import FULL
from migrate.records import Converted, Mismatched, Options
from tests.conversions import BY_NAME, MODELS, ask, compare, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

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


def test_a_variable_that_is_a_constant_again_is_told(unfrozen, tmp_path):
    """No call shows it, until the variable gets another value."""
    from migrate.graph.protos import SavedModel

    new = tmp_path / "new"
    shutil.copytree(unfrozen, new)
    file = new / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    source = SavedModel.FromString((MODELS / "constant_weights" / "saved_model.pb").read_bytes())
    constants = {node.name: node.attr["value"] for node in source.meta_graphs[0].graph_def.node if node.op == "Const"}
    (name,) = (name for name in constants if name.startswith("conv") and len(_dims(constants[name].tensor)) == 4)
    planted = 0
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "Conv2D":
                weight = function.node_def.add(name="spoil", op="Const")
                weight.attr["value"].CopyFrom(constants[name])
                weight.attr["dtype"].type = constants[name].tensor.dtype
                node.input[1] = "spoil:output:0"
                planted += 1
                break
    assert planted
    file.write_bytes(model.SerializeToString())
    (new / "fingerprint.pb").unlink()
    options = Options(variables=True, verify=FULL)
    (report,) = migrate.validate(str(new), against=str(MODELS / "constant_weights"), options=options).models
    assert isinstance(report.outcome, Mismatched), report.outcome
    assert "variable-unused" in {mismatch.code for mismatch in report.verification.mismatches}


def _dims(tensor: object) -> list[int]:
    return [dim.size for dim in tensor.tensor_shape.dim]


@pytest.fixture(scope="module")
def large(tmp_path_factory, warm):
    """A graph with two large constants and a small one, and what has become of it with `variables="large"`."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(5)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 512], name="x")
        layer = tf.tanh(x @ tf.constant(rng.random((512, 520), np.float32), name="weights"))
        bent = layer * tf.constant(rng.random((512, 520), np.float32), name="scale")[0]
        tf.add(bent, tf.constant(rng.random(520, np.float32), name="shift"), name="y")
    (folder / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    report = _large(migrate.convert, folder / "frozen.pb", folder / "new")
    return folder, report


def _large(do, *paths: object, variables: bool | str = "large"):
    signature = "serving_default:inputs=x=x:0;outputs=y=y:0"
    (report,) = do(*map(str, paths), options=Options(variables=variables, signature=signature, details=True)).models
    return report


def test_large_constants_are_untrained_variables_in_the_checkpoint(large):
    tf = pytest.importorskip("tensorflow")
    folder, report = large
    assert isinstance(report.outcome, Converted), report
    assert report.verification.bitwise_equal
    assert report.verification.structure.variables_proved == report.verification.structure.variables
    assert (folder / "new" / "saved_model.pb").stat().st_size < 100_000
    stored = dict(tf.train.list_variables(str(folder / "new" / "variables" / "variables")))
    names = ("weights", "scale")
    assert {f"vars/{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in names} == stored.keys() - {
        "_CHECKPOINTABLE_OBJECT_GRAPH"
    }
    told = {finding.code: finding for finding in report.findings}
    assert set(told["constants-to-variables"].nodes) == set(names)
    run_child(["-c", _NAMES, str(folder / "new")])


_NAMES = """
import sys, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
assert sorted(loaded.vars) == ["scale", "weights"], sorted(loaded.vars)
assert not loaded.trainable_variables, loaded.trainable_variables
assert not any(v.trainable for v in loaded.variables)
"""
