"""Models with recurrent networks of cuDNN, in cudnn/, and what the cells of tf.contrib that compute the same answer.

    python3.7 -m venv venv-tf115
    venv-tf115/bin/pip install tensorflow==1.15.5 'protobuf<3.21'
    venv-tf115/bin/python testdata/make_cudnn.py              # all
    venv-tf115/bin/python testdata/make_cudnn.py lstm         # one

No GPU is needed: the graphs with the ops of cuDNN are built and not run. Each directory holds a SavedModel whose
checkpoint has canonical weights, as the saver of tf.contrib.cudnn_rnn writes them, and `golden.npz`, as
make_dead_ops.py has it: what TensorFlow 1.15's CudnnCompatibleLSTMCell, CudnnCompatibleGRUCell or BasicRNNCell answer
with these weights, and for what comes back to `y` (`0^y`) the gradient (`0'x`). The checkpoint's vector of weights,
which cuDNN alone could read, is zeros. The program runs under Python 3.7.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib import cudnn_rnn
from tensorflow.python.keras.saving import hdf5_format

v1 = tf.compat.v1
MODELS = pathlib.Path(__file__).resolve().parent / "cudnn"
LAYERS = {
    "lstm": cudnn_rnn.CudnnLSTM,
    "gru": cudnn_rnn.CudnnGRU,
    "tanh": cudnn_rnn.CudnnRNNTanh,
    "relu": cudnn_rnn.CudnnRNNRelu,
}
CELLS = {
    "lstm": cudnn_rnn.CudnnCompatibleLSTMCell,
    "gru": cudnn_rnn.CudnnCompatibleGRUCell,
    "tanh": tf.nn.rnn_cell.BasicRNNCell,
    "relu": lambda units: tf.nn.rnn_cell.BasicRNNCell(units, activation=tf.nn.relu),
}
_WIDTH, _UNITS = 3, 4


class _Case:
    """One network: its form, and calls of it."""

    def __init__(self, mode, layers=1, both_ways=False, lengths=False, state=False, by_batch=False, dtype=tf.float32):
        self.mode, self.layers, self.directions = mode, layers, 2 if both_ways else 1
        self.lengths, self.state, self.by_batch, self.dtype = lengths, state, by_batch, dtype

    def _by_time(self, tensor):
        """What has the batch first, with it second, or the other way round."""
        return tf.transpose(tensor, [1, 0, 2]) if self.by_batch else tensor

    def inputs(self):
        """What a call feeds."""
        found = {"x": v1.placeholder(self.dtype, [None, None, _WIDTH], "x")}
        if self.lengths:
            found["lengths"] = v1.placeholder(tf.int32, [None], "lengths")
        if self.state:
            for name in ("h", "c")[: 2 if self.mode == "lstm" else 1]:
                shape = [self.layers * self.directions, None, _UNITS]
                shape = [None, shape[0], _UNITS] if self.by_batch else shape
                found["first_" + name] = v1.placeholder(self.dtype, shape, "first_" + name)
        return found

    def network(self, inputs):
        """The layer of tf.contrib, which needs a GPU."""
        direction = "bidirectional" if self.directions > 1 else "unidirectional"
        layer = LAYERS[self.mode](self.layers, _UNITS, direction=direction, dtype=self.dtype)
        state = tuple(inputs[key] for key in ("first_h", "first_c") if key in inputs) or None
        given = {"sequence_lengths": inputs["lengths"]} if self.lengths else {}
        if self.by_batch:
            given["time_major"] = False
        y, last = layer(inputs["x"], initial_state=state, training=False, **given)
        return {"yhc"[number]: tensor for number, tensor in enumerate((y, *last))}

    def cells(self, inputs):
        """The cells that compute the same on a CPU, with variables of the canonical weights."""
        lengths = inputs.get("lengths")
        cells = [[CELLS[self.mode](_UNITS) for _ in range(self.layers)] for _ in range(self.directions)]
        first = [None] * self.directions
        if self.state:
            ways = range(self.directions)
            first = [[self._state(inputs, n * self.directions + d) for n in range(self.layers)] for d in ways]
        if self.directions > 1:
            y, *last = tf.contrib.rnn.stack_bidirectional_dynamic_rnn(
                *cells, self._by_time(inputs["x"]), *first, dtype=self.dtype, sequence_length=lengths, time_major=True
            )
            states = [last[d][n] for n in range(self.layers) for d in (0, 1)]
        else:
            y, states = tf.nn.dynamic_rnn(
                tf.nn.rnn_cell.MultiRNNCell(cells[0]),
                self._by_time(inputs["x"]),
                sequence_length=lengths,
                initial_state=tuple(first[0]) if first[0] else None,
                dtype=self.dtype,
                time_major=True,
            )
        found = {"y": y, "h": tf.stack([s.h for s in states] if self.mode == "lstm" else list(states))}
        if self.mode == "lstm":
            found["c"] = tf.stack([s.c for s in states])
        return {name: self._by_time(tensor) for name, tensor in found.items()}

    def _state(self, inputs, number):
        h = self._by_time(inputs["first_h"])[number]
        return tf.nn.rnn_cell.LSTMStateTuple(self._by_time(inputs["first_c"])[number], h) if self.mode == "lstm" else h

    def calls(self, inputs):
        """Values of inputs."""
        random = np.random.RandomState(31)
        calls = []
        for time, batch in ((5, 3), (1, 1), (40, 2)):
            shape = [batch, time, _WIDTH] if self.by_batch else [time, batch, _WIDTH]
            call = {"x": random.uniform(-2, 2, shape).astype(self.dtype.as_numpy_dtype)}
            if self.lengths:
                call["lengths"] = random.randint(1, time + 1, [batch]).astype(np.int32)
                call["lengths"][0] = time
            for name in ("first_h", "first_c"):
                if name in inputs:
                    shape = [self.layers * self.directions, batch, _UNITS]
                    shape = [batch, shape[0], _UNITS] if self.by_batch else shape
                    call[name] = random.uniform(-1, 1, shape).astype(self.dtype.as_numpy_dtype)
            calls.append(call)
        return calls


class _KerasCase(_Case):
    """A layer of tf.keras 1, which puts its weights together itself."""

    def network(self, inputs):
        """The layer, which needs a GPU."""
        kind = {"lstm": tf.keras.layers.CuDNNLSTM, "gru": tf.keras.layers.CuDNNGRU}[self.mode]
        x = tf.transpose(inputs["x"], [1, 0, 2])
        return {"y": kind(_UNITS, return_sequences=True, name="layer")(x)}

    def cells(self, inputs):
        """Keras' own layer for a CPU, and how Keras loads the other one's weights into it."""
        kind, given = {
            "lstm": (tf.keras.layers.LSTM, {}),
            "gru": (tf.keras.layers.GRU, {"reset_after": True}),
        }[self.mode]
        layer = kind(_UNITS, return_sequences=True, recurrent_activation="sigmoid", name="layer", **given)
        y = layer(tf.transpose(inputs["x"], [1, 0, 2]))
        random = np.random.RandomState(33)
        gates = 4 if self.mode == "lstm" else 3
        shapes = {"kernel": [_WIDTH, gates * _UNITS], "recurrent_kernel": [_UNITS, gates * _UNITS]}
        shapes["bias"] = [2 * gates * _UNITS]
        self.weights = {name: random.uniform(-0.8, 0.8, shape).astype(np.float32) for name, shape in shapes.items()}
        layer.set_weights(hdf5_format._convert_rnn_weights(layer, list(self.weights.values())))
        return {"y": y}


CASES = {
    "lstm": _Case("lstm", layers=2),
    "lstm_state": _Case("lstm", state=True),
    "lstm_both_ways": _Case("lstm", layers=2, both_ways=True, lengths=True, state=True),
    "gru": _Case("gru", layers=2, lengths=True),
    "gru_both_ways": _Case("gru", both_ways=True),
    "tanh": _Case("tanh", layers=2, both_ways=True),
    "relu": _Case("relu", state=True),
    "lstm_by_batch": _Case("lstm", state=True, by_batch=True),
    "gru_by_batch": _Case("gru", lengths=True, state=True, by_batch=True),
    "gru_double": _Case("gru", both_ways=True, dtype=tf.float64),
    "keras_lstm": _KerasCase("lstm"),
    "keras_gru": _KerasCase("gru"),
}


def _save(directory, inputs, outputs):
    """Writes the SavedModel of the graph; its checkpoint is there already."""
    builder = v1.saved_model.Builder(str(directory))
    builder._has_saved_variables = True
    info = v1.saved_model.utils.build_tensor_info
    signature = v1.saved_model.signature_def_utils.build_signature_def(
        {name: info(tensor) for name, tensor in inputs.items()},
        {name: info(tensor) for name, tensor in outputs.items()},
        "tensorflow/serving/predict",
    )
    builder.add_meta_graph(["serve"], {"serving_default": signature}, saver=v1.train.Saver())
    builder.save()


def _weights(case, session, vectors):
    """Gives the cells weights; all that the checkpoint has, by name, beside theirs what no cell has."""
    if isinstance(case, _KerasCase):
        return {"layer/" + name: v1.Variable(value) for name, value in case.weights.items()}
    random = np.random.RandomState(32)
    canonical = v1.global_variables()
    for variable in canonical:
        value = random.uniform(-0.8, 0.8, variable.shape.as_list())
        session.run(variable.initializer, {variable.initializer.inputs[1]: value})
    stored = {variable.op.name: variable for variable in canonical}
    return {**stored, **{vector: v1.Variable(np.zeros([1], case.dtype.as_numpy_dtype)) for vector in vectors}}


def _make(name, case):
    directory = MODELS / name
    shutil.rmtree(str(directory), ignore_errors=True)
    with tf.Graph().as_default():
        inputs = case.inputs()
        outputs = case.network(inputs)
        vectors = [variable.op.name for variable in v1.global_variables()]
        _save(directory, inputs, outputs)
    answers = {}
    with tf.Graph().as_default(), v1.Session() as session:
        tf.keras.backend.set_session(session)
        inputs = case.inputs()
        with v1.variable_scope(os.path.dirname(vectors[0])):  # The layer's, which is in the names of its weights.
            outputs = case.cells(inputs)
        stored = _weights(case, session, vectors)
        unset = [v for v in stored.values() if not session.run(v1.is_variable_initialized(v))]
        session.run([v.initializer for v in unset])
        (directory / "variables").mkdir()
        prefix = str(directory / "variables" / "variables")
        v1.train.Saver(stored).save(session, prefix, write_meta_graph=False, write_state=False)
        back = v1.placeholder(case.dtype, None)
        (gradient,) = tf.gradients(outputs["y"], inputs["x"], back)
        for number, given in enumerate(case.calls(inputs)):
            feeds = {inputs[key]: value for key, value in given.items()}
            found = session.run(outputs, feeds)
            answers.update({f"{number}/{key}": value for key, value in given.items()})
            answers.update({f"{number}:{key}": value for key, value in found.items()})
            drawn = np.random.RandomState(34).uniform(-1, 1, found["y"].shape)
            answers[f"{number}^y"] = drawn.astype(case.dtype.as_numpy_dtype)
            answers[f"{number}'x"] = session.run(gradient, {**feeds, back: answers[f"{number}^y"]})
    np.savez_compressed(str(directory / "golden.npz"), **answers)
    print(f"{name}: made by TF {tf.__version__}")


if __name__ == "__main__":
    for each, case in CASES.items():
        if not sys.argv[1:] or each in sys.argv[1:]:
            _make(each, case)
