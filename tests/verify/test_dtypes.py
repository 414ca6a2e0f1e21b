"""TensorFlow's dtypes by name as numpy knows them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from migrate.graph.dtypes import dtype_name
from migrate.graph.protos import DataType
from migrate.verify.dtypes import numpy_dtype, tf_name

_NAMES = [dtype_name(number) for name, number in DataType.items() if not name.endswith("_REF")]
_WITHOUT_VALUES = {"invalid", "resource", "variant"}


@pytest.mark.parametrize("name", sorted({*_NAMES} - _WITHOUT_VALUES))
def test_every_dtype_of_tensorflow_has_one_of_numpy(name):
    found = numpy_dtype(name)
    assert found is not None
    expected = {"string": "string"}.get(name, name.removeprefix("q") if name[0] == "q" else name)
    assert tf_name(np.zeros(1, found)) == expected


@pytest.mark.parametrize("name", sorted(_WITHOUT_VALUES))
def test_what_has_no_values_has_none(name):
    assert name in _NAMES
    assert numpy_dtype(name) is None


def test_a_name_that_nobody_knows_has_none():
    assert numpy_dtype("dtype 999") is None
    assert numpy_dtype("float32_ref") is None


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array(["a"]), "string"),
        (np.array([b"a"]), "string"),
        (np.array([b"a"], object), "string"),
        (np.zeros(1, ml_dtypes.bfloat16), "bfloat16"),
        (np.zeros(1, bool), "bool"),
        (np.zeros(1, ">f4"), "float32"),
    ],
)
def test_the_name_of_an_arrays_dtype(array, name):
    assert tf_name(array) == name
