"""TensorFlow's names of dtypes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import cast

from migrate.graph.protos import DataType

REF = 100
"""What is added to the number of a dtype for a ref to it: DT_FLOAT_REF is DT_FLOAT + 100 (types.proto)."""
_RENAMED = {"FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16"}
"""All other names are the enum's in lower case (tensorflow/python/framework/dtypes.py, _TYPE_TO_STRING)."""


def dtype_name(number: int) -> str:
    """The name of a dtype: `float32` for 1 (DT_FLOAT), `float32_ref` for 101 (DT_FLOAT_REF).

    Raises:
      ValueError: the installed TensorFlow has no dtype of this number.

    Example:
      >>> dtype_name(1), dtype_name(101)
      ('float32', 'float32_ref')
    """
    enum_name = DataType.Name(cast("DataType.ValueType", number)).removeprefix("DT_")
    base = enum_name.removesuffix("_REF")
    return _RENAMED.get(base, base.lower()) + ("_ref" if base != enum_name else "")


@functools.lru_cache(256)
def base_name(number: int) -> str:
    """The name of a dtype or, for a ref dtype, of what it refers to; `dtype 999` for one that nobody knows.

    Example:
      >>> base_name(101), base_name(999)
      ('float32', 'dtype 999')
    """
    try:
        return dtype_name(number).removesuffix("_ref")
    except ValueError:
        return f"dtype {number}"


def dtype_value(name: str) -> int:
    """The number of a dtype that `dtype_name` calls `name`; 0 (DT_INVALID) for a name that it never gives.

    Example:
      >>> dtype_value("resource")
      20
    """
    return _numbers().get(name, 0)


@functools.lru_cache(1)
def _numbers() -> Mapping[str, int]:
    return {dtype_name(number): number for number in DataType.values()}
