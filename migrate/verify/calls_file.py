"""Reads a file with calls as far as it can be read without a model: what is wrong with it is wrong for every model.

Anything may be wrong with it: it is bounded before it is read, and each failure names the file and the place.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.sources.files import read_file
from migrate.verify.calls import Array

_MOST_JSON = 256 << 20  # Python's objects take some twenty times as much.
_MOST_NPZ = 4 << 30
"""Bytes of a file, and of all the arrays that it unpacks to."""
_DEEPEST = 64
"""How deep lists may be nested: more dimensions than numpy's arrays and TensorFlow's tensors have."""
_KINDS = "biufcSUO"
"""Kinds of numpy's dtypes that an input may be given in; objects are refused before that."""
_UNPACKING = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error, ValueError, KeyError)
"""What zipfile raises for members that are damaged."""
_UNSUPPORTED = (NotImplementedError, RuntimeError)
"""What it raises for ways of packing that it does not know, and for passwords."""

_PARSING = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
)
"""What numpy's reader of headers raises: it takes them for Python, whose parser has its own limits."""


class Object(dict[str, Any]):
    """A JSON object that knows whether a name was given twice."""

    twice: str | None = None


@frozen
class Unnamed:
    """Values that only the signature gives names, as TensorFlow Serving's REST interface takes them.

    Attributes:
      key: `inputs` of the value of the only input; `instances` of a list with an entry for each row of the batch,
        which is the value of the only input or an object with a value for each input.
      value: as JSON has it.
    """

    key: str
    value: Any


@frozen
class Entry:
    """A call of a JSON file.

    Attributes:
      signature: None for the default one.
      inputs: values by name, as JSON has them.
    """

    signature: str | None
    inputs: Mapping[str, Any] | Unnamed


@frozen
class Logs:
    """Requests that a model server has logged.

    Attributes:
      found: in order; see `prediction_logs.Logged`.
    """

    found: tuple[Any, ...]

    def __bool__(self) -> bool:
        return bool(self.found)


def read_json(path: str) -> tuple[Entry, ...]:
    """The calls of a JSON file.

    Raises:
      InputError: it cannot be read, is no JSON, or has not the form that `given.load_calls` describes.
    """
    text = _text(path, _bytes(path, _MOST_JSON))
    documents = _documents(path, text)
    in_a_list = len(documents) == 1 and isinstance(documents[0], list)
    entries = documents[0] if in_a_list else map(_whole, documents)
    return tuple(_entry(f"{path}: call {number}", entry) for number, entry in enumerate(entries))


def _documents(path: str, text: str) -> list[Any]:
    """The JSON document of a file, or those of its lines where it has one in each."""
    try:
        return [_parsed(path, text, 1)]
    except _ManyDocumentsError as error:
        numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if error.line == numbered[0][0]:
            raise
        return [_parsed(path, line, number) for number, line in numbered]


class _ManyDocumentsError(InputError):
    """Something follows the document; `line` is where."""

    line = 0


def _parsed(path: str, text: str, first: int) -> Any:
    """A document that begins in the line `first` of the file."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise InputError(f"{path}: {_deep_place(text)}") from None
    except MemoryError:
        raise InputError(f"{path}: reading it takes more memory than there is") from None
    except json.JSONDecodeError as error:
        line = error.lineno + first - 1
        message = f"{path}: line {line}, column {error.colno}: no JSON: {error.msg}"
        if error.msg != "Extra data":
            raise InputError(message) from None
        many = _ManyDocumentsError(message)
        many.line = line
        raise many from None
    except ValueError as error:  # Of a constant, or of a number that is longer than Python takes.
        raise InputError(f"{path}: {error}") from None


_KEYS = frozenset({"signature", "signature_name", "inputs", "instances", "specs"})
"""Of a call that is written in full. `specs` is for people: `migrate inputs` writes dtypes and shapes there."""


def _whole(entry: Any) -> Any:
    """A call in full, where it may be written as the values of its inputs alone."""
    if not isinstance(entry, dict) or isinstance(entry.get("inputs"), dict):
        return entry
    in_full = entry.keys() <= _KEYS and entry.keys() & {"inputs", "instances"}
    return entry if in_full else Object(inputs=entry)


def _object(pairs: list[tuple[str, Any]]) -> Object:
    found = Object(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        found.twice = next(name for name in names if names.count(name) > 1)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON; give such a value in a .npz file")


_FORM = '{"signature": ..., "inputs": {name: value}}'


def _entry(where: str, entry: Any) -> Entry:
    if not isinstance(entry, dict) or not entry.keys() & {"inputs", "instances"}:
        raise InputError(f"{where}: expected {_FORM}, found {_named(entry)}")
    _check_twice(where, entry)
    others = sorted(entry.keys() - _KEYS)
    if others:
        raise InputError(f"{where}: {others[0]!r} is none of {', '.join(map(repr, sorted(_KEYS)))}")
    for pair in (("signature", "signature_name"), ("inputs", "instances")):
        if entry.keys() >= set(pair):
            raise InputError(f"{where}: has {pair[0]!r} and {pair[1]!r}, which mean the same; give one of them")
    signature = entry.get("signature", entry.get("signature_name"))
    if not isinstance(signature, str | None):
        raise InputError(f"{where}: 'signature' is the name of one, found {_named(signature)}")
    if "instances" in entry:
        _check_rows(where, entry["instances"])
        return Entry(signature, Unnamed("instances", entry["instances"]))
    inputs = entry["inputs"]
    if not isinstance(inputs, dict):
        _check_value(f"{where}: 'inputs'", inputs)
        return Entry(signature, Unnamed("inputs", inputs))
    _check_twice(where, inputs)
    for name, value in inputs.items():
        _check_value(f"{where}: input {name!r}", value)
    return Entry(signature, inputs)


def is_row(value: Any) -> bool:
    """Whether an entry of `instances` is an object with a value for each input, and not itself a value."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def _check_rows(where: str, rows: Any) -> None:
    if not isinstance(rows, list) or not rows:
        found = "an empty one" if isinstance(rows, list) else _named(rows)
        raise InputError(f"{where}: 'instances' is a list with an entry for each row of the batch, found {found}")
    named = [is_row(row) for row in rows]
    if any(named) != all(named):
        raise InputError(f"{where}: row {named.index(not named[0])}: of 'instances' all are objects or none is")
    if not named[0]:
        _check_value(f"{where}: 'instances'", rows)
        return
    for number, row in enumerate(rows):
        _check_twice(f"{where}: row {number}", row)
        if row.keys() != rows[0].keys():
            raise InputError(f"{where}: row {number}: has other inputs than row 0")
        for name, value in row.items():
            _check_value(f"{where}: row {number}: input {name!r}", value)


def _check_value(where: str, value: Any) -> None:
    """Whether a value can be an array at all, of whatever dtype."""
    if isinstance(value, dict):
        _check_twice(where, value)
        for part, inner in value.items():
            if isinstance(inner, dict):
                raise InputError(f"{where}: {part!r}: expected a list or text, found {_named(inner)}")
            _check_value(f"{where}: {part!r}", inner)
    else:
        _shape(where, value, 0)


def _shape(where: str, value: Any, depth: int) -> tuple[int, ...]:
    """The shape of nested lists, all of whose rows are alike."""
    if isinstance(value, dict):
        _check_twice(where, value)
    if not isinstance(value, list):
        return ()
    if depth >= _DEEPEST:
        raise InputError(f"{where}: lists are nested deeper than {_DEEPEST}, which no tensor is")
    if not any(isinstance(item, list) for item in value):
        for item in value:
            if isinstance(item, dict):
                _check_twice(where, item)
        return (len(value),)
    first: tuple[int, ...] | None = None
    for number, item in enumerate(value):
        shape = _shape(where, item, depth + 1)
        if first is not None and shape != first:
            raise InputError(
                f"{where}: rows differ in length: row {number} has the shape {list(shape)}, the ones before it have "
                f"{list(first)}"
            )
        first = shape
    assert first is not None
    return (len(value), *first)


def _check_twice(where: str, value: Mapping[str, Any]) -> None:
    if isinstance(value, Object) and value.twice is not None:
        raise InputError(f"{where}: the name {value.twice!r} is given twice")


def _named(value: Any) -> str:
    names = {Object: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: no UTF-8 ({error.reason})") from None


_MARK = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def _deep_place(text: str) -> str:
    """Where the nesting becomes too deep for a tensor."""
    depth, inside = 0, False
    for found in _MARK.finditer(text):
        if found[0] == '"':
            inside = not inside
        elif not inside and found[0] in "[]{}":
            depth += 1 if found[0] in "[{" else -1
            if depth > _DEEPEST:
                return f"character {found.start()}: nested deeper than {_DEEPEST}, which no tensor is"
    return f"nested deeper than {_DEEPEST}, which no tensor is"


# Arrays.


_TAKES = "--inputs takes a .npz, a .json or a TFRecord file with calls"


def read_npz(path: str, takes: str = _TAKES) -> Mapping[str, Array]:
    """The arrays of a .npz file, none of which holds Python objects.

    Args:
      path: of the file.
      takes: what is wanted, for the message where nothing is there.

    Raises:
      InputError: it cannot be read, is damaged, or holds something else.
    """
    data = _bytes(path, _MOST_NPZ, takes)
    try:
        return dict(_arrays(path, data))
    except MemoryError:
        raise InputError(f"{path}: reading it takes more memory than there is") from None


def _arrays(path: str, data: bytes) -> Iterator[tuple[str, Array]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (*_UNPACKING, *_UNSUPPORTED) as error:
        raise InputError(f"{path}: no .npz, or cut short: {error}") from None
    left = _MOST_NPZ
    seen: set[str] = set()
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        where = f"{path}: array {name!r}"
        if name in seen:
            raise InputError(f"{where}: is there twice")
        seen.add(name)
        left -= info.file_size
        if left < 0:
            raise InputError(f"{path}: its arrays have more than {_MOST_NPZ:,} bytes, which is the most that is read")
        try:
            with archive.open(info) as member:
                content = member.read(info.file_size)  # No more than it says it has: then it is damaged.
                if member.read(1):
                    raise InputError(f"{where}: damaged: it has more than the {info.file_size:,} bytes that it claims")
        except _UNSUPPORTED as error:
            raise InputError(f"{where}: is packed in a way that is not read: {error}") from None
        except _UNPACKING as error:
            raise InputError(f"{where}: damaged: {error}") from None
        yield name, _array(where, content)


def _array(where: str, content: bytes) -> Array:
    """An array of the .npy format (numpy.lib.format) in version 1 or 2; 3 is for records, which no tensor is."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(
                f"{where}: is of version {version[0]}.{version[1]} of the .npy format; 1.0 and 2.0 are read"
            )
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except _PARSING as error:
        raise InputError(f"{where}: no .npy, or damaged: {' '.join(str(error).split())[:200]}") from None
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, which are not loaded")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise InputError(f"{where}: dtype {dtype} is none of a tensor's dtypes")
    held = len(content) - stream.tell()
    count = math.prod(shape)
    if any(size < 0 for size in shape) or len(shape) > _DEEPEST or count * dtype.itemsize != held:
        raise InputError(
            f"{where}: its shape {_shortened(shape)} of {dtype} does not fit the {held:,} bytes that it has"
        )
    flat: Array = np.frombuffer(content, dtype, count, stream.tell())
    try:
        return flat.reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # More dimensions than numpy has, or zero times more than it can count.
        raise InputError(f"{where}: its shape {_shortened(shape)}: {error}") from None


def _shortened(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape[:8]))}{', ...' if len(shape) > 8 else ''}]"


def _bytes(path: str, most: int, takes: str = _TAKES) -> bytes:
    try:
        return read_file(path, most)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {takes}") from None
    except MemoryError:
        raise InputError(f"{path}: reading it takes more memory than there is") from None
