"""Values as data and back: frozen records, enums and arrays, without pickle, for files and pipes that others may write.

`encode` gives JSON in which every record and enum carries its type's name. `decode` takes a declared type and lets
nothing else in: every field of every record is compared with its annotation. `write` and `read` do the same for a file
that also holds arrays: a header, the JSON, and then the bytes of each array in turn.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import enum
import functools
import json
import math
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

from migrate import sketches

if TYPE_CHECKING:
    import numpy as np

_TYPE = "_"
_MAPPING, _BYTES, _ARRAY = "dict", "bytes", "array"
_MAGIC = b"MIGRATE1"
_HEADER_BYTES = len(_MAGIC) + 8
MOST_JSON_BYTES = 1 << 28
"""A report of a million nodes, each of which a finding names, has a quarter of it."""
_BYTES_OF_A_VALUE = 16
_MOST_DEPTH = 200
"""Of values that no type describes, which are the configurations of Keras models; see `sources.keras_source`."""
_MOST_ARRAYS = 1 << 20
_MOST_DIMENSIONS = 32  # numpy's own limit before 2.0
_MOST_ELEMENTS = 1 << 48
_LARGEST_INT = 1 << 64
_SHOWN = 60

# Every dtype that a tensor's value may have (tensorflow/python/framework/dtypes.py), by numpy's name of it.
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


class DecodeError(ValueError):
    """Data is not what it was declared to be.

    Attributes:
      place: where in the value, as `.findings[3].severity`.
      reason: what was expected and found.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{place.lstrip('.')}: {reason}" if place else reason)
        self.place = place
        self.reason = reason

    def within(self, part: str) -> DecodeError:
        """The same error as the outer value has it."""
        return DecodeError(self.reason, part + self.place)


# Out


def encode(value: Any) -> Any:
    """Gives a record, or what a field of one may hold, as JSON can hold it.

    Raises:
      TypeError: it holds something else, an array among them.
    """
    return _encoded(value, None)


def to_json(value: Any) -> bytes:
    """Gives a value without arrays as a text."""
    return json.dumps(_encoded(value, None), separators=(",", ":")).encode()


def write(value: Any, descriptor: int) -> None:
    """Writes a value, arrays included, to an empty file; no array is copied.

    Raises:
      TypeError: there is no way to write it as data.
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
        return {_TYPE: type(value).__name__, **fields}
    if isinstance(value, enum.Enum):
        return {_TYPE: type(value).__name__, "value": value.value}
    if isinstance(value, Mapping):
        return {_TYPE: _MAPPING, "items": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, bytes):
        return {_TYPE: _BYTES, "base64": base64.b64encode(value).decode()}
    if type(value).__module__ == "numpy":
        if type(value).__name__ != "ndarray":
            return _encoded(value.item(), None)
        if arrays is not None:
            return {_TYPE: _ARRAY, "number": arrays.number(value)}
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

_Decoder = Callable[[Any, Sequence[Any]], Any]
"""Takes an encoded value, and the arrays that belong to it."""


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
    return _decoder(kind)(value, ())


def from_json(kind: Any, text: bytes) -> Any:
    """Takes back what `to_json` gave; see `decode`."""
    return _decoder(kind)(parsed(text), ())


def parsed(text: bytes, most_bytes: int = MOST_JSON_BYTES, finite: bool = False) -> Any:
    """JSON as a value, within bounds.

    Args:
      text: of the user's own files, more of it may make sense than of what a process has written.
      most_bytes: of text, for each of which a sixteenth of a value is allowed.
      finite: whether every number must be one.

    Raises:
      DecodeError: it is no JSON, or has too many bytes, values or levels.
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
        raise ValueError(f"{text[:_SHOWN]} is no number")
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
    return _decoder(kind)(content["value"], arrays)


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
        raise DecodeError(f"no shape: {str(shape)[:_SHOWN]}")
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
    raise DecodeError(f"an array of dtype {name[:_SHOWN]!r}")


@functools.cache
def _decoder(kind: Any) -> _Decoder:
    """What takes a value of a type in."""
    if kind is Any:
        return lambda value, _: _anything(value, _MOST_DEPTH)
    if kind is None or kind is type(None):
        return _scalar(type(None), "null")
    if kind is str:
        return _scalar(str, "a text")
    if kind is int:
        return _int
    if kind is bool:
        return _scalar(bool, "true or false")
    if kind is float:
        return _float
    if kind is bytes:
        return _bytes
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _sequence(_decoder(arguments[0]), tuple)
        return _fixed(tuple(map(_decoder, arguments)))
    if origin is list:
        return _sequence(_decoder(arguments[0]), list)
    if origin is dict:
        return _object(_decoder(arguments[1]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*map(_decoder, arguments))
    if typing.is_typeddict(kind):
        return _typed_dict(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return _record(kind)
    if _is_array(kind):
        return _array
    raise TypeError(f"no values of type {kind!r} are read from data")


def _is_array(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    # From NumPy 2.5 on `NDArray` is an alias as of `type NDArray[T] = ...`, which has what it stands for as its value.
    meant = getattr(origin, "__value__", origin)
    return getattr(typing.get_origin(meant) or meant, "__module__", "") == "numpy"


def _found(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get(_TYPE), str):
        return repr(value[_TYPE][:_SHOWN])
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _anything(value: Any, depth: int) -> Any:
    if isinstance(value, (dict, list)) and depth == 0:
        raise DecodeError("nested too deeply")
    if isinstance(value, list):
        return [_anything(item, depth - 1) for item in value]
    if isinstance(value, dict):
        if value.keys() != {_TYPE, "items"} or value[_TYPE] != _MAPPING or not isinstance(value["items"], list):
            raise DecodeError(f"expected plain values, found {_found(value)}")
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value["items"]):
            raise DecodeError("expected pairs of a name and a value")
        return {key: _anything(item, depth - 1) for key, item in value["items"]}
    return value


def _scalar(kind: type, name: str) -> _Decoder:
    def take(value: Any, _: Sequence[Any]) -> Any:
        if type(value) is not kind:
            raise DecodeError(f"expected {name}, found {_found(value)}")
        return value

    return take


def _int(value: Any, _: Sequence[Any]) -> int:
    if type(value) is not int or abs(value) > _LARGEST_INT:
        raise DecodeError(f"expected a whole number, found {_found(value)}")
    return value


def _float(value: Any, _: Sequence[Any]) -> float:
    if type(value) not in (float, int):
        raise DecodeError(f"expected a number, found {_found(value)}")
    try:
        return float(value)
    except OverflowError:
        raise DecodeError("a number that no float can hold") from None


def _bytes(value: Any, _: Sequence[Any]) -> bytes:
    if not isinstance(value, dict) or value.keys() != {_TYPE, "base64"} or not isinstance(value["base64"], str):
        raise DecodeError(f"expected bytes, found {_found(value)}")
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (ValueError, binascii.Error):
        raise DecodeError("expected bytes, found no base64") from None


def _array(value: Any, arrays: Sequence[Any]) -> Any:
    number = value.get("number") if isinstance(value, dict) and value.get(_TYPE) == _ARRAY else None
    if type(number) is not int or not 0 <= number < len(arrays):
        raise DecodeError(f"expected an array, found {_found(value)}")
    return arrays[number]


def _sequence(item: _Decoder, make: Callable[[list[Any]], Any]) -> _Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not list:
            raise DecodeError(f"expected a list, found {_found(value)}")
        taken: list[Any] = []
        try:
            for each in value:
                taken.append(item(each, arrays))
        except DecodeError as error:
            raise error.within(f"[{len(taken)}]") from None
        return make(taken)

    return take


def _fixed(items: tuple[_Decoder, ...]) -> _Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise DecodeError(f"expected a list of {len(items)}, found {_found(value)}")
        return tuple(item(each, arrays) for item, each in zip(items, value, strict=True))

    return take


def _mapping(key: _Decoder, item: _Decoder) -> _Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if not isinstance(value, dict) or value.get(_TYPE) != _MAPPING or not isinstance(value.get("items"), list):
            raise DecodeError(f"expected a mapping, found {_found(value)}")
        taken = {}
        for pair in value["items"]:
            if type(pair) is not list or len(pair) != 2:
                raise DecodeError(f"expected a key and a value, found {_found(pair)}")
            name = key(pair[0], arrays)
            try:
                taken[name] = item(pair[1], arrays)
            except DecodeError as error:
                raise error.within(f"[{str(name)[:_SHOWN]!r}]") from None
        return taken

    return take


def _object(item: _Decoder) -> _Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not dict:
            raise DecodeError(f"expected an object, found {_found(value)}")
        taken = {}
        for name, each in value.items():
            try:
                taken[name] = item(each, arrays)
            except DecodeError as error:
                raise error.within(f"[{name[:_SHOWN]!r}]") from None
        return taken

    return take


def _typed_dict(kind: Any) -> _Decoder:
    fields = {name: _decoder(hint) for name, hint in typing.get_type_hints(kind).items()}
    required = kind.__required_keys__

    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not dict:
            raise DecodeError(f"expected an object, found {_found(value)}")
        for name in required:
            if name not in value:
                raise DecodeError(f"{name!r} is missing")
        taken = _fields(fields, value, arrays)
        return {name: taken.get(name, each) for name, each in value.items()}

    return take


def _fields(fields: Mapping[str, _Decoder], value: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
    taken = {}
    for name, field in fields.items():
        if name in value:
            try:
                taken[name] = field(value[name], arrays)
            except DecodeError as error:
                raise error.within(f".{name}") from None
    return taken


def _record(kind: Any) -> _Decoder:
    hints = typing.get_type_hints(kind, localns={"Sketch": sketches.Sketch})
    fields = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(kind)}
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not dict or value.get(_TYPE) != kind.__name__:
            raise DecodeError(f"expected a {kind.__name__}, found {_found(value)}")
        for name in required:
            if name not in value:
                raise DecodeError(f"{name!r} is missing in a {kind.__name__}")
        for name in value:
            if name not in fields and name != _TYPE:
                raise DecodeError(f"a {kind.__name__} has no {name[:_SHOWN]!r}")
        return kind(**_fields(fields, value, arrays))

    return take


def _enum(kind: type[enum.Enum]) -> _Decoder:
    members = {member.value: member for member in kind}

    def take(value: Any, _: Sequence[Any]) -> Any:
        if type(value) is not dict or value.keys() != {_TYPE, "value"} or value[_TYPE] != kind.__name__:
            raise DecodeError(f"expected a {kind.__name__}, found {_found(value)}")
        if not isinstance(value["value"], (str, int)) or value["value"] not in members:
            raise DecodeError(f"no {kind.__name__}: {_found(value['value'])}")
        return members[value["value"]]

    return take


def _literal(choices: tuple[Any, ...]) -> _Decoder:
    def take(value: Any, _: Sequence[Any]) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise DecodeError(f"expected {' or '.join(map(repr, choices))}, found {_found(value)}")
        return value

    return take


def _union(arguments: tuple[Any, ...]) -> _Decoder:
    tagged: dict[str, _Decoder] = {}
    others: list[_Decoder] = []
    for argument in arguments:
        name = _tag(argument)
        if name is None:
            others.append(_decoder(argument))
        else:
            tagged[name] = _decoder(argument)
    real = [_decoder(argument) for argument in arguments if argument is not type(None)]
    expected = " or ".join(_name(argument) for argument in arguments)

    def take(value: Any, arrays: Sequence[Any]) -> Any:
        name = value.get(_TYPE) if type(value) is dict else None
        if isinstance(name, str) and name in tagged:
            return tagged[name](value, arrays)
        for other in others:
            with contextlib.suppress(DecodeError):
                return other(value, arrays)
        if value is not None and len(real) == 1:
            return real[0](value, arrays)  # Its error tells more than that none of the types fits.
        raise DecodeError(f"expected {expected}, found {_found(value)}")

    return take


def _tag(kind: Any) -> str | None:
    """The name that a value of a type carries in its JSON, where it carries one."""
    origin = typing.get_origin(kind)
    if _is_array(kind):
        return _ARRAY
    if kind is bytes:
        return _BYTES
    if isinstance(origin, type) and issubclass(origin, Mapping) and origin is not dict:
        return _MAPPING
    if isinstance(kind, type) and (issubclass(kind, enum.Enum) or dataclasses.is_dataclass(kind)):
        return kind.__name__
    return None


def _name(kind: Any) -> str:
    return "null" if kind is type(None) else getattr(kind, "__name__", str(kind))
