"""The value of a constant, however it is written."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import TensorProto, TensorShapeProto
from migrate.verify.values import content


def _tensor(dtype: str, *sizes: int, **fields: object) -> TensorProto:
    shape = TensorShapeProto(dim=[{"size": size} for size in sizes])
    return TensorProto(dtype=dtype_value(dtype), tensor_shape=shape, **fields)


_SAME = [
    (_tensor("float32", 2, float_val=[1.0, 2.0]), np.array([1, 2], np.float32)),
    (_tensor("float32", 3, float_val=[1.0, 2.0]), np.array([1, 2, 2], np.float32)),
    (_tensor("float32", 4, float_val=[0.5]), np.full(4, 0.5, np.float32)),
    (_tensor("float64", float_val=[], double_val=[0.1]), np.array(0.1)),
    (_tensor("int32", 2, int_val=[-1, 7]), np.array([-1, 7], np.int32)),
    (_tensor("int8", 2, int_val=[-1, 7]), np.array([-1, 7], np.int8)),
    (_tensor("uint8", 2, int_val=[255, 7]), np.array([255, 7], np.uint8)),
    (_tensor("int64", int64_val=[1 << 40]), np.array(1 << 40)),
    (_tensor("uint64", uint64_val=[(1 << 64) - 1]), np.array((1 << 64) - 1, np.uint64)),
    (_tensor("bool", 2, bool_val=[True, False]), np.array([True, False])),
    (_tensor("float16", 1, half_val=[0x3C00]), np.array([1], np.float16)),
    (_tensor("complex64", 1, scomplex_val=[1.0, 2.0]), np.array([1 + 2j], np.complex64)),
]


@pytest.mark.parametrize(("written", "array"), _SAME, ids=[str(content(t)) for t, _ in _SAME])
def test_two_ways_of_writing_a_value_are_one(written, array):
    whole = TensorProto(dtype=written.dtype, tensor_shape=written.tensor_shape, tensor_content=array.tobytes())
    assert content(written) == content(whole)


def test_strings():
    one = _tensor("string", 3, string_val=[b"a", b"b", b"b"])
    assert content(one) == content(_tensor("string", 3, string_val=[b"a", b"b"]))
    assert content(one) != content(_tensor("string", 3, string_val=[b"ab", b"b"]))


def test_what_differs_is_told():
    values = [0.5 * row for row in range(5000)]
    one = _tensor("float32", 5000, float_val=values)
    other = _tensor("float32", 5000, float_val=[*values[:4321], 0.25, *values[4322:]])
    assert content(one) != content(other)
    assert content(_tensor("float32", 1, float_val=[0.0])) != content(_tensor("float32", 1, float_val=[-0.0]))
    assert content(_tensor("float32", 1, float_val=[1.0])) != content(_tensor("float32", float_val=[1.0]))
    assert content(_tensor("float32", float_val=[1.0])) != content(_tensor("int32", int_val=[1]))


def test_what_cannot_be_read_is_compared_as_it_is_written():
    for damaged in (
        _tensor("float32", 2, tensor_content=b"123"),
        _tensor("qint8", 2, int_val=[1, 2]),
        _tensor("variant"),
        _tensor("uint8", 1, int_val=[300]),
        TensorProto(dtype=99),
    ):
        assert content(damaged) == content(TensorProto.FromString(damaged.SerializeToString()))
    assert content(_tensor("qint8", 2, int_val=[1, 2])) != content(_tensor("qint8", 2, int_val=[1, 3]))
