"""Models with FusedConv2DBiasActivation, dead_ops/fused_bytes and rounded_ops/fused_floats, and their answers.

    venv-tf115/bin/python testdata/make_fused_convolutions.py

See make_dead_ops.py. Of qint8 the op's own kernel of TensorFlow 1.15 answers. Of float32 it has a kernel for GPUs
alone: Conv2D, Mul, AddN, BiasAdd and Relu of TensorFlow 1.15 answer in its place.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib.fused_conv.python.ops import fused_conv2d_bias_activation_op

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from make_dead_ops import MODELS, _config, main

v1 = tf.compat.v1
fused = fused_conv2d_bias_activation_op.fused_conv2d_bias_activation
FORMS = (
    ("SAME", [1, 1, 1, 1], "Relu"),
    ("VALID", [1, 1, 1, 1], "None"),
    ("SAME", [1, 2, 3, 1], "None"),
    ("VALID", [1, 2, 1, 1], "Relu"),
)


def _numbers():
    return {
        "bias": v1.placeholder(tf.float32, [None], "bias"),
        "scale": v1.placeholder(tf.float32, [], "scale"),
        "side_scale": v1.placeholder(tf.float32, [], "side_scale"),
    }


def _side(form, shape, kernel):
    """The shape of the result."""
    padding, strides, _ = form
    rows, columns = (
        -(-(shape[axis] if padding == "SAME" else shape[axis] - kernel[axis - 1] + 1) // strides[axis])
        for axis in (1, 2)
    )
    return [shape[0], rows, columns, kernel[3]]


CALLS = (
    ([2, 5, 6, 3], [3, 2, 3, 4], 0.03, 0.0),
    ([1, 5, 6, 3], [3, 2, 3, 4], 0.0078125, 0.5),
    ([1, 4, 4, 2], [1, 1, 2, 1], 0.5, -1.5),
    ([3, 3, 3, 5], [3, 3, 5, 2], -0.011, 1.0),
    ([1, 4, 3, 1], [2, 2, 1, 3], 3.7, np.nan),
    ([0, 4, 3, 1], [2, 2, 1, 3], 1.0, 1.0),
)


def _calls(drawn):
    """What is fed; a side input whose scale is zero is empty."""
    random = np.random.RandomState(42)
    calls = []
    for shape, kernel, scale, side_scale in CALLS:
        call = {"x": drawn(random, shape), "filter": drawn(random, kernel)}
        call["bias"] = np.float32(random.uniform(-40, 40, kernel[3]).round(1))
        call.update(scale=np.float32(scale), side_scale=np.float32(side_scale))
        for number, form in enumerate(FORMS):
            side = drawn(random, _side(form, shape, kernel))
            call[f"side_{number}"] = side if side_scale else side.ravel()[:0]
        calls.append(call)
    return calls


def fused_bytes():
    """Eight bits with the channels last."""
    names = ["x", "filter", *(f"side_{number}" for number in range(len(FORMS)))]
    inputs = {name: v1.placeholder(tf.int8, None, name) for name in names}
    numbers = _numbers()
    bits = {name: tf.bitcast(tensor, tf.qint8) for name, tensor in inputs.items()}
    outputs = {}
    for number, (padding, strides, mode) in enumerate(FORMS):
        found = fused(
            bits["x"],
            bits["filter"],
            numbers["bias"],
            strides,
            padding,
            numbers["scale"],
            numbers["side_scale"],
            bits[f"side_{number}"],
            mode,
        )
        outputs[f"form_{number}"] = tf.bitcast(found, tf.int8)
    calls = _calls(lambda random, shape: random.randint(-128, 128, shape).astype(np.int8))
    calls = [call for call in calls if not np.isnan(call["side_scale"])]
    ones = dict(calls[2], x=np.int8(np.arange(32).reshape([1, 4, 4, 2])), filter=np.int8([[[[1], [2]]]]))
    ones.update(bias=np.float32([0.0]), side_scale=np.float32(0.0))  # Halves, which go to the even number.
    return {**inputs, **numbers}, outputs, [*calls, ones]


def _apart(x, weights, bias, strides, padding, scale, side_scale, side, mode, data_format="NHWC", filter_format="HWIO"):
    """What `fused` is put together from."""
    is_first = data_format == "NCHW"
    if is_first:
        x, strides = tf.transpose(x, [0, 2, 3, 1]), [strides[0], *strides[2:], strides[1]]
    if filter_format == "OIHW":
        weights = tf.transpose(weights, [2, 3, 1, 0])
    found = scale * tf.nn.conv2d(x, weights, strides, padding)
    if is_first:
        found = tf.transpose(found, [0, 3, 1, 2])
    found = tf.cond(tf.not_equal(side_scale, 0), lambda: tf.add_n([found, side_scale * side]), lambda: found)
    found = tf.nn.bias_add(found, bias, data_format)
    return tf.nn.relu(found) if mode == "Relu" else found


def _floats(convolution):
    """Single precision, the channels last and before the rows, and filters of both forms."""
    names = ["x", "filter", *(f"side_{number}" for number in range(len(FORMS)))]
    inputs = {name: v1.placeholder(tf.float32, [None] * 4, name) for name in names}
    inputs.update(_numbers())
    outputs = {}
    for number, (padding, strides, mode) in enumerate(FORMS):
        for data_format, order in (("NHWC", [0, 1, 2, 3]), ("NCHW", [0, 3, 1, 2])):
            for filter_format, turned in (("HWIO", [0, 1, 2, 3]), ("OIHW", [3, 2, 0, 1])):
                outputs[f"{data_format}_{filter_format}_{number}"] = convolution(
                    tf.transpose(inputs["x"], order),
                    tf.transpose(inputs["filter"], turned),
                    inputs["bias"],
                    [strides[place] for place in order],
                    padding,
                    inputs["scale"],
                    inputs["side_scale"],
                    tf.transpose(inputs[f"side_{number}"], order),
                    mode,
                    data_format,
                    filter_format,
                )
    calls = _calls(lambda random, shape: np.float32(random.uniform(-3, 3, shape)))
    for call in calls:
        call.update((name, value.reshape([0] * 4)) for name, value in call.items() if value.shape == (0,))
    return inputs, outputs, calls


def fused_floats():
    """Writes the model of the op, and what the other ops answer."""
    directory = MODELS.parent / "rounded_ops" / "fused_floats"
    shutil.rmtree(str(directory), ignore_errors=True)
    with tf.Graph().as_default(), v1.Session(config=_config()) as session:
        inputs, outputs, _ = _floats(fused)
        v1.saved_model.simple_save(session, str(directory), inputs, outputs)
    with tf.Graph().as_default(), v1.Session(config=_config()) as session:
        inputs, outputs, calls = _floats(_apart)
        found = {}
        for number, call in enumerate(calls):
            found.update({f"{number}/{name}": value for name, value in call.items()})
            answers = session.run(outputs, {tensor: call[name] for name, tensor in inputs.items()})
            found.update({f"{number}:{name}": value for name, value in answers.items()})
    np.savez_compressed(str(directory / "golden.npz"), **found)


if __name__ == "__main__":
    main([fused_bytes])
    fused_floats()
