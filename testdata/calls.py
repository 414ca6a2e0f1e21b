"""Calls to make of each model, in order, in one session a model: NumPy alone, no TensorFlow.

`CALLS[model]` is a tuple of `(tags, signature, inputs)`. A SparseTensor's value is a triple: indices, values,
dense shape.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

SERVE = ("serve",)


def _field(number, payload):
    """One length-delimited field of a protocol buffer, for payloads below 128 bytes."""
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def example(**features):
    """A serialized tf.Example of lists of floats and lists of bytes."""
    entries = b""
    for name, values in features.items():
        if isinstance(values[0], bytes):
            feature = _field(1, b"".join(_field(1, value) for value in values))
        else:
            feature = _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def png(height, width, seed):
    """A PNG of random 8-bit RGB pixels."""
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width * 3), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _floats(*shape):
    return np.random.RandomState(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def _strings(*values):
    return np.array(values, dtype=object)


_X2 = {"x": _floats(3, 2)}
_X1 = {"x": _floats(2)}
_X3 = {"x": _floats(2, 3)}
_XY = {"x": _floats(4, 2), "y": _floats(4, 1)}
_LABELLED = {"size": _floats(3, 2), "label": np.array([[0], [1], [2]])}
_NUMBERS = _strings(example(age=[33.0], size=[0.5, 0.25]), example(age=[60.0], size=[0.1, 0.9]))
_COLORS = _strings(example(age=[33.0], color=[b"red"]), example(age=[60.0], color=[b"mauve"]))
_SIZES = _strings(example(size=[0.5, 0.25]), example(size=[-1.0, 2.0]))
_SPARSE = {"features": (np.array([[0, 1], [1, 0], [1, 3]]), np.array([1.0, 2.0, 3.0], np.float32), np.array([2, 4]))}
_PLAIN = ((SERVE, "serving_default", _X2),)
_PLAIN3 = ((SERVE, "serving_default", _X3),)
_ODD_KEYS = ("image/encoded", "class", "1st", "with space", "out:0", "self", "Upper-Case.dot", "naïve")


def _int64(value):
    return np.array(value, np.int64)


CALLS = {
    "alias": (
        (SERVE, "serving_default", {"x": np.array([1.0, 2.0], np.float32)}),
        (SERVE, "y_only", {"x": np.array([10.0, -2.0], np.float32)}),
    ),
    "base64_csv": (
        (
            SERVE,
            "base64",
            {"encoded": _strings(*(base64.urlsafe_b64encode(s) for s in (b"abc", b"\xff\xfe\0!?")))},
        ),
        (SERVE, "csv", {"lines": _strings(b"3.5,1.25,Ann", b",,")}),
    ),
    "constant_weights": (
        (SERVE, "serving_default", {"image": _floats(2, 6, 6, 3), "ids": np.array([[0, 4], [2, 2]])}),
        (SERVE, "loop", {"features": _floats(2, 4)}),
    ),
    "cond": tuple((SERVE, "serving_default", {"first": np.array(first)}) for first in (True, False)),
    "cond_counter": (
        (SERVE, "maybe_incr", {"really": np.array(True)}),
        (SERVE, "maybe_incr", {"really": np.array(False)}),
        (SERVE, "get", {}),
    ),
    "counter": (
        (SERVE, "get", {}),
        (SERVE, "incr", {}),
        (SERVE, "incr_by", {"by": _int64(10)}),
        (SERVE, "get", {}),
        (SERVE, "reset", {}),
        (SERVE, "incr", {}),
    ),
    "estimator_all_modes": (
        (("train",), "train", _LABELLED),
        (("train",), "train", _LABELLED),
        (("eval",), "eval", _LABELLED),
        (SERVE, "serving_default", {"inputs": _SIZES}),
    ),
    "estimator_custom": (
        (SERVE, "serving_default", {"inputs": _SIZES}),
        (SERVE, "value", {"inputs": _SIZES}),
        (SERVE, "all", {"examples": _SIZES}),
    ),
    "estimator_dnn_classifier": (
        (SERVE, "serving_default", {"inputs": _NUMBERS}),
        (SERVE, "predict", {"examples": _NUMBERS}),
    ),
    "estimator_linear_regressor": (
        (SERVE, "serving_default", {"inputs": _NUMBERS}),
        (SERVE, "predict", {"examples": _NUMBERS}),
    ),
    "estimator_vocabulary_column": (
        (SERVE, "serving_default", {"inputs": _COLORS}),
        (SERVE, "regression", {"inputs": _COLORS}),
        (SERVE, "predict", {"examples": _COLORS}),
    ),
    "folded_conds": (
        (SERVE, "serving_default", _X3),
        (SERVE, "either", {**_X3, "is_training": np.array(True)}),
        (SERVE, "either", {**_X3, "is_training": np.array(False)}),
        (SERVE, "serving_default", _X3),
    ),
    "hub_module": (
        ((), "default", {"default": _floats(5, 3)}),
        ((), "features", _X3),
        ((), "norm", {"other": _floats(2, 4)}),
    ),
    "image_decode": (
        (SERVE, "serving_default", {"image": np.array(png(5, 7, 0), dtype=object)}),
        (SERVE, "batch", {"images": _strings(png(5, 7, 1), png(8, 3, 2))}),
    ),
    "keras_v1": ((SERVE, "serving_default", {"features": _floats(3, 4)}),),
    "loop_counter": ((SERVE, "loop", {"steps": _int64(4)}), (SERVE, "get", {})),
    "mixed_variables": _PLAIN3,
    "moving_average": _PLAIN3,
    "multi_tags": (
        (SERVE, "serving_default", _X3),
        (("serve", "gpu"), "serving_default", _X3),
        (("train",), "train", {**_X3, "label": _floats(2, 2)}),
    ),
    "odd_names": (
        *((SERVE, name, _X2) for name in ("serving_default", "default_input_alternative:None", "input_is_output")),
        *((SERVE, name, _X2) for name in ("two_names_out", "ref_output", "custom_method", "empty_method", "no_method")),
        (SERVE, "odd_inputs", {key: _floats(2) + n for n, key in enumerate(_ODD_KEYS)}),
        (SERVE, "odd_outputs", {"value": _floats(2)}),
        (SERVE, "two_names", {"x": _floats(3, 2), "same_x": _floats(3, 2), "other": _floats(3, 2)}),
        (SERVE, "default_value", {**_X2, "optional": np.array(2.0, np.float32)}),
        (SERVE, "default_value", _X2),
        (SERVE, "fed_intermediate", {"hidden": _floats(3, 2)}),
        (SERVE, "no_inputs", {}),
    ),
    "odd_version": _PLAIN,
    "partitioned": ((SERVE, "serving_default", {"ids": np.array([0, 3, 4, 9])}), (SERVE, "whole", {})),
    "pbtxt": _PLAIN3,
    "pinned": _PLAIN3,
    "refused_pyfunc": ((SERVE, "serving_default", {"x": _floats(2)}),),
    "renaming_saver": _PLAIN3,
    "sharded": _PLAIN3,
    "simple_save": _PLAIN3,
    "sparse_signature": ((SERVE, "serving_default", _SPARSE), (SERVE, "sparse_output", _SPARSE)),
    "stale_output_shapes": _PLAIN,
    "subset_saver": (
        (SERVE, "serving_default", _X3),
        (SERVE, "rescale", {"factor": np.array(2.0, np.float32)}),
        (SERVE, "serving_default", _X3),
    ),
    "tf2": _PLAIN3,
    "tensor_names": (
        *((SERVE, name, {"x": _floats(3, 4)}) for name in ("serving_default", "low", "scores", "count")),
        (SERVE, "columns", {"second": _floats(5), "fourth": _floats(5) + 1}),
        (SERVE, "weights", {}),
    ),
    "training": (
        (SERVE, "predict", _X2),
        (SERVE, "train", _XY),
        (SERVE, "train", _XY),
        (SERVE, "predict", _X2),
    ),
    "uninitialized": (
        (SERVE, "serving_default", _X1),
        (SERVE, "remember", _X1),
        (SERVE, "recall", _X1),
    ),
    "training_adam": (
        (SERVE, "predict", _X2),
        (SERVE, "train", _XY),
        (SERVE, "train", _XY),
        (SERVE, "predict", _X2),
    ),
    "two_init_ops": ((SERVE, "serving_default", {"x": _floats(2)}),),
    "unfed_placeholder": ((SERVE, "good", {"x": _floats(3)}), (SERVE, "bad", {"x": _floats(3)})),
    "unfed_training": _PLAIN3,
    "unknown_op": _PLAIN,
    "vocabulary": (
        (SERVE, "serving_default", {"tokens": _strings("cat", "dog", "naïve".encode())}),
        (SERVE, "labels", {"ids": np.array([2, 0, 7])}),
    ),
    "vocabulary_v1_ops": (
        (SERVE, "serving_default", {"tokens": _strings("cat", "dog", "naïve".encode())}),
        (SERVE, "size", {}),
    ),
    "warmup": _PLAIN3,
    "while_loop": ((SERVE, "serving_default", {**_X2, "steps": np.array(5, np.int32)}),),
    "wrong_tensor_info": _PLAIN,
}

EXPECTED_FAILURES = {
    # model: (the signature that fails, or None where the model does not load; words of TensorFlow's message)
    "odd_version": (None, "0.12.head"),
    "refused_pyfunc": ("serving_default", "pyfunc"),
    "stale_output_shapes": (None, "_output_shapes"),
    "two_init_ops": (None, "init op"),
    "unfed_placeholder": ("bad", "You must feed a value"),
    "unfed_training": ("serving_default", "You must feed a value"),
    "unknown_op": (None, "MyCustomOp"),
}
"""What a v1 Session of TF 2.15.1 and 2.21.0 does not do with these models as they lie on disk."""

REPAIRABLE = ("odd_version", "stale_output_shapes", "two_init_ops")
"""Of those, the ones that answer their calls once a copy is rid of what TensorFlow's loader refuses."""

UNORDERED = {"estimator_all_modes": ("metrics/accuracy/value",)}
"""Outputs that have no defined value: a read and a write of one call without an order. Both were seen."""
