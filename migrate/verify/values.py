"""The value of a TensorProto, however it is written: two that hold the same tensor have the same content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from migrate.frozen import frozen
from migrate.graph.dtypes import base_name
from migrate.graph.protos import TensorProto
from migrate.verify.dtypes import numpy_dtype


@frozen
class Content:
    """What a constant holds.

    Attributes:
      dtype: TensorFlow's name of the dtype.
      shape: all sizes.
      digest: SHA-256 of its elements up to the one that all later ones repeat.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str


def content(tensor: TensorProto) -> Content:
    """The value of a TensorProto. A dtype that numpy does not have is compared as it is written."""
    name, shape = base_name(tensor.dtype), tuple(dim.size for dim in tensor.tensor_shape.dim)
    dtype = numpy_dtype(name)
    if dtype is not None and dtype.kind == "O":
        return content_of_strings(shape, tensor.string_val)
    raw = tensor.tensor_content or (None if dtype is None else _packed(tensor, dtype))
    if dtype is None or raw is None or len(raw) % dtype.itemsize:
        return Content(name, shape, hashlib.sha256(tensor.SerializeToString(deterministic=True)).hexdigest())
    return content_of(name, shape, raw)


def content_of(dtype: str, shape: tuple[int, ...], raw: bytes) -> Content:
    """The value that some bytes are, as they are in memory.

    Args:
      dtype: TensorFlow's name of a dtype that numpy has.
      shape: all sizes.
      raw: elements, the last of which stands for all that are left out.
    """
    found = numpy_dtype(dtype)
    assert found is not None, dtype
    return Content(dtype, shape, hashlib.sha256(_prefix(raw, found.itemsize)).hexdigest())


def content_of_strings(shape: tuple[int, ...], values: Iterable[bytes]) -> Content:
    """The value that some strings are; as in `content_of`, the last one stands for all that are left out."""
    return Content("string", shape, _of_strings(_without_repeats([*values])))


def _packed(tensor: TensorProto, dtype: np.dtype[np.generic]) -> bytes | None:
    """The elements of a tensor that are written one by one (tensor.proto), or None for a dtype that is not known."""
    name = base_name(tensor.dtype)
    if name in ("float16", "bfloat16"):
        return np.array(list(tensor.half_val), dtype=np.uint16).tobytes()
    if name in ("complex64", "complex128"):
        parts = tensor.scomplex_val if name == "complex64" else tensor.dcomplex_val
        return np.array(list(parts), dtype=np.float32 if name == "complex64" else np.float64).tobytes()
    fields: Mapping[str, Iterable[float]] = {
        "float32": tensor.float_val,
        "float64": tensor.double_val,
        "int64": tensor.int64_val,
        "bool": tensor.bool_val,
        "uint32": tensor.uint32_val,
        "uint64": tensor.uint64_val,
        **dict.fromkeys(("int32", "int16", "int8", "uint8", "uint16"), tensor.int_val),
    }
    if name not in fields:
        return None
    try:
        return np.array([*fields[name]], dtype=dtype).tobytes()
    except OverflowError:  # No tensor holds such a number.
        return None


def _prefix(raw: bytes, size: int) -> bytes:
    """Elements of a size without those at the end that repeat the one before."""
    elements = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    if not len(elements):
        return b""
    others = np.flatnonzero((elements != elements[-1]).any(axis=1))
    return raw[: size * (int(others[-1]) + 2 if others.size else 1)]


def _without_repeats(values: list[bytes]) -> list[bytes]:
    while len(values) > 1 and values[-1] == values[-2]:
        values.pop()
    return values


def _of_strings(values: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(len(value).to_bytes(8, "little"))
        found.update(value)
    return found.hexdigest()
