"""A constant has many forms in a proto, and one value."""

from __future__ import annotations

import struct

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import TensorProto
from migrate.proof.constants import content, int32, scalar


def tensor(dtype: str, *shape: int, **fields: object) -> TensorProto:
    made = TensorProto(dtype=dtype_value(dtype), **fields)
    made.tensor_shape.SetInParent()
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tensor("float32", 3, float_val=[1.0]), tensor("float32", 3, tensor_content=struct.pack("<3f", 1, 1, 1))),
        (tensor("float32", 2, float_val=[1.0, 2.0]), tensor("float32", 2, tensor_content=struct.pack("<2f", 1, 2))),
        (tensor("int64", 2, int64_val=[7]), tensor("int64", 2, int64_val=[7, 7])),
        (tensor("int32", 2), tensor("int32", 2, int_val=[0, 0])),
        (tensor("string", 2, string_val=[b"a"]), tensor("string", 2, string_val=[b"a", b"a"])),
        (tensor("bool", bool_val=[False]), tensor("bool")),
        (tensor("complex64", 2, scomplex_val=[1, 2]), tensor("complex64", 2, scomplex_val=[1, 2, 1, 2])),
        (tensor("int8", 2, int_val=[-1, 2]), tensor("int8", 2, tensor_content=b"\xff\x02")),
    ],
)
def test_forms_of_one_value_are_equal(one, other):
    assert content(one) == content(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tensor("float32", 2, float_val=[1.0]), tensor("float32", 2, float_val=[1.0, 2.0])),
        (tensor("float32", 2, float_val=[1.0]), tensor("float32", 1, 2, float_val=[1.0])),
        (tensor("float32", 0), tensor("float32", 0, 2)),
        (tensor("int32", int_val=[1]), tensor("int64", int64_val=[1])),
        (tensor("float32", float_val=[0.0]), tensor("float32", float_val=[-0.0])),
        (tensor("string", 2, string_val=[b"ab", b"c"]), tensor("string", 2, string_val=[b"a", b"bc"])),
    ],
)
def test_other_values_are_not(one, other):
    assert content(one) != content(other)


@pytest.mark.parametrize(
    "damaged",
    [
        tensor("float32", 3, tensor_content=b"\0" * 8),
        tensor("float32", 1, float_val=[1.0, 2.0]),
        tensor("int8", 1, int_val=[1000], tensor_content=b"\0\0"),
        tensor("float32", -1, float_val=[1.0]),
        tensor("float32", 1 << 40, float_val=[1.0]),
        tensor("string", 1 << 30, string_val=[b"a"]),
        tensor("string", 1, string_val=[b"a", b"b"]),
        tensor("resource"),
        TensorProto(dtype=999),
    ],
)
def test_what_cannot_be_read_has_no_content(damaged):
    assert content(damaged) is None


def test_an_unknown_rank_has_no_content():
    made = tensor("float32", float_val=[1.0])
    made.tensor_shape.unknown_rank = True
    assert content(made) is None
    assert scalar(made) is None


@pytest.mark.parametrize(
    ("proto", "value"),
    [
        (tensor("bool", bool_val=[True]), True),
        (tensor("bool"), False),
        (int32(7), 7),
        (tensor("string", string_val=[b"a"]), b"a"),
        (tensor("float32", tensor_content=struct.pack("<f", 0.5)), 0.5),
        (tensor("int32", 1, int_val=[1]), None),
        (tensor("int8", int_val=[1]), None),
    ],
)
def test_scalars(proto, value):
    assert scalar(proto) == value
