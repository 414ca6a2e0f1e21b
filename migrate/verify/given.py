"""Reads the user's own calls from a file."""

from __future__ import annotations

import base64
import binascii
import difflib
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.verify import dtypes
from migrate.verify.calls import Array, Call, SparseValue, Value
from migrate.verify.calls_file import Entry, Unnamed, is_row, read_json, read_npz

_DEFAULT = "serving_default"
_PARTS = ("indices", "values", "dense_shape")


def load_calls(path: str, signatures: Sequence[Signature]) -> tuple[Call, ...]:
    """Reads calls from a `.npz` file, or from a `.json` or `.jsonl` file (docs/inputs.md).

    A `.npz` holds one array an input, under `INPUT` (of the default signature: `serving_default`, or the only
    one), `SIGNATURE/INPUT`, or, for several calls, either of these behind the call's number: `0/INPUT`,
    `1/SIGNATURE/INPUT`. A sparse input is three arrays: `INPUT/indices`, `INPUT/values`, `INPUT/dense_shape`.
    A `.json` file holds a list of `{"signature": ..., "inputs": {INPUT: VALUE}}` (no signature means the
    default one), or `{INPUT: VALUE}` for one call of the default signature. A VALUE is a nested list,
    `{"b64": ...}` in the place of a string, `{"shape": ..., "fill": ...}`, or `{"indices": ..., "values": ...,
    "dense_shape": ...}`. It may also hold one call per line, and requests to TensorFlow Serving's REST interface:
    `{"signature_name": ..., "instances": [...]}` and `{"signature_name": ..., "inputs": ...}`.

    Args:
      path: of the file.
      signatures: the model's.

    Returns:
      the calls in order, with the dtypes of the signatures' inputs.

    Raises:
      InputError: the file cannot be read, a signature or an input is unknown or missing, or a value does not
        have the dtype or the rank of its input.
    """
    by_key = {signature.key: signature for signature in signatures}
    raw = read_raw(path)
    entries = raw if isinstance(raw, tuple) else _entries(path, raw, by_key)
    return tuple(_call(path, number, e.signature, e.inputs, by_key) for number, e in enumerate(entries))


def read_raw(path: str) -> tuple[Entry, ...] | Mapping[str, Array]:
    """Reads as much of a file with calls as means the same for every model.

    Raises:
      InputError: it cannot be read, or holds no call.
    """
    if path.endswith(".npz"):
        raw: tuple[Entry, ...] | Mapping[str, Array] = read_npz(path)
    elif path.endswith((".json", ".jsonl", ".ndjson")):
        raw = read_json(path)
    else:
        raise InputError(f"{path}: calls are read from a .npz, a .json or a .jsonl file; see docs/inputs.md")
    if not raw:
        raise InputError(f"{path}: holds no call")
    return raw


def check_calls(path: str, signatures: Sequence[Signature] | None) -> None:
    """Reads a file with calls for its faults alone.

    Args:
      path: of the file.
      signatures: of the one model that is to be called, or None where there are several or it is not known yet.

    Raises:
      InputError: as `load_calls`, or `read_raw` where there are no signatures.
    """
    if signatures is None:
        read_raw(path)
    else:
        load_calls(path, signatures)


def _entries(path: str, arrays: Mapping[str, Array], by_key: Mapping[str, Signature]) -> Iterable[Entry]:
    calls: dict[tuple[int, str | None], dict[str, Any]] = {}
    for name, array in arrays.items():
        numbered = re.match(r"([0-9]{1,9})/(.+)\Z", name, re.DOTALL)
        number, rest = (int(numbered[1]), numbered[2]) if numbered and not _names_input(name, by_key) else (0, name)
        key = next((k for k in sorted(by_key, key=len, reverse=True) if rest.startswith(k + "/")), None)
        default = _default(by_key)
        if default is not None and _names_input(rest, {default: by_key[default]}):
            key = None  # an input of the default signature may itself have a "/" in its name
        if key is not None:
            rest = rest[len(key) + 1 :]
        inputs = calls.setdefault((number, key), {})
        stem, _, part = rest.rpartition("/")
        if part in _PARTS and rest not in _inputs(key, by_key):
            held = inputs.setdefault(stem, {})
        else:
            held, part = inputs, rest
        if not isinstance(held, dict) or part in held:
            raise InputError(f"{path}: array {name!r}: call {number} has this input already")
        held[part] = array
    return [Entry(key, inputs) for (_, key), inputs in sorted(calls.items(), key=lambda item: item[0][0])]


def _inputs(key: str | None, by_key: Mapping[str, Signature]) -> Mapping[str, TensorSpec]:
    name = key if key is not None else _default(by_key)
    return by_key[name].inputs if name is not None else {}


def _names_input(name: str, by_key: Mapping[str, Signature]) -> bool:
    """Whether `name` is an input of one of the signatures, or a part of a sparse one."""
    stem, _, part = name.rpartition("/")
    return any(name in s.inputs or (part in _PARTS and stem in s.inputs) for s in by_key.values())


def _default(by_key: Mapping[str, Signature]) -> str | None:
    if _DEFAULT in by_key:
        return _DEFAULT
    return next(iter(by_key)) if len(by_key) == 1 else None


def _near(name: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {', '.join(map(repr, close))}?"
    return f"there are {', '.join(map(repr, names)) or 'none'}"


def _call(
    path: str, number: int, key: str | None, given: Mapping[str, Any] | Unnamed, by_key: Mapping[str, Signature]
) -> Call:
    where = f"{path}: call {number}"
    if key is None:
        key = _default(by_key)
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
        if not isinstance(value, dict) or sorted(value) != sorted(_PARTS):
            raise InputError(f"{where}: a sparse tensor is given by {', '.join(_PARTS)}")
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
