"""HDF5 files of Keras 2.0 to 2.2 with layers that have other names today: written by hand, judged by arithmetic."""

from __future__ import annotations

import json
import pickle

import h5py
import numpy as np
import pytest

import migrate
from migrate.records import Converted, Convertible, Options, Refused, Severity
from tests.conversions import ROOT, run_child
from tests.sampling import few

_UNITS, _STEPS, _FEATURES = 2, 4, 3
_X = np.random.RandomState(3).uniform(-1, 1, [2, _STEPS, _FEATURES]).astype(np.float32)
_IMAGES = np.random.RandomState(4).uniform(-9, 9, [2, 5, 5, 3]).astype(np.float32)


# The files


def _hdf5(path, layers, weights, version="2.1.6", training=None):
    """Writes what Keras 2's `Model.save` wrote for a Sequential.

    Args:
      path: of the file.
      layers: their entries in the config.
      weights: (name, value) pairs by layer.
      version: of Keras.
      training: the optimizer, loss and metrics.
    """
    with h5py.File(path, "w") as file:
        config = {"class_name": "Sequential", "config": layers}
        file.attrs.update(keras_version=version, backend="tensorflow", model_config=json.dumps(config))
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        _group(file.create_group("model_weights"), layers, weights, version)
    return path


def _group(group, layers, weights, version):
    names = [layer["config"]["name"] for layer in layers]
    group.attrs.update(keras_version=version, backend="tensorflow", layer_names=np.array(names, "S"))
    for name in names:
        own = group.create_group(name)
        stored = weights.get(name, ())
        own.attrs["weight_names"] = np.array([f"{name}/{key}:0" for key, _ in stored], "S40")
        for key, value in stored:
            own.create_dataset(f"{name}/{key}:0", data=value)


def _initializer():
    return {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}}


def _layer(class_name, name, first=None, **settings):
    config = {"name": name, "trainable": True, **settings}
    if first is not None:
        config.update(batch_input_shape=[None, *first], dtype="float32")
    return {"class_name": class_name, "config": config}


def _recurrent(class_name, name, first=(_STEPS, _FEATURES), **settings):
    """A CuDNN layer as keras 2.1's cudnn_recurrent.py writes it."""
    known = {
        "return_sequences": True, "return_state": False, "go_backwards": False, "stateful": False,
        "units": _UNITS, "kernel_initializer": _initializer(), "recurrent_initializer": _initializer(),
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
        "recurrent_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
        "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    if class_name == "CuDNNLSTM":
        known["unit_forget_bias"] = True
    return _layer(class_name, name, first, **{**known, **settings})


def _cudnn_weights(class_name, seed, inputs=_FEATURES):
    gates = 4 if class_name == "CuDNNLSTM" else 3
    random = np.random.RandomState(seed)

    def drawn(*shape):
        return random.uniform(-1, 1, shape).astype(np.float32)

    return (
        ("kernel", drawn(inputs, gates * _UNITS)),
        ("recurrent_kernel", drawn(_UNITS, gates * _UNITS)),
        ("bias", drawn(2 * gates * _UNITS)),
    )


# What cuDNN computes, from its manual (cudnnRNNMode_t) and from how Keras hands the weights to it: for each gate the
# bytes of the kernel, which cuDNN reads as a matrix of [units, inputs].


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _matrices(stored, gates):
    (_, kernel), (_, recurrent), (_, bias) = stored
    inputs = kernel.shape[0]
    w = [k.ravel().reshape(_UNITS, inputs) for k in np.split(kernel.astype(np.float64), gates, axis=1)]
    u = [k.ravel().reshape(_UNITS, _UNITS) for k in np.split(recurrent.astype(np.float64), gates, axis=1)]
    b = np.split(bias.astype(np.float64), 2 * gates)
    return w, u, b[:gates], b[gates:]


def _lstm(x, stored, backwards=False):
    w, u, bw, bu = _matrices(stored, 4)  # input, forget, new, output
    h = c = np.zeros([len(x), _UNITS])
    found = []
    for step in range(x.shape[1])[:: -1 if backwards else 1]:
        i, f, n, o = (x[:, step] @ w[k].T + bw[k] + h @ u[k].T + bu[k] for k in range(4))
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(n)
        h = _sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.stack(found, 1)


def _gru(x, stored, backwards=False):
    w, u, bw, bu = _matrices(stored, 3)  # update, reset, new: Keras' order
    h = np.zeros([len(x), _UNITS])
    found = []
    for step in range(x.shape[1])[:: -1 if backwards else 1]:
        z = _sigmoid(x[:, step] @ w[0].T + bw[0] + h @ u[0].T + bu[0])
        r = _sigmoid(x[:, step] @ w[1].T + bw[1] + h @ u[1].T + bu[1])
        n = np.tanh(x[:, step] @ w[2].T + bw[2] + r * (h @ u[2].T + bu[2]))
        h = (1 - z) * n + z * h
        found.append(h)
    return np.stack(found, 1)


_COMPUTE = {"CuDNNLSTM": _lstm, "CuDNNGRU": _gru}


def _plain(class_name):
    def make(path):
        weights = _cudnn_weights(class_name, 1)
        _hdf5(path, [_recurrent(class_name, "rnn")], {"rnn": weights})
        return {"rnn_input": _X}, _COMPUTE[class_name](_X, weights)

    return make


def _last_of_a_backward_one(class_name):
    def make(path):
        weights = _cudnn_weights(class_name, 2)
        _hdf5(path, [_recurrent(class_name, "rnn", return_sequences=False, go_backwards=True)], {"rnn": weights})
        return {"rnn_input": _X}, _COMPUTE[class_name](_X, weights, backwards=True)[:, -1]

    return make


def _bidirectional(class_name):
    def make(path):
        inner = _recurrent(class_name, "rnn", None)
        both = _layer("Bidirectional", "both", (_STEPS, _FEATURES), layer=inner, merge_mode="concat")
        there, back = _cudnn_weights(class_name, 3), _cudnn_weights(class_name, 4)
        stored = [(f"forward_rnn/{k}", v) for k, v in there] + [(f"backward_rnn/{k}", v) for k, v in back]
        _hdf5(path, [both], {"both": stored})
        compute = _COMPUTE[class_name]
        return {"both_input": _X}, np.concatenate(
            [compute(_X, there), compute(_X, back, backwards=True)[:, ::-1]], axis=-1
        )

    return make


def _stacked_in_a_model(path):
    layers = [
        _recurrent("CuDNNGRU", "first"),
        _recurrent("CuDNNLSTM", "second", None, return_sequences=False),
    ]
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": layers}}
    outer = _layer("Activation", "outer", (_STEPS, _FEATURES), activation="linear")
    first, second = _cudnn_weights("CuDNNGRU", 5), _cudnn_weights("CuDNNLSTM", 6, _UNITS)
    stored = [(f"first/{k}", v) for k, v in first] + [(f"second/{k}", v) for k, v in second]
    _hdf5(path, [outer, inner], {"inner": stored}, "2.2.4")
    return {"outer_input": _X}, _lstm(_gru(_X, first), second)[:, -1]


def _mobile_net(path):
    """The first block of keras.applications.mobilenet of Keras 2.1, whose relu6 and DepthwiseConv2D were its own."""
    random = np.random.RandomState(7)
    depthwise = {
        "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last",
        "dilation_rate": [1, 1], "activation": "linear", "use_bias": False, "depth_multiplier": 1,
        "depthwise_initializer": _initializer(), "depthwise_regularizer": None, "depthwise_constraint": None,
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "bias_regularizer": None,
        "activity_regularizer": None, "bias_constraint": None,
    }  # fmt: skip
    layers = [
        _layer("DepthwiseConv2D", "conv_dw_1", (5, 5, 3), **depthwise),
        _layer("Activation", "conv_dw_1_relu", activation="relu6"),
    ]
    kernel = random.uniform(-1, 1, [3, 3, 3, 1]).astype(np.float32)
    _hdf5(path, layers, {"conv_dw_1": [("depthwise_kernel", kernel)]})
    windows = np.lib.stride_tricks.sliding_window_view(_IMAGES.astype(np.float64), (3, 3), (1, 2))
    return {"conv_dw_1_input": _IMAGES}, np.clip(np.einsum("nhwcij,ijc->nhwc", windows, kernel[..., 0]), 0, 6)


def _activation(name, compute):
    def make(path):
        _hdf5(path, [_layer("Activation", "act", (_STEPS, _FEATURES), activation=name)], {})
        return {"act_input": _X}, compute(_X.astype(np.float64))

    return make


CASES = {
    **{f"{name}_plain": _plain(name) for name in _COMPUTE},
    **{f"{name}_backwards": _last_of_a_backward_one(name) for name in _COMPUTE},
    **{f"{name}_bidirectional": _bidirectional(name) for name in _COMPUTE},
    "a_model_in_a_model": _stacked_in_a_model,
    "mobilenet": _mobile_net,
    "leaky_relu": _activation("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x)),
    "log_softmax": _activation("log_softmax", lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True))),
    "silu": _activation("silu", lambda x: x * _sigmoid(x)),
}

TRIED = tuple(name for name in CASES if name in few(CASES, 2) or name in ("CuDNNGRU_plain", "mobilenet"))

# Verified by the tool as well; the others are judged by this file alone, which takes less time.
VERIFIED = ("CuDNNLSTM_plain", "mobilenet")

_ASK = """
import os, pickle, sys
import tensorflow as tf
import tf_keras

with open(sys.argv[1], "rb") as file:
    calls = pickle.load(file)
found = {}
for name, inputs in calls.items():
    path = os.path.join(sys.argv[2], name)
    loaded = tf.saved_model.load(path)
    given = {name: tf.constant(value) for name, value in inputs.items()}
    (answer,) = loaded.signatures["serving_default"](**given).values()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        (output,) = signature.outputs.values()
        again = session.run(output.name, feeds)
    model = tf_keras.models.load_model(path)
    found[name] = answer.numpy(), again, model.predict(list(inputs.values())[0], verbose=0)
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """By case: the report, the expected answer, and the answers of the new model in a fresh process."""
    work = tmp_path_factory.mktemp("old_keras")
    expected = {}
    reports = {}
    for folder in ("True", "False"):
        (work / folder).mkdir()
    for name in TRIED:
        expected[name] = CASES[name](work / str(name in VERIFIED) / f"{name}.h5")
    for folder in ("True", "False"):
        report = migrate.convert(str(work / folder), str(work / "new"), Options(verify=folder == "True"))
        reports.update((model.source.rpartition("/")[2].removesuffix(".h5"), model) for model in report.models)
    calls = {name: inputs for name, (inputs, _) in expected.items() if isinstance(reports[name].outcome, Converted)}
    (work / "calls").write_bytes(pickle.dumps(calls))
    run_child(["-c", _ASK, str(work / "calls"), str(work / "new")])
    answers = pickle.loads((work / "calls").read_bytes())
    return {name: (reports[name], expected[name][1], answers.get(name)) for name in TRIED}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("case", TRIED)
def test_it_computes_what_the_stored_weights_say(converted, case):
    report, expected, answers = converted[case]
    assert isinstance(report.outcome, Converted), report
    if case in VERIFIED:
        assert report.verification is not None and report.verification.bitwise_equal
    cudnn = case.startswith("CuDNN") or case == "a_model_in_a_model"
    assert ("keras-cudnn" in {finding.code for finding in report.findings}) is cudnn
    for answer in answers:
        assert answer.shape == expected.shape
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)


_LOADED_BY_KERAS = """
import json, sys
import h5py, numpy as np, tf_keras

name, path = sys.argv[1:]
with h5py.File(path) as file:
    config = file.attrs["model_config"]
instead = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
text = config.replace('"class_name": "%s"' % name, '"class_name": "%s"' % instead[name])
layers = json.loads(text)
for layer in layers["config"]:
    layer["config"].update(recurrent_activation="sigmoid", **({"reset_after": True} if "GRU" in name else {}))
model = tf_keras.models.model_from_json(json.dumps(layers))
model.load_weights(path)
np.save(path + ".npy", model.predict(np.load(path + ".x.npy"), verbose=0))
"""


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("class_name", sorted(_COMPUTE))
def test_keras_own_loader_gives_the_same_from_the_weights(converted, class_name, tmp_path):
    path = tmp_path / "model.h5"
    _plain(class_name)(path)
    np.save(f"{path}.x.npy", _X)
    run_child(["-c", _LOADED_BY_KERAS, class_name, str(path)])
    _, _, answers = converted[f"{class_name}_plain"]
    np.testing.assert_allclose(answers[0], np.load(f"{path}.npy"), rtol=1e-6, atol=1e-7)


def test_audit_says_what_becomes_of_the_layers(tmp_path):
    _bidirectional("CuDNNGRU")(tmp_path / "model.h5")
    (report,) = migrate.audit(str(tmp_path / "model.h5")).models
    assert isinstance(report.outcome, Convertible)
    (found,) = [finding for finding in report.findings if finding.code == "keras-cudnn"]
    assert found.severity is Severity.NOTE
    assert "CuDNNGRU becomes GRU" in found.message


def test_a_class_of_the_users_goes_first(tmp_path):
    _plain("CuDNNGRU")(tmp_path / "model.h5")
    (report,) = migrate.audit(str(tmp_path / "model.h5"), Options(custom_objects=("mine:CuDNNGRU",))).models
    assert "keras-cudnn" not in {finding.code for finding in report.findings}


def test_weights_that_keras_does_not_reorder_are_refused(tmp_path):
    config = {"class_name": "Sequential", "config": [_recurrent("CuDNNGRU", "rnn")], "keras_version": "2.2.4"}
    (tmp_path / "model.json").write_text(json.dumps({**config, "backend": "tensorflow"}))
    for name in ("checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        (tmp_path / name).write_bytes((ROOT / "testdata" / "keras" / "json_names" / name).read_bytes())
    (report,) = migrate.audit(str(tmp_path)).models
    assert isinstance(report.outcome, Refused), report
    assert "keras-cudnn" in {f.code for f in report.findings if f.severity is Severity.REFUSAL}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_optimizers_state_is_left_out_and_it_is_said_why(tmp_path):
    """Slots lie in the order of the weights as cuDNN has them, and some of them would even fit."""
    weights = _cudnn_weights("CuDNNGRU", 1)
    training = {
        "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "momentum": 0.9, "decay": 0.0}},
        "loss": "mse",
        "metrics": [],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    path = _hdf5(tmp_path / "model.h5", [_recurrent("CuDNNGRU", "rnn")], {"rnn": weights}, training=training)
    with h5py.File(path, "r+") as file:
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = np.array([f"training/SGD/{key}" for key, _ in weights], "S40")
        for key, value in weights:
            group.create_dataset(f"training/SGD/{key}", data=value)
    (report,) = migrate.convert(str(path), str(tmp_path / "new")).models
    assert isinstance(report.outcome, Converted), report
    (dropped,) = [finding for finding in report.findings if finding.code == "keras-optimizer-dropped"]
    assert "CuDNNGRU" in dropped.message
