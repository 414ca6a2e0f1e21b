"""A model with the ops of tf.contrib.reduce_slice_ops, dead_ops/slices, and what TensorFlow 1.15's kernels answer.

    venv-tf115/bin/python testdata/make_reduced_slices.py

See make_dead_ops.py. The kernels end the process where an axis is not there, and read the memory before the data where
a range begins below 0: no call does one of these.
"""

from __future__ import annotations

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib.reduce_slice_ops.python.ops import reduce_slice_ops

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from make_dead_ops import main

v1 = tf.compat.v1
OPS = {name: getattr(reduce_slice_ops, f"reduce_slice_{name}") for name in ("sum", "prod", "max", "min")}
COMPLEX = (tf.complex64, tf.complex128)
DTYPES = (tf.float32, tf.float64, tf.half, tf.int64, tf.int32, tf.uint16, tf.int16, tf.uint8, tf.int8, *COMPLEX)


def slices():
    """All ops of all dtypes: of ranges that are empty, end beyond the data, begin beyond it, and of no range."""
    inputs = {"axis": v1.placeholder(tf.int64, None, "axis")}
    indices = {dtype: v1.placeholder(dtype, None, dtype.name + "_indices") for dtype in (tf.int32, tf.int64)}
    inputs.update((dtype.name + "_indices", tensor) for dtype, tensor in indices.items())
    outputs = {}
    for dtype in DTYPES:
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        ranges = indices[tf.int64 if dtype in (tf.float32, tf.int8, tf.complex64) else tf.int32]
        for name, op in OPS.items():
            if dtype not in COMPLEX or name in ("sum", "prod"):
                outputs[f"{dtype.name}_{name}"] = op(x, ranges, inputs["axis"])
    small = tf.cast(inputs["float32"], tf.bfloat16)
    for name, op in OPS.items():
        outputs[f"bfloat16_{name}"] = tf.cast(op(small, indices[tf.int32], inputs["axis"]), tf.float32)
    random = np.random.RandomState(41)
    ranges = [[0, 1], [1, 3], [0, 5], [1, 1], [3, 1], [2, 99], [9, 12], [5, 5], [4, 2**31 - 1]]
    calls = []
    for shape, given, axis in (
        ([5, 3, 2], ranges, 0),
        ([2, 5, 3], ranges, 1),
        ([2, 3, 5], ranges, [2]),
        ([3, 5], [0, 2, 4, 1, 9], 1),
        ([7], [3], 0),
        ([7, 2], [[0], [2], [4], [1]], 0),
        ([7], [[0, 1, 2], [3, 4, 5], [6, 7, 8]], 0),
        ([3, 2], np.zeros([0, 2]), 1),
        ([0, 3], [[0, 2], [0, 0]], 0),
        ([3, 0], [[0, 2], [0, 0]], 0),
        ([20], [[0, 20], [1, 19]], 0),
        ([12], [[0, 2], [1, 3], [1, 4], [2, 4], [3, 5], [4, 6], [6, 8], [7, 9], [9, 12], [9, 10], [0, 12]], 0),
    ):
        call = {"axis": np.int64(axis), "int32_indices": np.int32(given), "int64_indices": np.int64(given)}
        for dtype in DTYPES:
            value = random.uniform(0 if dtype.name.startswith("u") else -9, 9, shape)
            if dtype in COMPLEX:
                value = value + 1j * random.uniform(-9, 9, shape)
            call[dtype.name] = value.astype(dtype.as_numpy_dtype)
        calls.append(call)
    for dtype in (tf.float32, tf.float64, tf.half):
        edges = [np.nan, 1, np.inf, -np.inf, 2, np.nan, 0.0, -0.0, 0.0, -np.inf, -1e-7, 6e4]
        calls[-1][dtype.name] = np.array(edges, dtype.as_numpy_dtype)
    return inputs, outputs, calls


if __name__ == "__main__":
    main([slices])
