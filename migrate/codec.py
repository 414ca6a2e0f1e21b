"""Encodes frozen records, enums and arrays as data and decodes them, without pickle, since others may write the files.

`encode` returns JSON in which every record and enum carries the name of its type. `decode` takes a declared type and
rejects everything else: every field of every record is checked against its annotation. `write` and `read` do the same
for a file that also holds arrays: a header, the JSON, and then the bytes of each array.
"""

from __future__ import annotations

import base64
import enum
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.decoders import ARRAY, BYTES, MAPPING, SHOWN, TYPE, DecodeError, decoder

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"MIGRATE1"
_HEADER_BYTES = len(_MAGIC) + 8
MOST_JSON_BYTES = 1 << 28
"""Four times the size of a report whose findings name a million nodes."""
_BYTES_OF_A_VALUE = 16
_MOST_ARRAYS = 1 << 20
_MOST_DIMENSIONS = 32  # numpy's own limit before 2.0
_MOST_ELEMENTS = 1 << 48

# Every dtype of a tensor's value (tensorflow/python/framework/dtypes.py), by its numpy name.
_PLAIN_DTYPES = frozenset(
    """bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128
    """.split()  # noqa: SIM905 (one name a line would be a page)
)
_EXTENSION_DTYPES = frozenset(
    """bfloat16 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz float4_e2m1fn
    int2 int4 uint2 uint4""".split()  # noqa: SIM905
)
_STRUCTURED_DTYPES = {
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
    "resource": "uint8",
}
_STRING = "string"


# Out


def encode(value: Any) -> Any:
    """Returns a record, or the value of a field, as JSON values.

    Raises:
      TypeError: it holds anything else, such as an array.
    """
    return _encoded(value, None)


def to_json(value: Any) -> bytes:
    """Returns a value without arrays as JSON text."""
    return json.dumps(_encoded(value, None), separators=(",", ":")).encode()


def write(value: Any, descriptor: int) -> None:
    """Writes a value, arrays included, to an empty file; no array is copied.

    Raises:
      TypeError: it cannot be written as data.
    """
    arrays = _Arrays()
    encoded = _encoded(value, arrays)
    content = {"value": encoded, "arrays": arrays.described()}
    text = json.dumps(content, separators=(",", ":")).encode()
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(_MAGIC + len(text).to_bytes(8, "little") + text)
        for part in arrays.parts():
            stream.write(part)


def _encoded(value: Any, arrays: _Arrays | None) -> Any:
    if value is None or (isinstance(value, (str, bool, int, float)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, (tuple, list)):
        return [_encoded(item, arrays) for item in value]
    if hasattr(type(value), "__dataclass_fields__"):
        fields = {name: _encoded(getattr(value, name), arrays) for name in value.__dataclass_fields__}
        return {TYPE: type(value).__name__, **fields}
    if isinstance(value, enum.Enum):
        return {TYPE: type(value).__name__, "value": value.value}
    if isinstance(value, Mapping):
        return {TYPE: MAPPING, "items": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, bytes):
        return {TYPE: BYTES, "base64": base64.b64encode(value).decode()}
    if type(value).__module__ == "numpy":
        if type(value).__name__ != "ndarray":
            return _encoded(value.item(), None)
        if arrays is not None:
            return {TYPE: ARRAY, "number": arrays.number(value)}
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as data")


class _Arrays:
    """The arrays of a value. One that occurs several times is written once."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._arrays: list[tuple[Any, Any]] = []
        """Each as it was given, so that its id stays its own, and as it is written."""
        self._described: list[tuple[str, list[int], int]] = []

    def number(self, value: Any) -> int:
        """Takes an array in."""
        import numpy as np

        if id(value) not in self._numbers:
            array = np.asarray(value)
            name = _dtype_name(array.dtype)
            if name == _STRING:
                items = array.ravel().tolist()
                if not all(type(item) is bytes for item in items):
                    raise TypeError("an array of objects cannot be written as data, unless all are bytes")
                lengths = np.array([len(item) for item in items], dtype="<i8")
                flat: Any = (lengths, items)
                size = lengths.nbytes + int(lengths.sum())
            else:
                ordered = array.astype(array.dtype.newbyteorder("<"), copy=False)
                flat = np.ascontiguousarray(ordered).reshape(-1)
                size = flat.nbytes
            self._numbers[id(value)] = len(self._arrays)
            self._arrays.append((value, flat))
            self._described.append((name, list(array.shape), size))
        return self._numbers[id(value)]

    def described(self) -> list[tuple[str, list[int], int]]:
        """(dtype, shape, bytes) of each."""
        return self._described

    def parts(self) -> Iterator[Any]:
        """Their bytes, one after the other."""
        for (name, _, _), (_, flat) in zip(self._described, self._arrays, strict=True):
            if name == _STRING:
                lengths, items = flat
                yield memoryview(lengths).cast("B") if lengths.size else b""
                yield b"".join(items)
            else:
                yield memoryview(flat.view("u1")) if flat.size else b""


def _dtype_name(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "O":
        return _STRING
    name = dtype.names[0] if dtype.names is not None and len(dtype.names) == 1 else dtype.name
    if name not in _PLAIN_DTYPES | _EXTENSION_DTYPES and name not in _STRUCTURED_DTYPES:
        raise TypeError(f"an array of dtype {dtype} cannot be written as data")
    return name


# In


def decode(kind: Any, value: Any) -> Any:
    """Takes back what `encode` gave.

    Args:
      kind: its type: a record, an enum, a plain type, `tuple[...]`, `Mapping[...]`, an array, or a union of these;
        `Any` for lists and mappings of plain values. In plain JSON: a TypedDict, `list[...]`, `dict[str, ...]`, a
        Literal.
      value: as JSON has it.

    Raises:
      DecodeError: it is nothing of that type; the message names the place.
    """
    return decoder(kind)(value, ())


def from_json(kind: Any, text: bytes) -> Any:
    """Takes back what `to_json` gave; see `decode`.

    Example:
      >>> from_json(tuple[int, ...], to_json((1, 2)))
      (1, 2)
    """
    return decoder(kind)(parsed(text), ())


def parsed(text: bytes, most_bytes: int = MOST_JSON_BYTES, finite: bool = False) -> Any:
    """JSON as a value, within bounds.

    Args:
      text: of the user's own files, more of it may make sense than of what a process has written.
      most_bytes: of text, for each of which a sixteenth of a value is allowed.
      finite: whether every number must be one.

    Raises:
      DecodeError: it is no JSON, or has too many bytes, values or levels.

    Example:
      >>> parsed(b'{"a": [1, 2]}')
      {'a': [1, 2]}
    """
    if len(text) > most_bytes:
        raise DecodeError(f"{len(text):,} bytes of JSON, where {most_bytes:,} are the most that is read")
    # Every value but the first comes after one of these.
    if sum(map(text.count, (b",", b"[", b"{"))) > most_bytes // _BYTES_OF_A_VALUE:
        raise DecodeError(f"more than {most_bytes // _BYTES_OF_A_VALUE:,} values of JSON")
    try:
        if finite:
            return json.loads(text, parse_constant=_finite, parse_float=_finite)
        return json.loads(text)
    except RecursionError:
        raise DecodeError("no JSON that is read (nested too deeply)") from None
    except ValueError as error:
        raise DecodeError(f"no JSON ({str(error)[:200]})") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:SHOWN]} is no number")
    return value


def read(kind: Any, descriptor: int) -> Any:
    """Takes back what `write` gave, from a file that this process has opened; see `decode`.

    The file's offset, which other processes may share, is neither used nor moved.

    Raises:
      DecodeError: it is nothing of that type.
    """
    size = os.fstat(descriptor).st_size
    # Who wrote it had it in memory, and this process is to hold it, too.
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if size > most:
        raise DecodeError(f"{size:,} bytes, where {most:,} are the most that is read")
    header = _bytes_at(descriptor, 0, _HEADER_BYTES)
    length = int.from_bytes(header[len(_MAGIC) :], "little")
    if header[: len(_MAGIC)] != _MAGIC or length > size - _HEADER_BYTES:
        raise DecodeError("not a file of this kind")
    if length > MOST_JSON_BYTES:
        raise DecodeError(f"{length:,} bytes of JSON, where {MOST_JSON_BYTES:,} are the most that is read")
    content = parsed(_bytes_at(descriptor, _HEADER_BYTES, length))
    if not isinstance(content, dict) or content.keys() != {"value", "arrays"}:
        raise DecodeError("a file without its value or its arrays")
    described = decode(list[tuple[str, list[int], int]], content["arrays"])
    if len(described) > _MOST_ARRAYS:
        raise DecodeError(f"{len(described):,} arrays")
    if sum(nbytes for _, _, nbytes in described) != size - _HEADER_BYTES - length:
        raise DecodeError("arrays of another size than the file has")
    arrays, place = [], _HEADER_BYTES + length
    for number, (name, shape, nbytes) in enumerate(described):
        try:
            arrays.append(_array_at(descriptor, place, name, shape, nbytes))
        except DecodeError as error:
            raise error.within(f"arrays[{number}]") from None
        place += nbytes
    return decoder(kind)(content["value"], arrays)


def _bytes_at(descriptor: int, place: int, count: int) -> bytes:
    data = bytearray(count)
    _read_into(descriptor, place, memoryview(data))
    return bytes(data)


def _read_into(descriptor: int, place: int, view: memoryview) -> None:
    while len(view):
        done = os.preadv(descriptor, [view], place)
        if not done:
            raise DecodeError("a file that ends too soon")
        place, view = place + done, view[done:]


def _array_at(descriptor: int, place: int, name: str, shape: Sequence[int], nbytes: int) -> Any:
    import numpy as np

    if len(shape) > _MOST_DIMENSIONS or any(not 0 <= size <= _MOST_ELEMENTS for size in shape):
        raise DecodeError(f"no shape: {str(shape)[:SHOWN]}")
    count = math.prod(shape)
    if math.prod(filter(None, shape)) > _MOST_ELEMENTS:
        raise DecodeError(f"more elements than there can be: {shape}")
    if name == _STRING:
        return _strings_at(descriptor, place, count, nbytes).reshape(shape)
    dtype = _dtype(name)
    if count * dtype.itemsize != nbytes:
        raise DecodeError(f"{nbytes:,} bytes for an array of {name} of shape {list(shape)}")
    array = np.empty(count, dtype)
    if count:
        _read_into(descriptor, place, array.view("u1").data)
    return array.reshape(shape)


def _strings_at(descriptor: int, place: int, count: int, nbytes: int) -> Any:
    import numpy as np

    if count * 8 > nbytes:
        raise DecodeError(f"{nbytes:,} bytes for {count:,} strings")
    lengths = np.frombuffer(_bytes_at(descriptor, place, count * 8), dtype="<i8").tolist()
    if any(length < 0 for length in lengths) or sum(lengths) != nbytes - count * 8:
        raise DecodeError("strings of another length than the file has")
    data = _bytes_at(descriptor, place + count * 8, nbytes - count * 8)
    array = np.empty(count, dtype=object)
    start = 0
    for number, length in enumerate(lengths):
        array[number] = data[start : start + length]
        start += length
    return array


def _dtype(name: str) -> np.dtype[Any]:
    import numpy as np

    if name in _PLAIN_DTYPES:
        return np.dtype(name)
    if name in _STRUCTURED_DTYPES:
        return np.dtype([(name, _STRUCTURED_DTYPES[name])])
    if name in _EXTENSION_DTYPES:
        import ml_dtypes  # comes with TensorFlow

        if hasattr(ml_dtypes, name):
            extension: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
            return extension
    raise DecodeError(f"an array of dtype {name[:SHOWN]!r}")
