"""Models with deprecated ops of TensorFlow 1, and what TensorFlow 1.15's kernels answer.

They are dead_ops/deprecated, dead_ops/exponentials, and dead_ops/large_exponentials.

    venv-tf115/bin/python testdata/make_deprecated_ops.py

See make_dead_ops.py. A graph of an old version may have an op that a later version took out.
"""

from __future__ import annotations

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import (
    gen_array_ops,
    gen_image_ops,
    gen_linalg_ops,
    gen_logging_ops,
    gen_math_ops,
    gen_nn_ops,
    gen_random_ops,
    gen_spectral_ops,
)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from make_dead_ops import main

v1 = tf.compat.v1


def _before(version):
    """Begins a graph of the version before one."""
    empty = v1.GraphDef()
    empty.versions.producer = version - 1
    tf.import_graph_def(empty, name="")


def contrasts():
    """AdjustContrast of each dtype, of one image and of several."""
    inputs = {name: v1.placeholder(tf.float32, [], name) for name in ("factor", "least", "most")}
    outputs, calls = {}, [{"factor": 1.5, "least": 0.0, "most": 200.0}, {"factor": -0.3, "least": -5.0, "most": 5.0}]
    calls += [{"factor": 2.0, "least": 1.0, "most": -1.0}, {"factor": 0.0, "least": -1e30, "most": np.inf}]
    random = np.random.RandomState(34)
    for dtype in (tf.uint8, tf.int8, tf.int16, tf.int32, tf.float32, tf.float64):
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        numbers = (inputs[name] for name in ("factor", "least", "most"))
        outputs[dtype.name + "_adjusted"] = gen_image_ops.adjust_contrast(x, *numbers)
        for number, shape in enumerate(([4, 5, 3], [2, 3, 3, 2], [1, 2, 2, 2, 1], [0, 4, 4, 3])):
            calls[number][dtype.name] = random.uniform(0, 120, shape).astype(dtype.as_numpy_dtype)
    for dtype in ("float32", "float64"):  # What is no finite number is in the mean of its channel, too.
        calls[1][dtype][0, 0, 0, 0] = np.nan
        calls[2][dtype][0, 0, 0, 0] = np.inf
        calls[2][dtype][0, 1, 0, 0] = -np.inf
    return (
        inputs,
        outputs,
        [{name: np.asarray(v, inputs[name].dtype.as_numpy_dtype) for name, v in c.items()} for c in calls],
    )


def sounds():
    """AudioSummary of sounds with channels and without."""
    inputs = {"tag": v1.placeholder(tf.string, [], "tag"), "sound": v1.placeholder(tf.float32, None, "sound")}
    outputs = {
        "some": gen_logging_ops.audio_summary(*inputs.values(), sample_rate=44100.0, max_outputs=2),
        "first": gen_logging_ops.audio_summary(*inputs.values(), sample_rate=8000.5, max_outputs=1),
    }
    random = np.random.RandomState(35)
    calls = []
    for shape in ([3, 20, 2], [1, 7], [0, 3, 1]):
        calls.append({"tag": np.array(b"heard", object), "sound": np.float32(random.uniform(-1.2, 1.2, shape))})
    return inputs, outputs, calls


def poissons():
    """RandomPoisson of each dtype; its seeds decide what it draws. Of an infinite rate and of NaN it never ends."""
    inputs, outputs, calls = {}, {}, [{}, {}, {}]
    for dtype in (tf.half, tf.float32, tf.float64):
        rate = inputs[dtype.name] = v1.placeholder(dtype, [None], dtype.name)
        shape = tf.constant([3], tf.int32 if dtype == tf.half else tf.int64)
        outputs[dtype.name + "_drawn"] = gen_random_ops.random_poisson(shape, rate, seed=7, seed2=11)
        calls[0][dtype.name] = np.array([0.0, 0.5, 4.0, 30.0], dtype.as_numpy_dtype)
        calls[1][dtype.name] = np.zeros([0], dtype.as_numpy_dtype)
        calls[2][dtype.name] = np.array([-np.inf, -1.0, -0.0, 9.5], dtype.as_numpy_dtype)
    return inputs, outputs, calls


def quantized():
    """QuantizeAndDequantize with a range and without, of numbers with a sign and without."""
    inputs, outputs, calls = {}, {}, [{}, {}, {}, {}]
    random = np.random.RandomState(36)
    for dtype in (tf.float32, tf.float64):
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        for bits, signed, given in ((8, True, False), (4, False, False), (5, True, True), (8, False, True)):
            name = f"{dtype.name}_{bits}_{signed}_{given}"
            ends = {"input_min": -1.5 if signed else 0.0, "input_max": 2.25} if given else {}
            outputs[name] = gen_array_ops.quantize_and_dequantize(
                x, signed_input=signed, num_bits=bits, range_given=given, **ends
            )
        edges = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.25, 127.5, 128.0]
        values = random.uniform(-3, 3, [4, 5]), edges, [[0.0, 1e-3]], [np.inf, -np.inf, 1.0, -0.0]
        for number, value in enumerate(values):
            calls[number][dtype.name] = np.array(value, dtype.as_numpy_dtype)
    return inputs, outputs, calls


def convolutions():
    """Conv3DBackpropInput and Conv3DBackpropFilter of both paddings."""
    shapes = {"x": [None, None, None, None, 2], "filter": [2, 3, 1, 2, 3], "back": [None, None, None, None, 3]}
    inputs = {name: v1.placeholder(tf.float32, shape, name) for name, shape in shapes.items()}
    outputs = {}
    for padding in ("SAME", "VALID"):
        given = {"strides": [1, 1, 1, 1, 1], "padding": padding}
        back = inputs["back"] if padding == "SAME" else inputs["back"][:, :-1, :-2]
        taken = inputs["x"], inputs["filter"], back
        outputs[padding + "_x"] = gen_nn_ops.conv3d_backprop_input(*taken, **given)
        outputs[padding + "_filter"] = gen_nn_ops.conv3d_backprop_filter(*taken, **given)
    random = np.random.RandomState(37)
    calls = []
    for batch in (1, 2, 1):
        values = {"x": [batch, 4, 5, 3, 2], "filter": [2, 3, 1, 2, 3], "back": [batch, 4, 5, 3, 3]}
        calls.append({name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in values.items()})
    calls[2]["back"][0, 1, 1, 1] = [np.nan, np.inf, -np.inf]
    return inputs, outputs, calls


def eigen():
    """SelfAdjointEig of one matrix, BatchSelfAdjointEig of many."""
    inputs, outputs, calls = {}, {}, [{}, {}, {}]
    random = np.random.RandomState(38)
    for dtype in (tf.float32, tf.float64):
        one = inputs[dtype.name] = v1.placeholder(dtype, [None, None], dtype.name)
        many = inputs[dtype.name + "_batch"] = v1.placeholder(dtype, [None, None, None], dtype.name + "_batch")
        outputs[dtype.name + "_one"] = gen_linalg_ops.self_adjoint_eig(one)
        outputs[dtype.name + "_many"] = gen_linalg_ops.batch_self_adjoint_eig(many)
        for number, (count, size) in enumerate(((3, 4), (1, 1), (0, 2))):
            value = random.uniform(-1, 1, [count, size, size])
            value = (value + np.swapaxes(value, 1, 2)).astype(dtype.as_numpy_dtype)
            calls[number][dtype.name + "_batch"] = value
            calls[number][dtype.name] = value[0] if count else np.eye(2, dtype=dtype.as_numpy_dtype)
    return inputs, outputs, calls


def packed():
    """CompareAndBitpack of each dtype."""
    inputs, outputs, calls = {}, {}, [{}, {}, {}]
    random = np.random.RandomState(39)
    for dtype in (tf.bool, tf.half, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64):
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        least = inputs[dtype.name + "_least"] = v1.placeholder(dtype, None, dtype.name + "_least")
        outputs[dtype.name + "_packed"] = gen_math_ops.compare_and_bitpack(x, least)
        for number, shape in enumerate(([3, 2, 16], [8], [0, 8])):
            calls[number][dtype.name] = random.randint(-2, 3, shape).astype(dtype.as_numpy_dtype)
            calls[number][dtype.name + "_least"] = np.array(1, dtype.as_numpy_dtype)
    calls[1]["float32"] = np.float32([np.nan, np.inf, -np.inf, 1.0, 1.0000001, 0.0, 3e38, -1.0])
    return inputs, outputs, calls


def spectra():
    """The transforms of Fourier under their old names, which only a GPU had."""
    inputs, outputs, calls = {}, {}, [{}, {}]
    random = np.random.RandomState(40)
    for rank, suffix in ((1, ""), (2, "2D"), (3, "3D")):
        x = inputs["x" + suffix] = v1.placeholder(tf.complex64, [None] * (rank + 1), "x" + suffix)
        outputs["fft" + suffix] = getattr(gen_spectral_ops, "batch_fft" + suffix.lower())(x)
        outputs["ifft" + suffix] = getattr(gen_spectral_ops, "batch_ifft" + suffix.lower())(x)
        for number, sizes in enumerate(([2, 8, 4, 2], [1, 3, 5, 6])):
            shape = sizes[: rank + 1]
            value = random.uniform(-1, 1, shape) + 1j * random.uniform(-1, 1, shape)
            calls[number]["x" + suffix] = value.astype(np.complex64)
    return inputs, outputs, calls


PARTS = (contrasts, sounds, poissons, quantized, convolutions, eigen, packed, spectra)


def deprecated():
    """All of them; what is no number of whole bytes, and what is no sound, is an error."""
    _before(2)
    inputs, outputs, calls = {}, {}, [{} for _ in range(4)]
    for part in PARTS:
        with tf.name_scope(part.__name__):
            given, found, wanted = part()
        inputs.update({f"{part.__name__}_{name}": tensor for name, tensor in given.items()})
        outputs.update({f"{part.__name__}_{name}": tensor for name, tensor in found.items()})
        for number, call in enumerate(calls):
            values = wanted[number if number < len(wanted) else 0]
            call.update({f"{part.__name__}_{name}": value for name, value in values.items()})
    wrong = {"packed_float32": np.zeros([3, 4], np.float32), "sounds_sound": np.zeros([4], np.float32)}
    return inputs, outputs, calls + [dict(calls[0], **{name: value}) for name, value in wrong.items()]


_NUMBERS = (tf.float32, tf.float64, tf.complex64, tf.complex128)


def _exponentials(calls):
    """MatrixExponential of each dtype, of which a call has values or else a matrix of one element."""
    _before(27)
    inputs = {dtype.name: v1.placeholder(dtype, None, dtype.name) for dtype in _NUMBERS}
    outputs = {"exponential_" + name: gen_linalg_ops.matrix_exponential(x) for name, x in inputs.items()}
    one = np.array([[0.5]])
    calls = [
        {dtype.name: call.get(dtype.name, one).astype(dtype.as_numpy_dtype) for dtype in _NUMBERS} for call in calls
    ]
    return inputs, outputs, calls


def _random(random, shape, norm, names=("float32", "float64", "complex64", "complex128")):
    """Matrices whose largest sum of a column is at most a norm, about half of it for numbers without a part."""
    values = random.uniform(-1, 1, shape) * norm / shape[-1]
    imaginary = random.uniform(-1, 1, shape) * norm / shape[-1]
    return {name: values + 1j * imaginary if name.startswith("complex") else values for name in names}


def exponentials():
    """MatrixExponential of each dtype and of norms between all limits; what is not square is an error.

    The larger the norm, the more often a matrix is squared, and what was rounded with it.
    """
    random = np.random.RandomState(43)
    sizes = [1e-4, 5e-3, 0.02, 0.05, 0.15, 0.3, 0.45, 0.7, 1.0, 1.5, 3.0, 6.0, 13.0]
    values = [
        random.uniform(-1, 1, [13, 4, 4]) * np.array(sizes)[:, None, None],
        [[0.0, 1e3], [0.0, 0.0]],
        np.zeros([2, 0, 0]),
        np.zeros([0, 4, 4]),
        [[[np.nan, 0], [0, 1]], [[0, np.inf], [0, 0]], [[-20.0, 0.0], [0.0, 1.0]], [[0.0, -np.inf], [1.0, 0.0]]],
        [[3.0]],
        [[-0.0, 0.0], [0.0, -0.0]],
        np.triu(np.full([4, 4], 5.0), 1),  # nilpotent
        np.diag([100.0, -100.0]),
        np.full([2, 2], 1e-40),
        [[4.258730016922831e-001, 0.0], [0.0, 0.0]],
        [[3.925724783138660, 0.0], [0.0, 1.0]],
        [[5.371920351148152, 0.0], [0.0, 1.0]],
    ]
    calls = [{dtype.name: np.asarray(value) for dtype in _NUMBERS} for value in values]
    calls += [_random(random, [3, 2, 3, 3], 6.0), _random(random, [4, 4], 8.0), _random(random, [2, 1, 2, 2], 40.0)]
    exact = ("float32", "float64")
    calls.append(dict.fromkeys(exact, np.full([2, 2], 1e30)))
    calls += [_random(random, [5, 7, 7], 50.0, (*exact, "complex128")), _random(random, [1, 9, 9], 20.0, exact)]
    calls += [_random(random, [25, 25], 30.0, exact[:1]), _random(random, [33, 33], 30.0, exact[1:])]
    return _exponentials([*calls, dict(calls[0], float32=np.zeros([2, 3]))])


def large_exponentials():
    """MatrixExponential of such matrices that a later TensorFlow rounds their products in another way, or overflow."""
    random = np.random.RandomState(44)
    calls = [_random(random, [5, 7, 7], 50.0, ("complex64",)), _random(random, [26, 26], 50.0, ("float32",))]
    calls += [
        _random(random, [2, 8, 8], 50.0, ("complex128", "complex64")),
        _random(random, [30, 30], 2.0, ("float32",)),
    ]
    calls.append(dict.fromkeys(("complex64", "complex128"), np.full([2, 2], 1e30)))
    inputs, outputs, calls = _exponentials(calls)
    return inputs, {"large_" + name: output for name, output in outputs.items()}, calls


if __name__ == "__main__":
    main([deprecated, exponentials, large_exponentials])
