"""Reads the user's own calls from a file."""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.verify import dtypes
from migrate.verify.calls import Array, Call, SparseValue, Value

_DEFAULT = "serving_default"
_PARTS = ("indices", "values", "dense_shape")


def load_calls(path: str, signatures: Sequence[Signature]) -> tuple[Call, ...]:
    """Reads calls from a `.npz` or a `.json` file.

    A `.npz` holds one array an input, under `INPUT` (of the default signature: `serving_default`, or the only
    one), `SIGNATURE/INPUT`, or, for several calls, either of these behind the call's number: `0/INPUT`,
    `1/SIGNATURE/INPUT`. A sparse input is three arrays: `INPUT/indices`, `INPUT/values`, `INPUT/dense_shape`.
    A `.json` file holds a list of `{"signature": ..., "inputs": {INPUT: VALUE}}` (no signature means the
    default one), or `{INPUT: VALUE}` for one call of the default signature. A VALUE is a nested list,
    `{"b64": ...}` in the place of a string, or `{"indices": ..., "values": ..., "dense_shape": ...}`.

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
    if path.endswith(".npz"):
        raw = _from_npz(path, by_key)
    elif path.endswith(".json"):
        raw = _from_json(path)
    else:
        raise InputError(f"{path}: calls are read from a .npz or a .json file")
    calls = tuple(_call(path, number, key, inputs, by_key) for number, (key, inputs) in enumerate(raw))
    if not calls:
        raise InputError(f"{path}: holds no call")
    return calls


def _from_npz(path: str, by_key: Mapping[str, Signature]) -> Iterable[tuple[str | None, Mapping[str, Any]]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as .npz: {error}") from None
    calls: dict[tuple[int, str | None], dict[str, Any]] = {}
    for name, array in arrays.items():
        numbered = re.match(r"(\d+)/(.+)$", name, re.DOTALL)
        number, rest = (int(numbered[1]), numbered[2]) if numbered and not _names_input(name, by_key) else (0, name)
        key = next((k for k in sorted(by_key, key=len, reverse=True) if rest.startswith(k + "/")), None)
        default = _default(by_key)
        if default is not None and _names_input(rest, {default: by_key[default]}):
            key = None  # an input of the default signature may itself have a "/" in its name
        if key is not None:
            rest = rest[len(key) + 1 :]
        inputs = calls.setdefault((number, key), {})
        part = rest.rpartition("/")
        if part[2] in _PARTS and rest not in _inputs(key, by_key):
            inputs.setdefault(part[0], {})[part[2]] = array
        else:
            inputs[rest] = array
    return [(key, inputs) for (_, key), inputs in sorted(calls.items(), key=lambda item: item[0][0])]


def _inputs(key: str | None, by_key: Mapping[str, Signature]) -> Mapping[str, TensorSpec]:
    name = key if key is not None else _default(by_key)
    return by_key[name].inputs if name is not None else {}


def _names_input(name: str, by_key: Mapping[str, Signature]) -> bool:
    """Whether `name` is an input of one of the signatures, or a part of a sparse one."""
    stem, _, part = name.rpartition("/")
    return any(name in s.inputs or (part in _PARTS and stem in s.inputs) for s in by_key.values())


def _from_json(path: str) -> Iterable[tuple[str | None, Mapping[str, Any]]]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from None
    if isinstance(content, dict):
        content = [content if isinstance(content.get("inputs"), dict) else {"inputs": content}]
    for number, entry in enumerate(content if isinstance(content, list) else [None]):
        if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), dict):
            raise InputError(f'{path}: call {number}: expected {{"signature": ..., "inputs": {{name: value}}}}')
        yield entry.get("signature"), entry["inputs"]


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


def _call(path: str, number: int, key: str | None, inputs: Mapping[str, Any], by_key: Mapping[str, Signature]) -> Call:
    where = f"{path}: call {number}"
    if key is None:
        key = _default(by_key)
        if key is None:
            raise InputError(f"{where}: names no signature; there are {', '.join(map(repr, sorted(by_key)))}")
    if key not in by_key:
        raise InputError(f"{where}: unknown signature {key!r}; {_near(key, by_key)}")
    specs = by_key[key].inputs
    for name in inputs:
        if name not in specs:
            raise InputError(f"{where}: signature {key!r} has no input {name!r}; {_near(name, specs)}")
    if missing := sorted(frozenset(specs) - frozenset(inputs)):
        raise InputError(f"{where}: signature {key!r} also needs {', '.join(map(repr, missing))}")
    return Call(key, {name: _value(f"{where}: input {name!r}", value, specs[name]) for name, value in inputs.items()})


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
    try:
        if dtype == "string":
            return _strings(value)
        array = np.asarray(value)
        converted = array.astype(target)
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise InputError(f"{where}: is no array of {dtype}: {error}") from None
    lossy = array.dtype.kind in "OSU" or (array.dtype.kind == "f" and target.kind in "iub")
    if lossy or (target.kind in "iu" and array.size and not np.array_equal(converted, array)):
        raise InputError(f"{where}: expected {dtype}, found {array.dtype.name}")
    return converted


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
        elif isinstance(nested, dict) and set(nested) == {"b64"}:
            yield base64.b64decode(nested["b64"], validate=True)
        elif isinstance(nested, (str, bytes)):
            yield nested.encode() if isinstance(nested, str) else nested
        else:
            raise ValueError(f"{nested!r} is no string")

    nested = value.tolist() if isinstance(value, np.ndarray) else value
    dims = shape(nested)
    array = np.empty(int(np.prod(dims)), dtype=object)
    array[:] = list(flat(nested))
    return array.reshape(dims)
