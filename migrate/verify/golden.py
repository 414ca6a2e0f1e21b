"""Golden answers as a file: a `.npz` without pickles, safe to read from anywhere."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.regular_files import create
from migrate.verify import dtypes
from migrate.verify.calls import Answer, Array, Call, Fingerprint, Golden, SparseValue, Value

_SCHEMA_VERSION = 1


def save_golden(golden: Golden, path: str) -> None:
    """Writes golden answers to `path`.

    The archive holds `golden.json`'s text as a uint8 array, in which a tensor is a number, its dtype and its
    shape; the tensor's bytes are the uint8 array of that number. Strings are stored as their lengths (int64)
    and one run of bytes. A tensor that several calls share is stored once.
    """
    arrays: dict[str, Array] = {}
    numbers: dict[int, int] = {}

    def tensor(array: Array) -> list[Any]:
        if id(array) not in numbers:
            number = numbers[id(array)] = len(numbers)
            if array.dtype.kind == "O":
                items = [bytes(item) for item in array.ravel().tolist()]
                arrays[f"{number}.lengths"] = np.array([len(item) for item in items], dtype=np.int64)
                arrays[str(number)] = np.frombuffer(b"".join(items), dtype=np.uint8)
            else:
                arrays[str(number)] = np.frombuffer(array.tobytes(), dtype=np.uint8)
        return [numbers[id(array)], dtypes.tf_name(array), list(array.shape)]

    def value(item: Value) -> Any:
        if isinstance(item, SparseValue):
            return {part: tensor(array) for part, array in item.parts.items()}
        return tensor(item)

    def answer(item: Answer) -> Any:
        outputs = {name: tensor(array) for name, array in item.outputs.items()}
        return {"outputs": outputs, "error": item.error, "message": item.message}

    content = {
        "schema_version": _SCHEMA_VERSION,
        "calls": [
            {"signature": c.signature, "inputs": {name: value(v) for name, v in c.inputs.items()}} for c in golden.calls
        ],
        "answers": [answer(a) for a in golden.answers],
        "again": [answer(a) for a in golden.again],
        "skipped": dict(golden.skipped),
        "variables": {name: dataclasses.asdict(f) for name, f in golden.variables.items()},
        "states": {name: dataclasses.asdict(f) for name, f in golden.states.items()},
        "loader": golden.loader,
        "tf_version": golden.tf_version,
    }
    arrays["golden.json"] = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
    with create(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_golden(path: str) -> Golden:
    """Reads what `save_golden` wrote.

    Raises:
      InputError: the file cannot be read or is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        content = json.loads(arrays["golden.json"].tobytes())
        if content["schema_version"] != _SCHEMA_VERSION:
            raise InputError(f"{path}: expected schema version 1, found {content['schema_version']}")
        return _golden(content, arrays)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: holds no golden answers: {type(error).__name__}: {error}") from None


def _golden(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> Golden:
    cache: dict[int, Array] = {}

    def tensor(entry: Any) -> Array:
        number, name, shape = entry
        if number not in cache:
            cache[number] = _restored(arrays, number, name).reshape(shape)
        return cache[number]

    def value(entry: Any) -> Value:
        if isinstance(entry, dict):
            return SparseValue(**{part: tensor(item) for part, item in entry.items()})
        return tensor(entry)

    def answer(entry: Mapping[str, Any]) -> Answer:
        outputs = {name: tensor(item) for name, item in entry["outputs"].items()}
        return Answer(outputs, entry["error"], entry["message"])

    return Golden(
        calls=tuple(
            Call(c["signature"], {name: value(v) for name, v in c["inputs"].items()}) for c in content["calls"]
        ),
        answers=tuple(answer(a) for a in content["answers"]),
        again=tuple(answer(a) for a in content["again"]),
        skipped=content["skipped"],
        variables=_fingerprints(content["variables"]),
        loader=content["loader"],
        tf_version=content["tf_version"],
        states=_fingerprints(content["states"]),
    )


def _fingerprints(content: Mapping[str, Any]) -> dict[str, Fingerprint]:
    return {name: Fingerprint(f["dtype"], tuple(f["shape"]), f["digest"]) for name, f in content.items()}


def _restored(arrays: Mapping[str, Array], number: int, name: str) -> Array:
    """A flat array of TensorFlow's dtype `name` from the stored bytes."""
    stored = arrays[str(number)].tobytes()
    dtype = dtypes.numpy_dtype(name)
    if dtype is None:
        raise ValueError(f"a tensor of dtype {name}")
    if name != "string":
        return np.frombuffer(stored, dtype=dtype)
    ends = np.cumsum(arrays[f"{number}.lengths"])
    array = np.empty(len(ends), dtype=object)
    start = 0
    for index, end in enumerate(int(e) for e in ends):
        array[index] = stored[start:end]
        start = end
    return array
