"""TF1 models to measure with, ref variables throughout: `python -m benchmarks.models NAME DIRECTORY [SIZE]`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
Tensors = dict[str, Any]
_BLOCK_FLOATS = 1 << 24
_PART = 10
"""Nodes, of two kinds each, that a signature has and the one before it has not."""


def _variable(name: str, shape: list[int]) -> tuple[Any, Any]:
    """A variable and an op that fills it with seeded values, block by block."""
    variable = v1.get_variable(name, shape, tf.float32, use_resource=False, initializer=v1.zeros_initializer())
    values = tf.random.stateless_uniform(shape, [3, sum(map(ord, name))], -0.1, 0.1)
    return variable, v1.assign(variable, values)


def embedding(megabytes: int) -> tuple[Any, Any, list[Any]]:
    """An embedding of so many megabytes, in parts of 64 MB."""
    rows = max(1, megabytes * (1 << 20) // 4 // 64)
    part_rows = min(rows, _BLOCK_FLOATS // 64)
    return _with_variables("embedding", {f"part_{n}": [part_rows, 64] for n in range(-(-rows // part_rows))})


def _embedding(inputs: Tensors, weights: Tensors) -> Any:
    parts = [weights[name] for name in sorted(weights)]
    return tf.add_n([tf.reduce_mean(tf.gather(p, tf.math.mod(inputs["ids"], int(p.shape[0]))), 1) for p in parts])


def image(_: int) -> tuple[Any, Any, list[Any]]:
    """A small convolutional network on images of 224 x 224 pixels."""
    shapes, depth = {}, 3
    for number, filters in enumerate((32, 32, 64, 64)):
        shapes[f"conv_{number}"] = [3, 3, depth, filters]
        depth = filters
    return _with_variables("image", {**shapes, "dense": [56 * 56 * 64, 10]})


def _image(inputs: Tensors, weights: Tensors) -> Any:
    layer = inputs["image"]
    for number in range(4):
        layer = tf.nn.relu(tf.nn.conv2d(layer, weights[f"conv_{number}"], 2 if number % 2 else 1, "SAME"))
    return tf.nn.softmax(tf.reshape(layer, [-1, 56 * 56 * 64]) @ weights["dense"])


def lstm(_: int) -> tuple[Any, Any, list[Any]]:
    """An LSTM of 256 units over 50 steps in a v1 while loop."""
    return _with_variables("lstm", {"kernel": [128 + 256, 4 * 256], "bias": [4 * 256]})


def _lstm(inputs: Tensors, weights: Tensors) -> Any:
    x, kernel, bias = inputs["x"], weights["kernel"], weights["bias"]
    batch = tf.shape(x)[0]
    steps = tf.TensorArray(tf.float32, 50).unstack(tf.transpose(x, [1, 0, 2]))

    def body(i: Any, c: Any, h: Any) -> Any:
        gates = tf.nn.bias_add(tf.concat([steps.read(i), h], 1) @ kernel, bias)
        a, b, f, o = tf.split(gates, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(a) * tf.tanh(b)
        return i + 1, c, tf.tanh(c) * tf.sigmoid(o)

    zero = tf.zeros([batch, 256])
    _, _, h = v1.while_loop(lambda i, *_: i < 50, body, [0, zero, zero])
    return h


def wide(_: int) -> tuple[Any, Any, list[Any]]:
    """Wide and deep: a sparse linear part and three dense layers over embeddings."""
    shapes, depth = {"linear": [10000, 1], "table": [10000, 16]}, 176
    for number, units in enumerate((128, 64, 1)):
        shapes[f"kernel_{number}"] = [depth, units]
        depth = units
    return _with_variables("wide", shapes)


def _wide(inputs: Tensors, weights: Tensors) -> Any:
    ids, x = inputs["ids"], inputs["x"]
    layer = tf.concat([tf.reshape(tf.gather(weights["table"], ids), [-1, 160]), x], 1)
    for number in range(2):
        layer = tf.nn.relu(layer @ weights[f"kernel_{number}"])
    layer = layer @ weights["kernel_2"]
    return tf.sigmoid(layer + tf.reduce_sum(tf.gather(weights["linear"], ids), 1))


# Of the models that are called: shape and type of each input, and what is computed; `benchmarks.native` has them, too.
INPUTS: dict[str, dict[str, tuple[list[int | None], Any]]] = {
    "embedding": {"ids": ([None, 20], tf.int32)},
    "image": {"image": ([None, 224, 224, 3], tf.float32)},
    "lstm": {"x": ([None, 50, 128], tf.float32)},
    "wide": {"ids": ([None, 10], tf.int32), "x": ([None, 16], tf.float32)},
}
COMPUTE: dict[str, Callable[[Tensors, Tensors], Any]] = {
    "embedding": _embedding,
    "image": _image,
    "lstm": _lstm,
    "wide": _wide,
}


def heads(count: int) -> tuple[Any, Any, list[Any]]:
    """A trunk of a few nodes, on which so many signatures have an output each."""
    x = v1.placeholder(tf.float32, [None], name="x")
    weight, fill = _variable("weight", [1])
    y = x
    for _ in range(_PART):
        y = tf.tanh(y + weight)
    return {"x": x}, {f"head_{number}": y * float(number + 1) for number in range(count)}, [fill]


def _with_variables(name: str, shapes: dict[str, list[int]]) -> tuple[Any, Any, list[Any]]:
    inputs = {key: v1.placeholder(dtype, shape, name=key) for key, (shape, dtype) in INPUTS[name].items()}
    made = {key: _variable(key, shape) for key, shape in shapes.items()}
    weights = {key: variable for key, (variable, _) in made.items()}
    return inputs, {"y": COMPUTE[name](inputs, weights)}, [fill for _, fill in made.values()]


def nodes(count: int) -> tuple[Any, Any, list[Any]]:
    """A chain of about so many nodes."""
    x = v1.placeholder(tf.float32, [None], name="x")
    weight, fill = _variable("weight", [1])
    y = x
    for _ in range(count // 2):
        y = tf.tanh(y + weight)
    return {"x": x}, {"y": y}, [fill]


def variables(count: int) -> tuple[Any, Any, list[Any]]:
    """So many variables of one element."""
    x = v1.placeholder(tf.float32, [None], name="x")
    made = [_variable(f"v{number}", [1]) for number in range(count)]
    return {"x": x}, {"y": x * tf.add_n([variable for variable, _ in made])}, [fill for _, fill in made]


def adam(count: int) -> tuple[Any, Any, list[Any]]:
    """A chain of so many variables that Adam trains, with two slots for each, two powers and a global step."""
    x = v1.placeholder(tf.float32, [None, 4], name="x")
    made = [_variable(f"layer_{number}/kernel", [4, 4]) for number in range(count)]
    y = x
    for weight, _ in made:
        y = tf.tanh(y @ weight)
    step = v1.train.create_global_step()
    v1.train.AdamOptimizer().minimize(tf.reduce_mean(tf.square(y - 1.0)), global_step=step)
    return {"x": x}, {"y": y}, [fill for _, fill in made]


def frozen(megabytes: int) -> tuple[Any, Any, list[Any]]:
    """Layers of constants, of so many megabytes in all; saved as a GraphDef."""
    units = 1024
    x = v1.placeholder(tf.float32, [None, units], name="x")
    y = x
    for number in range(max(1, megabytes // 4)):
        values = np.random.default_rng(number).uniform(-0.05, 0.05, [units, units]).astype(np.float32)
        y = tf.tanh(y @ tf.identity(tf.constant(values, name=f"weights_{number}"), name=f"weights_{number}/read"))
    return {"x": x}, {"y": tf.identity(y, name="y")}, []


def signatures(count: int) -> tuple[Any, Any, list[Any]]:
    """A chain of nodes, of which so many signatures have a part each."""
    x = v1.placeholder(tf.float32, [None], name="x")
    weight, fill = _variable("weight", [1])
    y, outputs = x, {}
    for number in range(count):
        for _ in range(_PART):
            y = tf.tanh(y + weight)
        outputs[f"part_{number}"] = y
    return {"x": x}, outputs, [fill]


BUILDERS = {b.__name__: b for b in (embedding, image, lstm, wide, nodes, variables, adam, frozen, heads, signatures)}


def save(name: str, directory: str, size: int = 0) -> None:
    """Builds, fills and saves a model."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, outputs, fills = BUILDERS[name](size)
        if name == "frozen":
            os.makedirs(directory)
            with open(os.path.join(directory, "frozen.pb"), "wb") as file:
                file.write(graph.as_graph_def().SerializeToString())
            return
        session.run(v1.global_variables_initializer())
        session.run([fill.op for fill in fills])
        if name in ("heads", "signatures"):
            _save_signatures(session, directory, inputs, outputs)
            return
        v1.saved_model.simple_save(session, directory, inputs, outputs)


def _save_signatures(session: Any, directory: str, inputs: Tensors, outputs: Tensors) -> None:
    builder = v1.saved_model.Builder(directory)
    define = v1.saved_model.signature_def_utils.predict_signature_def
    defined = {key: define(inputs, {"y": output}) for key, output in outputs.items()}
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=defined)
    builder.save()


def save_many(name: str, directory: str, count: int) -> None:
    """Saves a model so many times, with other weights each time: no two have the same bytes."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, outputs, fills = BUILDERS[name](0)
        session.run(v1.global_variables_initializer())
        session.run([fill.op for fill in fills])
        step = v1.assign_add(v1.global_variables()[0], tf.ones_like(v1.global_variables()[0]) * 1e-3)
        for number in range(count):
            session.run(step.op)
            v1.saved_model.simple_save(session, os.path.join(directory, str(number)), inputs, outputs)


def feeds(name: str, batch: int) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a call."""
    rng = np.random.default_rng(7)
    ids = rng.integers(0, 9000, [batch, 20 if name == "embedding" else 10]).astype(np.int32)
    floats = {"image": [batch, 224, 224, 3], "lstm": [batch, 50, 128], "wide": [batch, 16]}
    if name == "embedding":
        return {"ids": ids}
    x = rng.random(floats[name]).astype(np.float32)
    return {"image": x} if name == "image" else {"x": x} if name == "lstm" else {"ids": ids, "x": x}


if __name__ == "__main__":
    make = save_many if sys.argv[1:2] == ["--many"] else save
    rest = [argument for argument in sys.argv[1:] if argument != "--many"]
    make(rest[0], rest[1], int(rest[2]) if len(rest) > 2 else 0)
