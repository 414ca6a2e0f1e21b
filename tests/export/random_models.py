"""Random TF1 SavedModels with variables and signatures: names that collide or need another spelling, all dtypes.

TensorFlow starts here.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import tensorflow as tf

from tests.control_flow import control_flow

v1 = tf.compat.v1

_NUMBERS = (tf.float32, tf.int64)
DTYPES = (
    *(tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.complex64, tf.complex128, tf.bool, tf.string),
    *(tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64),
)
VARIABLES = (
    *("a", "A", "a/b", "b.c", "read", "Read", "Const", "saver_filename", "NoOp", "StatefulPartitionedCall", "w-1"),
    *("x_1", "x", "X", "layer_1/kernel", "layer/kernel_1", "a_1", "a_1_1", "MergeV2Checkpoints", "SaveV2", "1st"),
    *("num_shards", "27", "ShardedFilename/shard", "inputs", "serving_default_x", "argument_0", "Identity", ".x"),
    *("scope/Identity", "AssignVariableOp", "file_prefix", "unknown"),
)
SIGNATURES = (
    *("serving_default", "predict", "a", "b key", "train/x", "é", "1", "_x", "inputs", "X", "x", "read"),
    *("saver_filename", "default", "__x"),
)
TENSORS = (
    *("x", "X", "inputs", "image/encoded", "1st", "a", "é", "b c", "argument_0", "result", "_p", "class", "Read"),
    *("out:0", "self", "input_2", "input_10", "training", "kwargs", "27"),
)


def make_model(seed: int, path: str) -> None:
    """Writes a model.

    Args:
      seed: which one.
      path: directory that is not there yet.
    """
    rng = random.Random(seed)
    # TF2's would make functions, under names that this process knows when the model is imported.
    with control_flow(), tf.Graph().as_default(), v1.Session() as session:
        variables = list(_variables(rng))
        signatures = {key: _signature(rng, variables) for key in rng.sample(SIGNATURES, rng.choice([1, 1, 2, 3, 6]))}
        session.run(v1.global_variables_initializer())
        kept = [variable for variable in variables if rng.random() > 0.1] or variables[:1]
        builder = v1.saved_model.Builder(path)
        saver = v1.train.Saver(kept) if kept else None
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, saver=saver)
        builder.save()


def _variables(rng: random.Random) -> Any:
    taken: set[str] = set()
    for name in rng.sample(VARIABLES, rng.choice([0, 1, 2, 3, 5, 14])):
        if any(name == other or name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in taken):
            continue
        taken.add(name)
        dtype = rng.choice(DTYPES if rng.random() < 0.5 else DTYPES[:2])
        is_resource, is_trainable = rng.random() < 0.5, rng.random() < 0.6
        shape = rng.choice([[], [3], [2, 3], [0]])
        value = tf.constant(_value(dtype, shape), dtype)
        is_known = rng.random() > 0.15
        if not is_known:
            value = v1.placeholder_with_default(value, [None] * len(shape) if rng.random() < 0.5 else None)
        yield v1.Variable(
            value, is_trainable, name=name, dtype=dtype, use_resource=is_resource, validate_shape=is_known
        )


def _value(dtype: tf.DType, shape: list[int]) -> np.ndarray:
    count = int(np.prod(shape))
    if dtype == tf.string:
        return np.array([f"value {n}" for n in range(count)], object).reshape(shape)
    return (np.arange(count) % 7).reshape(shape).astype(dtype.as_numpy_dtype)


def _signature(rng: random.Random, variables: list[Any]) -> Any:
    inputs = {name: _input(rng) for name in rng.sample(TENSORS, rng.choice([0, 1, 1, 2, 3, 12]))}
    found = [tensor for given in inputs.values() for tensor in _of_input(rng, given)]
    found += [tensor for variable in variables if rng.random() < 0.6 for tensor in _of_variable(rng, variable)]
    found = found or [tf.constant(3.0)]
    outputs = {name: rng.choice(found) for name in rng.sample(TENSORS, rng.choice([1, 1, 2, 3, 11]))}
    method = rng.choice(["method", "tensorflow/serving/predict", "tensorflow/serving/classify"])
    infos = ({name: v1.saved_model.build_tensor_info(t) for name, t in both.items()} for both in (inputs, outputs))
    return v1.saved_model.build_signature_def(*infos, method)


def _input(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.15:
        return v1.sparse_placeholder(tf.float32, [None, 3] if rng.random() < 0.5 else None)
    if kind < 0.25:
        return v1.placeholder_with_default(tf.constant(1.0), [])
    shape = rng.choice([None, [], [None], [None, 3], [2, 3]])
    return v1.placeholder(rng.choice([*_NUMBERS, tf.string, tf.bool]), shape, rng.choice([None, "x", "in/put"]))


def _of_input(rng: random.Random, given: Any) -> Any:
    if isinstance(given, tf.SparseTensor):
        yield given if rng.random() < 0.3 else tf.SparseTensor(given.indices, given.values * 2, given.dense_shape)
        return
    if rng.random() < 0.4:
        yield given
    if given.dtype in _NUMBERS:
        yield given + tf.constant(1, given.dtype)
    if given.dtype == tf.float32 and rng.random() < 0.3:
        yield tf.cond(tf.reduce_sum(given) > 0, lambda: given * 2, lambda: given)


def _of_variable(rng: random.Random, variable: Any) -> Any:
    yield variable.read_value() if rng.random() < 0.5 else tf.identity(variable)
    dtype = variable.dtype.base_dtype
    if dtype in _NUMBERS and variable.shape.is_fully_defined() and rng.random() < 0.4:
        change = variable.assign_add if rng.random() < 0.7 else variable.assign
        yield tf.convert_to_tensor(change(tf.ones(variable.shape, dtype)))
