"""A converted TF1 Hub module: hub.KerasLayer fine-tunes it, and training is what TF1's users ran."""

from __future__ import annotations

import pathlib
import pickle

import numpy as np
import pytest

from tests.conversions import MODELS, ROOT, run_child

pytestmark = pytest.mark.tensorflow

_MODULE = """
import pickle, sys, numpy as np, tensorflow as tf, tensorflow_hub as hub, tf_keras
source, new, out, tests = sys.argv[1:]
sys.path.insert(0, tests)
import answers
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
v1 = tf.compat.v1
x = np.random.RandomState(0).uniform(-1, 1, (6, 3)).astype(np.float32)
found = {}

# TF1's way: the training graph in a session, update ops beside the output, twice; then inference.
with tf.Graph().as_default(), v1.Session(config=answers.config()) as session:
    meta_graph = v1.saved_model.load(session, ["train"], source)
    signature = meta_graph.signature_def["default"]
    updates = list(meta_graph.collection_def["update_ops"].node_list.value)[:2]
    feeds = {signature.inputs["default"].name: x}
    outputs = [session.run([signature.outputs["default"].name, *updates], feeds)[0] for _ in range(2)]
    names = [v.op.name for v in v1.global_variables()]
    found["tf1"] = {
        "outputs": outputs,
        "variables": dict(zip(names, session.run([v.read_value() for v in v1.global_variables()]))),
        "losses": session.run(list(meta_graph.collection_def["regularization_losses"].node_list.value)),
        "shape": outputs[0].shape,
    }

def values(loaded):
    return {name: v.numpy() for name, v in loaded.vars.items()}

def differ(one, other):
    return {name for name in one if not np.array_equal(one[name], other[name])}

loaded = tf.saved_model.load(new)
start = values(loaded)
first = loaded(tf.constant(x)).numpy()
found["inference"] = (first, loaded(tf.constant(x), training=False).numpy(), differ(start, values(loaded)))
found["tf2"] = {
    "outputs": [loaded(tf.constant(x), training=True).numpy() for _ in range(2)],
    "variables": values(loaded),
    "losses": [loss().numpy() for loss in loaded.regularization_losses],
}
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(loaded(tf.constant(x), training=True) - 0.5)) + loaded.regularization_losses[0]()
gradients = tape.gradient(loss, list(loaded.trainable_variables))
names = [v.name for v in loaded.trainable_variables]
found["gradients"] = {name: None if g is None else float(tf.norm(g)) for name, g in zip(names, gradients)}
tf.saved_model.save(loaded, out + ".again")
again = tf.saved_model.load(out + ".again")
found["again"] = again(tf.constant(x), training=True).numpy(), loaded(tf.constant(x), training=True).numpy()

layer = hub.KerasLayer(new, trainable=True)
model = tf_keras.Sequential([layer, tf_keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(tf_keras.optimizers.SGD(0.02), "mse")
before = {v.name: v.numpy() for v in layer.variables}
found["keras_losses"] = [float(loss) for loss in layer.losses]
found["fit"] = model.fit(x, x[:, :1], epochs=6, batch_size=6, verbose=0).history["loss"]
found["trained"] = {v.name for v in layer.variables if not np.array_equal(before[v.name], v.numpy())}
before = {v.name: v.numpy() for v in layer.variables}
model.predict(x, verbose=0)
found["changed_by_predict"] = {v.name for v in layer.variables if not np.array_equal(before[v.name], v.numpy())}
frozen = hub.KerasLayer(new)
found["frozen"] = [v.name for v in frozen.trainable_variables], frozen(tf.constant(x), training=True).numpy(), first
pickle.dump(found, open(out, "wb"))
"""


@pytest.fixture(scope="module")
def found(converted, tmp_path_factory):
    file = tmp_path_factory.mktemp("hub_module") / "found"
    arguments = [str(MODELS / "hub_module"), str(converted.path("hub_module@")), str(file), str(ROOT / "tests")]
    run_child(["-W", "ignore", "-c", _MODULE, *arguments], TF_USE_LEGACY_KERAS="1")
    return pickle.loads(pathlib.Path(file).read_bytes())


def test_a_training_call_is_what_tf1_ran(found):
    """Outputs of the batch's own statistics, and the moving averages after two steps of the update ops."""
    for expected, answer in zip(found["tf1"]["outputs"], found["tf2"]["outputs"], strict=True):
        assert expected.tobytes() == answer.tobytes()
    assert set(found["tf1"]["variables"]) == set(found["tf2"]["variables"])
    for name, value in found["tf1"]["variables"].items():
        assert value.tobytes() == found["tf2"]["variables"][name].tobytes(), name
    (loss,) = found["tf1"]["losses"]
    assert found["tf2"]["losses"] == [loss]


def test_inference_is_the_default_and_changes_nothing(found):
    implied, given, changed = found["inference"]
    assert implied.tobytes() == given.tobytes()
    assert not changed
    assert implied.tobytes() != found["tf2"]["outputs"][0].tobytes()


def test_gradients_reach_every_trainable_variable(found):
    assert set(found["gradients"]) == {"dense/kernel:0", "dense/bias:0", "norm/gamma:0", "norm/beta:0"}
    assert all(value is not None for value in found["gradients"].values())
    # A bias before a batch normalisation has no say in the output.
    assert all(value > 1e-3 for name, value in found["gradients"].items() if name != "dense/bias:0")


def test_the_training_branch_is_saved_again(found):
    again, loaded = found["again"]
    assert again.tobytes() == loaded.tobytes()


def test_a_hub_layer_fine_tunes_it(found):
    np.testing.assert_array_equal(found["keras_losses"], found["tf1"]["losses"])
    assert found["fit"] == sorted(found["fit"], reverse=True)
    assert found["fit"][-1] < found["fit"][0]
    moving = {"norm/moving_mean:0", "norm/moving_variance:0"}
    assert {"dense/kernel:0", "norm/gamma:0", "norm/beta:0"} | moving <= found["trained"]
    assert not found["changed_by_predict"]


def test_a_hub_layer_that_is_not_trainable_is_inference(found):
    trainable, answer, expected = found["frozen"]
    assert trainable == []
    np.testing.assert_array_equal(answer, expected)
