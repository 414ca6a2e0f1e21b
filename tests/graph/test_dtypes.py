from __future__ import annotations

import pytest

from migrate.graph.dtypes import REF, base_name, dtype_name, dtype_value
from migrate.graph.protos import DataType

_NUMBERS = sorted(DataType.values())
_PLAIN = [number for number in _NUMBERS if 0 < number < REF]


@pytest.mark.parametrize(
    ("number", "name"), [(1, "float32"), (2, "float64"), (19, "float16"), (14, "bfloat16"), (7, "string"), (10, "bool")]
)
def test_names_that_tensorflow_gives(number, name):
    assert dtype_name(number) == base_name(number) == name
    assert dtype_value(name) == number


def test_a_name_leads_back_to_its_number():
    assert {number: dtype_value(dtype_name(number)) for number in _NUMBERS} == {number: number for number in _NUMBERS}


def test_a_ref_is_named_after_what_it_refers_to():
    refs = {number: dtype_name(number + REF) for number in _PLAIN}
    assert refs == {number: f"{dtype_name(number)}_ref" for number in _PLAIN}
    assert {number: base_name(number + REF) for number in _PLAIN} == {n: dtype_name(n) for n in _PLAIN}


@pytest.mark.parametrize("number", [-1, 99, REF, 199, 999])
def test_a_number_that_nobody_knows(number):
    with pytest.raises(ValueError, match=str(number)):
        dtype_name(number)
    assert base_name(number) == f"dtype {number}"


@pytest.mark.parametrize(
    "name", ["", "float", "double", "half", "FLOAT32", "INT32", "dt_float", "float_ref", "dtype 999"]
)
def test_a_name_that_is_never_given_has_no_number(name):
    assert dtype_value(name) == 0
