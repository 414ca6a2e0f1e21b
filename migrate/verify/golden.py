"""Golden answers from elsewhere as a file: a `.npz` without pickles, safe to read from anywhere.

`legacy_recorder.py` writes the same format, on Pythons that cannot import this package.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.regular_files import create
from migrate.verify import dtypes
from migrate.verify.calls import SPARSE_PARTS, Answer, Array, Call, SparseValue, Value
from migrate.verify.calls_file import read_npz

SCHEMA_VERSION = 2
_CONTENT = "golden.json"
TAKES = "--golden takes a .npz file that migrate record has written, or a log of a model server"
"""What a golden file is, for messages."""

Part = TypeVar("Part")


@frozen
class RecordedModel:
    """The model that has given the answers.

    Attributes:
      file: name of the file with its graph.
      sha256: of that file, as a new model's provenance has it.
      tags: its tag set, sorted.
      files: SHA-256 of the other files, by their paths in it: assets, indexes of checkpoints (which have a checksum of
        each tensor), and data that no index describes.
    """

    file: str
    sha256: str
    tags: tuple[str, ...] = ()
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


@frozen
class Recorded:
    """What a model has answered elsewhere.

    Attributes:
      calls: in the order in which they were made.
      answers: to each call, from a fresh load.
      again: to each call, from another one; the same as `answers` where the model was asked once.
      skipped: why a signature is not in `calls`, by its key.
      notes: what was not recorded, a line each.
      model: which model; None where the file does not say.
      runtime: what has answered: versions, processor, devices; text or lists of text.
      partial: whether answers may lack outputs, as those of a server that was asked for some.
    """

    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    again: tuple[Answer, ...]
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    model: RecordedModel | None = None
    runtime: Mapping[str, str | tuple[str, ...]] = dataclasses.field(default_factory=dict)
    partial: bool = False

    @property
    def by(self) -> str:
        """What has answered, in a few words."""
        version = self.runtime.get("tensorflow")
        return f"TensorFlow {version}" if isinstance(version, str) and version else "another runtime"


def save_golden(recorded: Recorded, path: str) -> None:
    """Writes golden answers to `path`.

    The archive holds the text of `golden.json` as a uint8 array, in which a tensor is a number, its dtype and its
    shape; the tensor's bytes are the uint8 array of that number, in little-endian order. Strings are stored as their
    lengths (int64) and one run of bytes. A tensor that several calls share is stored once.
    """
    arrays: dict[str, Array] = {}
    numbers: dict[tuple[str, tuple[int, ...], bytes, bytes], int] = {}

    def tensor(array: Array) -> list[Any]:
        name = dtypes.tf_name(array)
        lengths = b""
        if name == "string":
            items = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
            lengths = np.array([len(item) for item in items], dtype="<i8").tobytes()
            content = b"".join(items)
        else:
            content = np.ascontiguousarray(array).tobytes()
        key = (name, array.shape, content, lengths)
        if key not in numbers:
            number = numbers[key] = len(numbers)
            arrays[str(number)] = np.frombuffer(content, dtype=np.uint8)
            if name == "string":
                arrays[f"{number}.lengths"] = np.frombuffer(lengths, dtype="<i8")
        return [numbers[key], name, list(array.shape)]

    def value(item: Value) -> Any:
        if isinstance(item, SparseValue):
            return {part: tensor(array) for part, array in item.parts.items()}
        return tensor(item)

    def answer(item: Answer) -> Any:
        outputs = {name: tensor(array) for name, array in item.outputs.items()}
        return {"outputs": outputs, "error": item.error, "message": item.message}

    content = {
        "schema_version": SCHEMA_VERSION,
        "model": None if recorded.model is None else dataclasses.asdict(recorded.model),
        "runtime": dict(recorded.runtime),
        "calls": [
            {
                "signature": call.signature,
                "inputs": {name: value(v) for name, v in call.inputs.items()},
                "outputs": list(call.outputs),
            }
            for call in recorded.calls
        ],
        "answers": [answer(a) for a in recorded.answers],
        "again": [answer(a) for a in recorded.again],
        "skipped": dict(recorded.skipped),
        "notes": list(recorded.notes),
    }
    arrays[_CONTENT] = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
    with create(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_golden(path: str) -> Recorded:
    """Reads what `save_golden` or `legacy_recorder.py` wrote.

    Raises:
      InputError: the file cannot be read, is damaged or cut short, holds Python objects, or is no such file.
    """
    arrays = read_npz(path, TAKES)
    if _CONTENT not in arrays:
        raise InputError(f"{path}: holds no golden answers; migrate record writes such a file")
    try:
        content = json.loads(arrays[_CONTENT].tobytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {_CONTENT}: {' '.join(str(error).split())[:200]}") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: golden answers of version {version!r}, where {SCHEMA_VERSION} is read; record them again with "
            "the recorder of this version"
        )
    try:
        return _Reader(arrays).recorded(content)
    except _WrongError as error:
        raise InputError(f"{path}: damaged: {error}") from None


class _WrongError(Exception):
    """What does not fit."""


class _Reader:
    """Makes records of what a file says; nothing of it is believed."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self._cache: dict[tuple[int, str, tuple[int, ...]], Array] = {}

    def recorded(self, content: Mapping[str, Any]) -> Recorded:
        calls = _each(content, "calls", self._call)
        answers, again = _each(content, "answers", self._answer), _each(content, "again", self._answer)
        if not len(calls) == len(answers) == len(again):
            raise _WrongError(f"has {len(calls)} calls, and {len(answers)} and {len(again)} answers")
        if not calls:
            raise _WrongError("holds no call")
        return Recorded(
            calls,
            answers,
            again,
            _texts(content.get("skipped", {}), "skipped"),
            tuple(_text(note, "notes") for note in _list(content.get("notes", []), "notes")),
            None if content.get("model") is None else _model(_dict(content["model"], "model")),
            {name: _said(value) for name, value in _dict(content.get("runtime", {}), "runtime").items()},
        )

    def _call(self, where: str, entry: Mapping[str, Any]) -> Call:
        inputs = _dict(entry.get("inputs"), f"{where}: inputs")
        return Call(
            _text(entry.get("signature"), f"{where}: signature"),
            {name: self._value(f"{where}: input {name!r}", value) for name, value in inputs.items()},
            tuple(_text(name, where) for name in _list(entry.get("outputs", []), f"{where}: outputs")),
        )

    def _answer(self, where: str, entry: Mapping[str, Any]) -> Answer:
        outputs = _dict(entry.get("outputs"), f"{where}: outputs")
        return Answer(
            {name: self._tensor(f"{where}: output {name!r}", value) for name, value in outputs.items()},
            _text(entry.get("error"), f"{where}: error"),
            _text(entry.get("message"), f"{where}: message"),
        )

    def _value(self, where: str, entry: Any) -> Value:
        if isinstance(entry, dict):
            if sorted(entry) != sorted(SPARSE_PARTS):
                raise _WrongError(f"{where}: a sparse tensor has {', '.join(SPARSE_PARTS)}")
            return SparseValue(**{part: self._tensor(where, item) for part, item in entry.items()})
        return self._tensor(where, entry)

    def _tensor(self, where: str, entry: Any) -> Array:
        match entry:
            case [int() as number, str() as name, [*shape]] if all(type(n) is int and n >= 0 for n in shape):
                key = (number, name, tuple(shape))
            case _:
                raise _WrongError(f"{where}: is no tensor")
        if key not in self._cache:
            self._cache[key] = self._restored(where, *key)
        return self._cache[key]

    def _restored(self, where: str, number: int, name: str, shape: tuple[int, ...]) -> Array:
        """The array of TensorFlow's dtype `name` that the stored bytes are."""
        stored = self._bytes(where, str(number), "uint8").tobytes()
        dtype = dtypes.numpy_dtype(name)
        if dtype is None:
            raise _WrongError(f"{where}: a tensor of dtype {name!r}")
        count = math.prod(shape)
        if name != "string":
            if len(stored) != count * dtype.itemsize or len(shape) > 32:
                raise _WrongError(f"{where}: its {len(stored):,} bytes are not {list(shape)} of {name}")
            flat: Array = np.frombuffer(stored, dtype=dtype)
            return self._shaped(where, flat, shape)
        lengths = self._bytes(where, f"{number}.lengths", "int64").tolist()
        if len(lengths) != count or any(n < 0 for n in lengths) or sum(lengths) != len(stored) or len(shape) > 32:
            raise _WrongError(f"{where}: its {len(stored):,} bytes are not {list(shape)} strings")
        array = np.empty(count, dtype=object)
        start = 0
        for index, length in enumerate(lengths):
            array[index] = stored[start : start + length]
            start += length
        return self._shaped(where, array, shape)

    def _shaped(self, where: str, flat: Array, shape: tuple[int, ...]) -> Array:
        try:
            return flat.reshape(shape)
        except ValueError as error:  # Zero times more than can be counted.
            raise _WrongError(f"{where}: {error}") from None

    def _bytes(self, where: str, name: str, dtype: str) -> Array:
        found = self._arrays.get(name)
        if found is None or found.dtype.name != dtype or found.ndim != 1:
            raise _WrongError(f"{where}: the array {name!r} is not there, or is no list of {dtype}")
        return found


def _each(content: Mapping[str, Any], key: str, read: Callable[[str, Mapping[str, Any]], Part]) -> tuple[Part, ...]:
    entries: Iterable[Any] = _list(content.get(key), key)
    return tuple(read(f"{key} {n}", _dict(entry, f"{key} {n}")) for n, entry in enumerate(entries))


def _model(entry: Mapping[str, Any]) -> RecordedModel:
    return RecordedModel(
        _text(entry.get("file"), "model: file"),
        _text(entry.get("sha256"), "model: sha256"),
        tuple(_text(tag, "model: tags") for tag in _list(entry.get("tags", []), "model: tags")),
        _texts(entry.get("files", {}), "model: files"),
    )


def _said(value: Any) -> str | tuple[str, ...]:
    return tuple(_text(v, "runtime") for v in value) if isinstance(value, list) else _text(value, "runtime")


def _texts(value: Any, where: str) -> dict[str, str]:
    return {name: _text(item, where) for name, item in _dict(value, where).items()}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _WrongError(f"{where}: is no text")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _WrongError(f"{where}: is no list")
    return value


def _dict(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError(f"{where}: is no object")
    return value
