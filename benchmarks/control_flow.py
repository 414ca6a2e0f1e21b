"""Latency of loops and conds as While and If against TF1's own: `python -m benchmarks.control_flow [CASE...]`.

Each case is converted in both forms, and both and the source are asked in one process: through a v1 Session, a
signature, and the C API. They are asked in short bursts in turn; a ratio is the median of the rounds' ratios (see
`latency`).
"""

from __future__ import annotations

import ctypes
import glob
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import migrate
from benchmarks.latency import burst, in_session

v1 = tf.compat.v1
FORMS = ("v1", "functional")
ASKED = (*FORMS, "source")
_BURST_SECONDS, _ROUNDS = 0.02, 40
Build = Callable[[], tuple[dict[str, Any], Any]]


class _Cell:
    """The least that dynamic_rnn asks of a cell: a GRU without gates' biases."""

    def __init__(self, inputs: int, units: int) -> None:
        self.output_size = self.state_size = units
        self._gates = v1.get_variable("gates", [inputs + units, 2 * units])
        self._kernel = v1.get_variable("kernel", [inputs + units, units])

    def zero_state(self, batch: Any, dtype: Any) -> Any:
        return tf.zeros(tf.stack([batch, self.state_size]), dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        reset, update = tf.split(tf.sigmoid(tf.concat([inputs, state], 1) @ self._gates), 2, 1)
        new = tf.tanh(tf.concat([inputs, state * reset], 1) @ self._kernel)
        state = update * state + (1 - update) * new
        return state, state


def _rnn(steps: int, batch: int, units: int) -> tuple[dict[str, Any], Any]:
    x = v1.placeholder(tf.float32, [batch, steps, 16], "x")
    outputs, _ = v1.nn.dynamic_rnn(_Cell(16, units), x, sequence_length=[steps] * batch, dtype=tf.float32)
    return {"x": x}, outputs


def _batch_norm() -> tuple[dict[str, Any], Any]:
    """Batch normalisation that updates its moments in a cond, twenty times."""
    x = v1.placeholder(tf.float32, [8, 64], "x")
    p = v1.placeholder(tf.bool, [], "p")
    y = x
    for number in range(20):
        mean = v1.get_variable(f"mean_{number}", [64], initializer=v1.zeros_initializer(), trainable=False)

        def update(y: Any = y, mean: Any = mean) -> Any:
            now = tf.reduce_mean(y, 0)
            with tf.control_dependencies([v1.assign_sub(mean, (mean - now) * 0.1)]):
                return tf.identity(now)

        y = tf.tanh(y - v1.cond(p, update, lambda mean=mean: tf.identity(mean)))
    return {"x": x, "p": p}, y


def _nested() -> tuple[dict[str, Any], Any]:
    x = v1.placeholder(tf.float32, [8, 64], "x")
    w = v1.get_variable("w", [64, 64])

    def body(i: Any, a: Any) -> tuple[Any, Any]:
        def inner(j: Any, b: Any) -> tuple[Any, Any]:
            return j + 1, v1.cond(tf.equal(j % 2, 0), lambda: tf.tanh(b @ w), lambda: b * 0.5)

        return i + 1, v1.while_loop(lambda j, _: j < 4, inner, [0, a])[1]

    return {"x": x}, v1.while_loop(lambda i, _: i < 5, body, [0, x])[1]


def _map() -> tuple[dict[str, Any], Any]:
    x = v1.placeholder(tf.float32, [32, 64, 64], "x")
    return {"x": x}, tf.map_fn(lambda image: tf.tanh(image) - tf.reduce_mean(image), x)


def _keras_lstm() -> tuple[dict[str, Any], Any]:
    """An LSTM as Keras 2.1 built it: the loop takes a slice of each weight for each gate, twelve in all."""
    steps, units = 64, 32
    x = v1.placeholder(tf.float32, [1, steps, 16], "x")
    weights = {"kernel": [16, 4 * units], "recurrent": [units, 4 * units], "bias": [4 * units]}
    read = {name: v1.get_variable(name, shape) for name, shape in weights.items()}
    gates = [[each[..., n * units : (n + 1) * units] for each in read.values()] for n in range(4)]
    given = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(x, [1, 0, 2]))
    limit = tf.shape(x)[1]

    def body(i: Any, written: Any, h: Any, c: Any) -> tuple[Any, ...]:
        row = given.read(i)
        before = [row @ kernel + bias + h @ recurrent for kernel, recurrent, bias in gates]
        opened = [tf.clip_by_value(0.2 * each + 0.5, 0.0, 1.0) for each in (*before[:2], before[3])]
        c = opened[1] * c + opened[0] * tf.tanh(before[2])
        h = opened[2] * tf.tanh(c)
        return i + 1, written.write(i, h), h, c

    zeros = tf.zeros([1, units])
    made = v1.while_loop(lambda i, *_: i < limit, body, [0, tf.TensorArray(tf.float32, steps), zeros, zeros])
    return {"x": x}, tf.transpose(made[1].stack(), [1, 0, 2])


CASES: dict[str, Build] = {
    "batch norm in conds": _batch_norm,
    "nested loops": _nested,
    "map_fn": _map,
    "rnn, 32 steps": lambda: _rnn(32, 8, 64),
    "rnn, 1,024 steps": lambda: _rnn(1024, 8, 64),
    "Keras LSTM, 64 steps": _keras_lstm,
}


def _save(build: Build, path: str) -> dict[str, Any]:
    """Saves a model; gives what it is fed."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.disable_control_flow_v2()
        v1.disable_resource_variables()
        v1.set_random_seed(1)
        inputs, y = build()
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, path, inputs, {"y": tf.identity(y)})
        v1.enable_resource_variables()
        v1.enable_control_flow_v2()
    chance = np.random.default_rng(1)
    return {
        name: np.array(True) if tensor.dtype == tf.bool else chance.standard_normal(tensor.shape).astype(np.float32)
        for name, tensor in inputs.items()
    }


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def _c_api() -> Any:
    """The library with TensorFlow's C API."""
    folder = os.path.dirname(tf.__file__)
    for name in (*glob.glob(os.path.join(folder, "libtensorflow_cc.so*")), *glob.glob(f"{folder}/python/_pywrap_*.so")):
        library = ctypes.CDLL(name)
        if hasattr(library, "TF_SessionRun"):
            return library
    raise SystemExit("this TensorFlow has no library with the C API")


def _client(path: str, values: dict[str, Any]) -> Callable[[], Any]:
    """A call through the C API: TF_LoadSessionFromSavedModel and TF_SessionRun."""
    api = _c_api()
    pointers = ("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "GraphOperationByName")
    for name in (*pointers, "AllocateTensor", "TensorData", "Message"):
        getattr(api, f"TF_{name}").restype = ctypes.c_char_p if name == "Message" else ctypes.c_void_p
    p = ctypes.c_void_p
    status, graph, options = p(api.TF_NewStatus()), p(api.TF_NewGraph()), p(api.TF_NewSessionOptions())

    def check() -> None:
        if api.TF_GetCode(status):
            raise SystemExit(api.TF_Message(status).decode())

    tags = (ctypes.c_char_p * 1)(b"serve")
    session = p(api.TF_LoadSessionFromSavedModel(options, None, path.encode(), tags, 1, graph, None, status))
    check()
    with tf.Graph().as_default(), v1.Session() as reader:
        signature = v1.saved_model.load(reader, ["serve"], path).signature_def["serving_default"]

    def output(tensor: str) -> _Output:
        name, _, index = tensor.partition(":")
        return _Output(api.TF_GraphOperationByName(graph, name.encode()), int(index))

    inputs = (_Output * len(values))(*(output(signature.inputs[name].name) for name in values))
    tensors = (p * len(values))()
    for number, value in enumerate(values.values()):
        shape = (ctypes.c_int64 * value.ndim)(*value.shape)
        dtype = tf.as_dtype(value.dtype).as_datatype_enum
        tensors[number] = api.TF_AllocateTensor(dtype, shape, value.ndim, ctypes.c_size_t(value.nbytes))
        ctypes.memmove(api.TF_TensorData(p(tensors[number])), value.ctypes.data, value.nbytes)
    outputs, found = (_Output * 1)(output(signature.outputs["y"].name)), (p * 1)()
    count = len(values)

    def call() -> None:
        api.TF_SessionRun(session, None, inputs, tensors, count, outputs, found, 1, None, 0, None, status)
        check()
        api.TF_DeleteTensor(p(found[0]))

    return call


def _loaded(path: str, values: dict[str, Any]) -> Callable[[], Any]:
    loaded = tf.saved_model.load(path)
    tensors = {name: tf.constant(value) for name, value in values.items()}
    signature = loaded.signatures["serving_default"]
    return lambda: (loaded, signature(**tensors)["y"].numpy())[1]


WAYS = {"v1 Session": in_session, "signature": _loaded, "C API": _client}


def measure(paths: dict[str, str], values: dict[str, Any]) -> Iterator[tuple[str, float, list[float]]]:
    """By way to call: its name, seconds of TF1's form, and the ratios of the others to it."""
    for way, make in WAYS.items():
        calls = {form: make(path, values) for form, path in paths.items()}
        count = max(1, round(_BURST_SECONDS / min(burst(calls[FORMS[0]], 1) for _ in range(5))))
        seconds: dict[str, list[float]] = {form: [] for form in ASKED}
        order, chance = list(ASKED), random.Random(7)
        for _ in range(_ROUNDS):
            chance.shuffle(order)
            for form in order:
                seconds[form].append(burst(calls[form], count))
        first = seconds[FORMS[0]]
        ratios = [[new / old for old, new in zip(first, seconds[form], strict=True)] for form in ASKED[1:]]
        yield way, statistics.median(first), list(map(statistics.median, ratios))


def main(names: list[str]) -> None:
    """Measures cases, and prints a table."""
    print("| model | way | `v1` | `functional` / `v1` | source / `v1` |\n|---|---|---|---|---|")
    for name in names or CASES:
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "source")
            values = _save(CASES[name], source)
            paths = {form: os.path.join(folder, form) for form in FORMS}
            for form, path in paths.items():
                (model,) = migrate.convert(source, path, migrate.Options(control_flow=form, verify="none")).models
                if type(model.outcome).__name__ != "Converted":
                    raise SystemExit(f"{name}: {model.outcome} {[f.message for f in model.findings]}")
            for way, seconds, (new, old) in measure(paths | {"source": source}, values):
                print(f"| {name} | {way} | {seconds * 1e3:.2f} ms | {new:.2f} | {old:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
