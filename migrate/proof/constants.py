"""Constants as values that can be compared, and the few things that are computed from them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable

from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.protos import TensorProto

_MOST_ELEMENTS = 1 << 28
_FIELDS = {
    "float32": ("float_val", "<f4"),
    "float64": ("double_val", "<f8"),
    "int32": ("int_val", "<i4"),
    "int16": ("int_val", "<i2"),
    "int8": ("int_val", "<i1"),
    "uint8": ("int_val", "<u1"),
    "uint16": ("int_val", "<u2"),
    "uint32": ("uint32_val", "<u4"),
    "uint64": ("uint64_val", "<u8"),
    "int64": ("int64_val", "<i8"),
    "bool": ("bool_val", "<u1"),
    "qint8": ("int_val", "<i1"),
    "quint8": ("int_val", "<u1"),
    "qint32": ("int_val", "<i4"),
    "float16": ("half_val", "<u2"),
    "bfloat16": ("half_val", "<u2"),
    "complex64": ("scomplex_val", "<f4"),
    "complex128": ("dcomplex_val", "<f8"),
}
"""Where a TensorProto has its values (tensor.proto), and how they are in memory."""


def content(proto: TensorProto) -> Hashable | None:
    """Dtype, shape and a digest of the bytes of a constant; None for one that nobody can read.

    A TensorProto has many forms for one value (tensor.cc, FromProto): its bytes, a list, a list whose last value
    repeats.
    """
    shape = shape_of(proto)
    if shape is None:
        return None
    count = math.prod(shape)
    if not 0 <= count <= _MOST_ELEMENTS:
        return None
    dtype = base_name(proto.dtype)
    if dtype == "string":
        values = strings(proto, count)
        if values is None:
            return None
        digest = hashlib.sha256()
        for value in values:
            digest.update(len(value).to_bytes(8, "little") + value)
        return (dtype, shape, digest.digest())
    data = numbers(proto, dtype, count)
    return None if data is None else (dtype, shape, hashlib.sha256(data).digest())


def shape_of(proto: TensorProto) -> tuple[int, ...] | None:
    """A constant's shape; None where it is none."""
    if proto.tensor_shape.unknown_rank:
        return None
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    return None if any(size < 0 for size in shape) else shape


def elements(proto: TensorProto) -> int:
    """How many elements a constant says that it has; 1 where it says no size."""
    return math.prod(shape_of(proto) or ())


def strings(proto: TensorProto, count: int) -> list[bytes] | None:
    """The elements of a string constant."""
    values = list(proto.string_val)
    if proto.tensor_content or len(values) > count or (count > 1 << 24 and len(values) < count):
        return None
    return values + [values[-1] if values else b""] * (count - len(values))


def numbers(proto: TensorProto, dtype: str, count: int) -> bytes | None:
    """The bytes of a constant of numbers, as memory has them."""
    import numpy as np  # Slow to import, and few models come here without it.

    if dtype not in _FIELDS:
        return None
    field, code = _FIELDS[dtype]
    kind = np.dtype(code)
    parts = 2 if dtype.startswith("complex") else 1
    size = count * parts * kind.itemsize
    if proto.tensor_content:
        return proto.tensor_content if len(proto.tensor_content) == size else None
    values = getattr(proto, field)
    if len(values) > count * parts or len(values) % parts:
        return None
    try:
        given = np.array(values, dtype=kind if kind.kind == "f" else object).astype(kind)
    except (OverflowError, ValueError, TypeError):
        return None
    if len(given) < count * parts:
        last = given[-parts:] if len(given) else np.zeros(parts, kind)
        given = np.concatenate([given, np.tile(last, count - len(given) // parts)])
    return given.tobytes()


def scalar(proto: TensorProto) -> bool | int | float | bytes | None:
    """The value of a scalar constant of a dtype from which predicates are computed; else None."""
    import struct

    if proto.tensor_shape.dim or proto.tensor_shape.unknown_rank:
        return None
    dtype = base_name(proto.dtype)
    if dtype == "string":
        values = strings(proto, 1)
        return None if values is None else values[0]
    code = {"bool": "?", "int32": "i", "int64": "q", "float32": "f", "float64": "d"}.get(dtype)
    data = numbers(proto, dtype, 1) if code else None
    if data is None or code is None:
        return None
    (value,) = struct.unpack(f"<{code}", data)
    found: bool | int | float = value
    return found


def made(dtype: str, value: int | float | bytes) -> TensorProto:
    """A constant without dimensions: a string, or a number of a dtype of `_FIELDS` that stores it as it is."""
    proto = TensorProto(dtype=dtype_value(dtype))
    proto.tensor_shape.SetInParent()
    getattr(proto, "string_val" if dtype == "string" else _FIELDS[dtype][0]).append(value)
    return proto


def int32(value: int) -> TensorProto:
    """A scalar of dtype int32."""
    return made("int32", value)


def int64s(*values: int) -> TensorProto:
    """A vector of dtype int64."""
    proto = TensorProto(dtype=9, int64_val=values)
    proto.tensor_shape.dim.add(size=len(values))
    return proto


def int32s(*values: int) -> TensorProto:
    """A vector of dtype int32."""
    proto = TensorProto(dtype=3)
    proto.tensor_shape.dim.add(size=len(values))
    proto.int_val.extend(values)
    return proto
