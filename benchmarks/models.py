"""TF1 models to measure with, ref variables throughout: `python -m benchmarks.models NAME DIRECTORY [SIZE]`."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
_BLOCK_FLOATS = 1 << 24


def _variable(name: str, shape: list[int]) -> tuple[Any, Any]:
    """A variable and an op that fills it with seeded values, block by block."""
    variable = v1.get_variable(name, shape, tf.float32, use_resource=False, initializer=v1.zeros_initializer())
    values = tf.random.stateless_uniform(shape, [3, sum(map(ord, name))], -0.1, 0.1)
    return variable, v1.assign(variable, values)


def embedding(megabytes: int) -> tuple[Any, Any, list[Any]]:
    """An embedding of so many megabytes, in parts of 64 MB."""
    ids = v1.placeholder(tf.int32, [None, 20], name="ids")
    fills, parts = [], []
    rows = max(1, megabytes * (1 << 20) // 4 // 64)
    part_rows = min(rows, _BLOCK_FLOATS // 64)
    for number in range(-(-rows // part_rows)):
        part, fill = _variable(f"part_{number}", [part_rows, 64])
        parts.append(part)
        fills.append(fill)
    found = tf.add_n([tf.reduce_mean(tf.gather(part, tf.math.mod(ids, part_rows)), 1) for part in parts])
    return {"ids": ids}, {"y": found}, fills


def image(_: int) -> tuple[Any, Any, list[Any]]:
    """A small convolutional network on images of 224 x 224 pixels."""
    x = v1.placeholder(tf.float32, [None, 224, 224, 3], name="image")
    fills, layer, depth = [], x, 3
    for number, filters in enumerate((32, 32, 64, 64)):
        kernel, fill = _variable(f"conv_{number}", [3, 3, depth, filters])
        fills.append(fill)
        layer = tf.nn.relu(tf.nn.conv2d(layer, kernel, 2 if number % 2 else 1, "SAME"))
        depth = filters
    dense, fill = _variable("dense", [56 * 56 * 64, 10])
    return {"image": x}, {"y": tf.nn.softmax(tf.reshape(layer, [-1, 56 * 56 * 64]) @ dense)}, [*fills, fill]


def lstm(_: int) -> tuple[Any, Any, list[Any]]:
    """An LSTM of 256 units over 50 steps in a v1 while loop."""
    x = v1.placeholder(tf.float32, [None, 50, 128], name="x")
    kernel, fill = _variable("kernel", [128 + 256, 4 * 256])
    bias, more = _variable("bias", [4 * 256])
    batch = tf.shape(x)[0]
    steps = tf.TensorArray(tf.float32, 50).unstack(tf.transpose(x, [1, 0, 2]))

    def body(i: Any, c: Any, h: Any) -> Any:
        gates = tf.nn.bias_add(tf.concat([steps.read(i), h], 1) @ kernel, bias)
        a, b, f, o = tf.split(gates, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(a) * tf.tanh(b)
        return i + 1, c, tf.tanh(c) * tf.sigmoid(o)

    zero = tf.zeros([batch, 256])
    _, _, h = v1.while_loop(lambda i, *_: i < 50, body, [0, zero, zero])
    return {"x": x}, {"y": h}, [fill, more]


def wide(_: int) -> tuple[Any, Any, list[Any]]:
    """Wide and deep: a sparse linear part and three dense layers over embeddings."""
    ids = v1.placeholder(tf.int32, [None, 10], name="ids")
    x = v1.placeholder(tf.float32, [None, 16], name="x")
    linear, fill = _variable("linear", [10000, 1])
    table, more = _variable("table", [10000, 16])
    fills = [fill, more]
    layer, depth = tf.concat([tf.reshape(tf.gather(table, ids), [-1, 160]), x], 1), 176
    for number, units in enumerate((128, 64, 1)):
        kernel, fill = _variable(f"kernel_{number}", [depth, units])
        layer, depth = tf.nn.relu(layer @ kernel) if units > 1 else layer @ kernel, units
        fills.append(fill)
    return {"ids": ids, "x": x}, {"y": tf.sigmoid(layer + tf.reduce_sum(tf.gather(linear, ids), 1))}, fills


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


BUILDERS = {b.__name__: b for b in (embedding, image, lstm, wide, nodes, variables)}


def save(name: str, directory: str, size: int = 0) -> None:
    """Builds, fills and saves a model."""
    v1.disable_control_flow_v2()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, outputs, fills = BUILDERS[name](size)
        session.run(v1.global_variables_initializer())
        session.run([fill.op for fill in fills])
        v1.saved_model.simple_save(session, directory, inputs, outputs)


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
