"""A call as a file has it, checked against the signature that it calls."""

from __future__ import annotations

import base64
import binascii
import difflib
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.verify import dtypes
from migrate.verify.calls import SPARSE_PARTS, Array, Call, SparseValue, Value
from migrate.verify.calls_file import Unnamed, is_row

_DEFAULT = "serving_default"


def default_key(by_key: Mapping[str, Signature]) -> str | None:
    """Key of the signature that a call means which names none, or None."""
    if _DEFAULT in by_key:
        return _DEFAULT
    return next(iter(by_key)) if len(by_key) == 1 else None


def _near(name: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {', '.join(map(repr, close))}?"
    return f"there are {', '.join(map(repr, names)) or 'none'}"


def call_of(where: str, key: str | None, given: Mapping[str, Any] | Unnamed, by_key: Mapping[str, Signature]) -> Call:
    """A call as it is given, checked against the signature.

    Args:
      where: which one it is, for messages.
      key: the signature's; None for the default one.
      given: values as a file has them.
      by_key: the model's signatures.

    Raises:
      InputError: the signature or an input is unknown or missing, or a value does not fit.
    """
    if key is None:
        key = default_key(by_key)
        if key is None:
            raise InputError(f"{where}: names no signature; there are {', '.join(map(repr, sorted(by_key)))}")
    if key not in by_key:
        raise InputError(f"{where}: unknown signature {key!r}; {_near(key, by_key)}")
    specs = by_key[key].inputs
    inputs = _named_values(where, key, given, specs) if isinstance(given, Unnamed) else given
    for name in inputs:
        if name not in specs:
            raise InputError(f"{where}: signature {key!r} has no input {name!r}; {_near(name, specs)}")
    if missing := sorted(frozenset(specs) - frozenset(inputs)):
        raise InputError(f"{where}: signature {key!r} also needs {', '.join(map(repr, missing))}")
    return Call(key, {name: _value(f"{where}: input {name!r}", value, specs[name]) for name, value in inputs.items()})


def _named_values(where: str, key: str, given: Unnamed, specs: Mapping[str, TensorSpec]) -> Mapping[str, Any]:
    """The values of a request to TensorFlow Serving by the names of the inputs (its REST interface, "Predict API")."""
    if (given.key in specs and len(specs) > 1) or (given.key == "instances" and "instances" in specs):
        return {given.key: given.value}  # An input of this name, and the call is written as its inputs alone.
    rows = given.value
    if given.key == "instances" and is_row(rows[0]):
        return {name: [row[name] for row in rows] for name in rows[0]}
    if len(specs) != 1:
        raise InputError(
            f"{where}: signature {key!r} has {len(specs)} inputs, so each value needs a name: "
            f"{', '.join(map(repr, sorted(specs))) or 'none'}"
        )
    return {next(iter(specs)): rows}


def _value(where: str, value: Any, spec: TensorSpec) -> Value:
    if spec.encoding == "coo_sparse":
        if not isinstance(value, dict) or sorted(value) != sorted(SPARSE_PARTS):
            raise InputError(f"{where}: a sparse tensor is given by {', '.join(SPARSE_PARTS)}")
        return SparseValue(
            _array(where, value["indices"], "int64"),
            _array(where, value["values"], spec.dtype),
            _array(where, value["dense_shape"], "int64"),
        )
    array = _array(where, value, spec.dtype)
    # An unset shape reads as a scalar, so that () forbids nothing.
    if spec.shape and (
        len(spec.shape) != array.ndim
        or any(d is not None and d != n for d, n in zip(spec.shape, array.shape, strict=True))
    ):
        expected = [d if d is not None else "?" for d in spec.shape]
        raise InputError(f"{where}: expected shape {expected}, found {list(array.shape)}")
    return array


def _array(where: str, value: Any, dtype: str) -> Array:
    target = dtypes.numpy_dtype(dtype)
    if target is None:
        raise InputError(f"{where}: a value of dtype {dtype} cannot be given")
    if isinstance(value, dict) and value.keys() == {"fill", "shape"}:
        value = _filled(where, value["fill"], value["shape"])
    try:
        if dtype == "string":
            return _strings(value)
        array = np.asarray(value)
        if not array.size and not isinstance(value, np.ndarray):
            array = array.astype(target)  # An empty list says nothing of a dtype.
        # What is lost in a conversion is looked for below.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            converted = array.astype(target)
    except (TypeError, ValueError, OverflowError, MemoryError, RecursionError, binascii.Error) as error:
        raise InputError(f"{where}: is no array of {dtype}: {' '.join(str(error).split())}") from None
    if _is_lossy(array, converted, target):
        raise InputError(f"{where}: expected {dtype}, found {array.dtype.name}")
    # JSON has no infinity, but numbers that are too large for any float.
    if ("float" in dtype or "complex" in dtype) and not np.array_equal(np.isfinite(converted), _finite(array, value)):
        raise InputError(f"{where}: a number is too large for {dtype}")
    return converted


_MOST_FILLED = 1 << 26
"""Values of an input that is given by its shape; a batch of 400 images has as many."""


def _filled(where: str, fill: Any, shape: Any) -> Array:
    """What `{"shape": [1, 224, 224, 3], "fill": 0.5}` means."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 32:
        raise InputError(f"{where}: 'shape' is a list of sizes")
    if math.prod(shape) > _MOST_FILLED:
        raise InputError(f"{where}: its shape has more than {_MOST_FILLED:,} values; give these in a .npz file")
    if isinstance(fill, list):
        raise InputError(f"{where}: 'fill' is one value")
    array = np.empty(shape, dtype=object if isinstance(fill, (str, dict)) else np.asarray(fill).dtype)
    array.fill(fill)
    return array


def _is_lossy(array: Array, converted: Array, target: np.dtype[Any]) -> bool:
    kind = array.dtype.kind
    if kind not in "biufcV" or (kind == "f" and target.kind in "iub") or (kind == "c" and target.kind != "c"):
        return True
    return target.kind in "iub" and bool(array.size) and not np.array_equal(converted, array)


def _finite(array: Array, value: Any) -> Any:
    return np.isfinite(array) if isinstance(value, np.ndarray) else np.ones(array.shape, np.bool_)


def _strings(value: Any) -> Array:
    """Strings as bytes; `{"b64": ...}` as TensorFlow Serving's REST interface has it."""

    def shape(nested: Any) -> tuple[int, ...]:
        if not isinstance(nested, list):
            return ()
        inner = {shape(item) for item in nested}
        if len(inner) > 1:
            raise ValueError("rows differ in length")
        return (len(nested), *(inner.pop() if inner else ()))

    def flat(nested: Any) -> Iterable[bytes]:
        if isinstance(nested, list):
            for item in nested:
                yield from flat(item)
        elif isinstance(nested, dict) and set(nested) == {"b64"} and isinstance(nested["b64"], str):
            yield base64.b64decode(nested["b64"], validate=True)
        elif isinstance(nested, (str, bytes)):
            yield nested.encode() if isinstance(nested, str) else nested
        else:
            raise ValueError(f"{repr(nested)[:100]} is no string")

    nested = value.tolist() if isinstance(value, np.ndarray) else value
    dims = shape(nested)
    array = np.empty(int(np.prod(dims)), dtype=object)
    array[:] = list(flat(nested))
    return array.reshape(dims)
