"""TensorFlow's dtypes by name as numpy knows them, without TensorFlow's runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
"""Dtypes of what a model trains."""


def numpy_dtype(tf_name: str) -> np.dtype[Any] | None:
    """The numpy dtype for TensorFlow's name; `object` for strings, None for what has no values (`resource`)."""
    if tf_name == "string":
        return np.dtype(object)
    if tf_name in ("resource", "variant", "invalid"):
        return None
    try:
        return np.dtype(tf_name)
    except TypeError:
        pass
    if tf_name.startswith(("qint", "quint")):
        return np.dtype(tf_name.removeprefix("q"))
    import ml_dtypes  # comes with TensorFlow; gives numpy bfloat16 and the 8-bit floats

    extension = getattr(ml_dtypes, tf_name, None)
    return None if extension is None else np.dtype(extension)


def tf_name(array: np.ndarray[Any, Any]) -> str:
    """TensorFlow's name of an array's dtype; every object, bytes or str array is a `string`."""
    return "string" if array.dtype.kind in "OSU" else str(array.dtype.name)
