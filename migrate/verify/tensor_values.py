"""The value of a TensorProto as an array, without TensorFlow's runtime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.graph.dtypes import base_name
from migrate.graph.protos import TensorProto
from migrate.verify import dtypes
from migrate.verify.calls import Array

MOST_BYTES = 256 << 20
"""What a tensor may take; one value stands for any number of equal ones, so a short message may be a large tensor."""

_MOST_DIMENSIONS = 32  # numpy's limit before version 2.
_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "uint64": "uint64_val",
    "uint32": "uint32_val",
    "bool": "bool_val",
    "string": "string_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8", "qint8", "quint8", "qint16", "quint16"), "int_val"),
    **dict.fromkeys(("qint32", "int4", "uint4"), "int_val"),
}
"""Where a TensorProto has values that are not in `tensor_content` (tensor.proto); half_val has bits."""


def array_of(where: str, serialized: bytes) -> Array:
    """The array that a serialized TensorProto describes.

    Args:
      where: which one it is, for messages.
      serialized: the message.

    Raises:
      InputError: it is no such message, contradicts itself, or is too large.
    """
    try:
        proto = TensorProto.FromString(serialized)
    except DecodeError:
        raise InputError(f"{where}: no TensorProto, or damaged") from None
    name = base_name(proto.dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape) or len(shape) > _MOST_DIMENSIONS:
        raise InputError(f"{where}: its shape is not that of a tensor")
    dtype = dtypes.numpy_dtype(name) if name in _FIELDS or proto.tensor_content else None
    if dtype is None:
        raise InputError(f"{where}: a value of dtype {name} is not read")
    count = math.prod(shape)
    if count * dtype.itemsize > MOST_BYTES:
        raise InputError(f"{where}: {count:,} values of {name}, where {MOST_BYTES >> 20} MB are the most that is read")
    if proto.tensor_content:
        if dtype.kind == "O" or len(proto.tensor_content) != count * dtype.itemsize:
            raise InputError(f"{where}: its {len(proto.tensor_content):,} bytes are not {count:,} values of {name}")
        content: Array = np.frombuffer(proto.tensor_content, dtype).reshape(shape)
        return content
    # As TensorFlow reads it (Tensor::FromProto): what is too much is left out, the last value stands for the rest.
    given = _values(proto, name, dtype)[:count]
    if not len(given):
        given = np.zeros(1, dtype) if dtype.kind != "O" else _objects([b""])
    flat = np.empty(count, dtype)
    flat[: len(given)] = given[:count]
    flat[len(given) :] = given[-1]
    return flat.reshape(shape)


def _values(proto: TensorProto, name: str, dtype: np.dtype[Any]) -> Array:
    """The values that are given one by one."""
    values = getattr(proto, _FIELDS[name])
    if dtype.kind == "O":
        return _objects(list(values))
    if name in ("float16", "bfloat16"):
        return np.array(values, np.uint32).astype(np.uint16).view(dtype)
    if dtype.kind == "c":
        pairs = np.array(values, np.float64)
        return (pairs[0::2][: len(pairs) // 2] + 1j * pairs[1::2]).astype(dtype)
    return np.array(values, np.int64 if _FIELDS[name] == "int_val" else None).astype(dtype)


def _objects(values: list[bytes]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
