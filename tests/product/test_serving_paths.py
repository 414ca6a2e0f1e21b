"""What serves or trains converted models beside Session and `tf.saved_model.load`: C, strategies, TF Hub, the CLI."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tests.conversions import BY_NAME, QUIET, ROOT, ask_client, run_child
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_FLOATS_IN_AND_OUT = ("simple_save", "mixed_variables", "renaming_saver", "moving_average", "keras_v1", "sharded")


def _call(name):
    """Signature, name of the one input and its value in a case's first call."""
    signature, inputs = BY_NAME[name].calls[0]
    ((key, value),) = inputs.items()
    return signature, key, value


# The C API.

_TENSORS = """
import json, sys, tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
sys.path.insert(0, sys.argv[1])
import answers
config = answers.config()
config.ClearField("device_count")
found = {"config": config.SerializeToString().hex()}
for path in sys.argv[2:]:
    (meta_graph,) = saved_model_pb2.SavedModel.FromString(open(path + "/saved_model.pb", "rb").read()).meta_graphs
    signature = meta_graph.signature_def["serving_default"]
    found[path] = {side: {k: i.name for k, i in getattr(signature, side).items()} for side in ("inputs", "outputs")}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def tensors(converted):
    """SignatureDef tensor names of the models that the C client asks, read from the proto as a C++ server does."""
    paths = [str(converted.path(name)) for name in _FLOATS_IN_AND_OUT]
    lines = run_child(["-c", _TENSORS, str(ROOT / "tests"), *paths]).splitlines()
    return json.loads(lines[-1])


@pytest.mark.parametrize("name", _FLOATS_IN_AND_OUT)
def test_the_c_api_answers_as_the_source(name, client, tensors, converted, golden):
    signature, key, value = _call(name)
    assert signature == "serving_default"
    path = str(converted.path(name))
    expected = golden[name]["answers"][0]
    for output, tensor in tensors[path]["outputs"].items():
        answered = ask_client(client, path, tensors["config"], tensors[path]["inputs"][key], tensor, value)
        assert answered.shape == expected[output].shape
        assert answered.tobytes() == expected[output].tobytes(), (answered, expected[output])


# Distribution strategies.

_STRATEGIES = """
import pickle, sys, numpy as np, tensorflow as tf
job = pickle.load(open(sys.argv[1], "rb"))
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
found = {}
for label, make in {
    "mirrored": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    "one_device": lambda: tf.distribute.OneDeviceStrategy("CPU:1"),
}.items():
    for name, (path, signature, key, value) in job.items():
        strategy = make()
        with strategy.scope():
            loaded = tf.saved_model.load(path)
        try:
            answer = strategy.run(lambda: loaded.signatures[signature](**{key: tf.constant(value)}))
        except tf.errors.OpError as error:
            found[label, name] = str(error)
            continue
        found[label, name] = {k: [r.numpy() for r in strategy.experimental_local_results(v)] for k, v in answer.items()}
        found[label, name, "variables"] = sorted({type(v).__name__ for v in loaded.variables})
pickle.dump(found, open(sys.argv[1] + ".answers", "wb"))
"""
_DISTRIBUTED = ("simple_save", "mixed_variables", "keras_v1", "partitioned", "vocabulary")


@pytest.fixture(scope="module")
def distributed(converted, tmp_path_factory):
    job = {name: (str(converted.path(name)), *_call(name)) for name in _DISTRIBUTED}
    file = tmp_path_factory.mktemp("strategies") / "job"
    file.write_bytes(pickle.dumps(job))
    run_child(["-c", _STRATEGIES, str(file)])
    return pickle.loads(pathlib.Path(f"{file}.answers").read_bytes())


@pytest.mark.parametrize("strategy", ["mirrored", "one_device"])
@pytest.mark.parametrize("name", _DISTRIBUTED)
def test_under_a_distribution_strategy_it_answers_as_the_source(strategy, name, distributed, golden):
    expected = golden[name]["answers"][0]
    found = distributed[strategy, name]
    assert not isinstance(found, str), found
    assert set(found) == set(expected)
    for output, values in found.items():
        assert len(values) == (2 if strategy == "mirrored" else 1)
        for value in values:
            np.testing.assert_array_equal(value, expected[output])
    if strategy == "mirrored":
        assert all("Mirrored" in kind for kind in distributed[strategy, name, "variables"])


# TF Hub and gradients.

_HUB = """
import pickle, sys, numpy as np, tensorflow as tf, tensorflow_hub as hub
import tf_keras
job = pickle.load(open(sys.argv[1], "rb"))
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
found = {}
for name, (path, signature, key, value) in job.items():
    layer = hub.KerasLayer(path)
    found[name, "inference"] = layer(tf.constant(value)).numpy()
    found[name, "frozen"] = [v.name for v in layer.trainable_variables]
    layer = hub.KerasLayer(path, trainable=True)
    found[name, "trainable"] = sorted(v.name for v in layer.trainable_variables)
    before = {v.name: v.numpy() for v in layer.variables}
    x = np.random.RandomState(1).uniform(0.1, 1, (16, value.shape[1])).astype(np.float32)
    model = tf_keras.Sequential([layer, tf_keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(tf_keras.optimizers.SGD(0.001), "mse")
    losses = model.fit(x, np.full((16, 1), 0.25, np.float32), epochs=5, batch_size=16, verbose=0).history["loss"]
    found[name, "losses"] = losses
    found[name, "changed"] = sorted(v.name for v in layer.variables if not np.array_equal(before[v.name], v.numpy()))
    loaded = tf.saved_model.load(path)
    with tf.GradientTape() as tape:
        outputs = loaded.signatures[signature](**{key: tf.constant(x)})
        loss = tf.add_n([tf.reduce_sum(tf.square(v - 0.25)) for v in outputs.values()])
    gradients = tape.gradient(loss, list(loaded.trainable_variables))
    found[name, "gradients"] = {
        v.name: None if g is None else float(tf.reduce_sum(tf.abs(tf.convert_to_tensor(g))))
        for v, g in zip(loaded.trainable_variables, gradients)
    }
pickle.dump(found, open(sys.argv[1] + ".answers", "wb"))
"""
_FINE_TUNED = ("simple_save", "mixed_variables", "sharded", "renaming_saver")


@pytest.fixture(scope="module")
def hub(converted, tmp_path_factory):
    file = tmp_path_factory.mktemp("hub") / "job"
    file.write_bytes(pickle.dumps({n: (str(converted.path(n)), *_call(n)) for n in _FINE_TUNED}))
    # tensorflow_hub builds tf_keras layers only.
    run_child(["-W", "ignore", "-c", _HUB, str(file)], TF_USE_LEGACY_KERAS="1")
    return pickle.loads(pathlib.Path(f"{file}.answers").read_bytes())


@pytest.mark.parametrize("name", _FINE_TUNED)
def test_a_hub_layer_answers_as_the_source(name, hub, golden):
    (expected,) = golden[name]["answers"][0].values()
    np.testing.assert_array_equal(hub[name, "inference"], expected)
    assert hub[name, "frozen"] == []


@pytest.mark.parametrize("name", _FINE_TUNED)
def test_a_hub_layer_can_be_fine_tuned(name, hub, golden):
    trainable = sorted(golden[name]["source_trainable"])
    assert hub[name, "trainable"] == trainable
    assert hub[name, "changed"] == trainable
    losses = hub[name, "losses"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", _FINE_TUNED)
def test_gradients_reach_every_trainable_variable(name, hub, golden):
    gradients = hub[name, "gradients"]
    assert set(gradients) == golden[name]["source_trainable"]
    assert all(gradients.values()), gradients


# saved_model_cli.


def test_saved_model_cli_shows_and_runs_the_model(converted, golden, tmp_path):
    path = str(converted.path("simple_save"))
    program = pathlib.Path(sys.executable).with_name("saved_model_cli")
    assert program.exists()
    shown = subprocess.run(
        [program, "show", "--dir", path, "--all"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **QUIET},
    )
    assert shown.returncode == 0, shown.stderr
    assert "signature_def['serving_default']" in shown.stdout
    assert "inputs['x'] tensor_info" in shown.stdout
    assert "Method name is: tensorflow/serving/predict" in shown.stdout
    assert "Concrete Functions:" in shown.stdout
    signature, key, value = _call("simple_save")
    np.save(tmp_path / "x.npy", value)
    run = ["run", "--dir", path, "--tag_set", "serve", "--signature_def", signature]
    done = subprocess.run(
        [program, *run, "--inputs", f"{key}={tmp_path / 'x.npy'}", "--outdir", str(tmp_path), "--overwrite"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **QUIET},
    )
    assert done.returncode == 0, done.stderr
    for output, expected in golden["simple_save"]["answers"][0].items():
        np.testing.assert_allclose(np.load(tmp_path / f"{output}.npy"), expected, rtol=1e-6)
