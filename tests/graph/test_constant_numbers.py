"""Numbers in constants, stored one by one or as bytes."""

from __future__ import annotations

import math
import struct

import pytest

from migrate.graph.constant_numbers import numbers
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import TensorProto

_FIELDS = {"float32": "float_val", "float64": "double_val", "int32": "int_val", "int64": "int64_val"}
_CODES = {"float16": "e", "float32": "f", "float64": "d", "int32": "i", "int64": "q"}


@pytest.mark.parametrize("dtype", _FIELDS)
def test_one_by_one(dtype):
    proto = TensorProto(dtype=dtype_value(dtype))
    getattr(proto, _FIELDS[dtype]).extend([2, -1])
    assert numbers(proto) == (2, -1)


@pytest.mark.parametrize("dtype", _CODES)
def test_as_bytes(dtype):
    content = struct.pack(f"<3{_CODES[dtype]}", 2, -1, 0)
    assert numbers(TensorProto(dtype=dtype_value(dtype), tensor_content=content)) == (2, -1, 0)


def test_none_at_all():
    assert numbers(TensorProto(dtype=dtype_value("float32"))) == ()


def test_nan_and_infinity():
    found = numbers(TensorProto(dtype=dtype_value("float32"), float_val=[math.nan, math.inf]))
    assert found is not None and math.isnan(found[0]) and found[1] == math.inf


@pytest.mark.parametrize(
    "proto",
    [
        TensorProto(dtype=dtype_value("string"), string_val=[b"1"]),
        TensorProto(dtype=dtype_value("float16"), half_val=[0x3C00]),
        TensorProto(dtype=dtype_value("float32"), tensor_content=b"12345"),
        TensorProto(),
    ],
)
def test_what_is_not_read(proto):
    assert numbers(proto) is None
