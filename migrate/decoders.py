"""Makes values of declared types out of JSON, and rejects everything else.

Every field of every record is checked against its annotation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union

from migrate import sketches

TYPE = "_"
"""The key under which a record, an enum, a mapping, bytes and an array carry the name of their type."""
MAPPING, BYTES, ARRAY = "dict", "bytes", "array"
MOST_DEPTH = 200
"""The limit for values without a declared type: the configurations of Keras models, see `sources.keras_source`."""
_LARGEST_INT = 1 << 64
SHOWN = 60

Decoder = Callable[[Any, Sequence[Any]], Any]
"""Takes an encoded value, and the arrays that belong to it."""
"""Takes JSON and the arrays beside it."""


class DecodeError(ValueError):
    """Data does not have its declared type.

    Attributes:
      place: the place in the value, such as `.findings[3].severity`.
      reason: what was expected and found.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{place.lstrip('.')}: {reason}" if place else reason)
        self.place = place
        self.reason = reason

    def within(self, part: str) -> DecodeError:
        """The same error, with its place in the outer value."""
        return DecodeError(self.reason, part + self.place)


@functools.cache
def decoder(kind: Any) -> Decoder:
    """The decoder of a type."""
    if kind is Any:
        return lambda value, _: _anything(value, MOST_DEPTH)
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
            return _sequence(decoder(arguments[0]), tuple)
        return _fixed(tuple(map(decoder, arguments)))
    if origin is list:
        return _sequence(decoder(arguments[0]), list)
    if origin is dict:
        return _object(decoder(arguments[1]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*map(decoder, arguments))
    if typing.is_typeddict(kind):
        return _typed_dict(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return _record(kind)
    if is_array(kind):
        return _array
    raise TypeError(f"no values of type {kind!r} are read from data")


def is_array(kind: Any) -> bool:
    """Whether a declared type is NumPy's array, whatever releases of Python and NumPy call it.

    Example:
      >>> is_array(dict), is_array(list[int])
      (False, False)
    """
    origin = typing.get_origin(kind) or kind
    # From NumPy 2.5 on `NDArray` is an alias as of `type NDArray[T] = ...`, which has what it stands for as its value.
    meant = getattr(origin, "__value__", origin)
    return getattr(typing.get_origin(meant) or meant, "__module__", "") == "numpy"


def _found(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get(TYPE), str):
        return repr(value[TYPE][:SHOWN])
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _anything(value: Any, depth: int) -> Any:
    if isinstance(value, (dict, list)) and depth == 0:
        raise DecodeError("nested too deeply")
    if isinstance(value, list):
        return [_anything(item, depth - 1) for item in value]
    if isinstance(value, dict):
        if value.keys() != {TYPE, "items"} or value[TYPE] != MAPPING or not isinstance(value["items"], list):
            raise DecodeError(f"expected plain values, found {_found(value)}")
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value["items"]):
            raise DecodeError("expected pairs of a name and a value")
        return {key: _anything(item, depth - 1) for key, item in value["items"]}
    return value


def _scalar(kind: type, name: str) -> Decoder:
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
    if not isinstance(value, dict) or value.keys() != {TYPE, "base64"} or not isinstance(value["base64"], str):
        raise DecodeError(f"expected bytes, found {_found(value)}")
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (ValueError, binascii.Error):
        raise DecodeError("expected bytes, found no base64") from None


def _array(value: Any, arrays: Sequence[Any]) -> Any:
    number = value.get("number") if isinstance(value, dict) and value.get(TYPE) == ARRAY else None
    if type(number) is not int or not 0 <= number < len(arrays):
        raise DecodeError(f"expected an array, found {_found(value)}")
    return arrays[number]


def _sequence(item: Decoder, make: Callable[[list[Any]], Any]) -> Decoder:
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


def _fixed(items: tuple[Decoder, ...]) -> Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise DecodeError(f"expected a list of {len(items)}, found {_found(value)}")
        return tuple(item(each, arrays) for item, each in zip(items, value, strict=True))

    return take


def _mapping(key: Decoder, item: Decoder) -> Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if not isinstance(value, dict) or value.get(TYPE) != MAPPING or not isinstance(value.get("items"), list):
            raise DecodeError(f"expected a mapping, found {_found(value)}")
        taken = {}
        for pair in value["items"]:
            if type(pair) is not list or len(pair) != 2:
                raise DecodeError(f"expected a key and a value, found {_found(pair)}")
            name = key(pair[0], arrays)
            try:
                taken[name] = item(pair[1], arrays)
            except DecodeError as error:
                raise error.within(f"[{str(name)[:SHOWN]!r}]") from None
        return taken

    return take


def _object(item: Decoder) -> Decoder:
    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not dict:
            raise DecodeError(f"expected an object, found {_found(value)}")
        taken = {}
        for name, each in value.items():
            try:
                taken[name] = item(each, arrays)
            except DecodeError as error:
                raise error.within(f"[{name[:SHOWN]!r}]") from None
        return taken

    return take


def _typed_dict(kind: Any) -> Decoder:
    fields = {name: decoder(hint) for name, hint in typing.get_type_hints(kind).items()}
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


def _fields(fields: Mapping[str, Decoder], value: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
    taken = {}
    for name, field in fields.items():
        if name in value:
            try:
                taken[name] = field(value[name], arrays)
            except DecodeError as error:
                raise error.within(f".{name}") from None
    return taken


def _record(kind: Any) -> Decoder:
    hints = typing.get_type_hints(kind, localns={"Sketch": sketches.Sketch})
    fields = {field.name: decoder(hints[field.name]) for field in dataclasses.fields(kind)}
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def take(value: Any, arrays: Sequence[Any]) -> Any:
        if type(value) is not dict or value.get(TYPE) != kind.__name__:
            raise DecodeError(f"expected a {kind.__name__}, found {_found(value)}")
        for name in required:
            if name not in value:
                raise DecodeError(f"{name!r} is missing in a {kind.__name__}")
        for name in value:
            if name not in fields and name != TYPE:
                raise DecodeError(f"a {kind.__name__} has no {name[:SHOWN]!r}")
        return kind(**_fields(fields, value, arrays))

    return take


def _enum(kind: type[enum.Enum]) -> Decoder:
    members = {member.value: member for member in kind}

    def take(value: Any, _: Sequence[Any]) -> Any:
        if type(value) is not dict or value.keys() != {TYPE, "value"} or value[TYPE] != kind.__name__:
            raise DecodeError(f"expected a {kind.__name__}, found {_found(value)}")
        if not isinstance(value["value"], (str, int)) or value["value"] not in members:
            raise DecodeError(f"no {kind.__name__}: {_found(value['value'])}")
        return members[value["value"]]

    return take


def _literal(choices: tuple[Any, ...]) -> Decoder:
    def take(value: Any, _: Sequence[Any]) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise DecodeError(f"expected {' or '.join(map(repr, choices))}, found {_found(value)}")
        return value

    return take


def _union(arguments: tuple[Any, ...]) -> Decoder:
    tagged: dict[str, Decoder] = {}
    others: list[Decoder] = []
    for argument in arguments:
        name = tag_of(argument)
        if name is None:
            others.append(decoder(argument))
        else:
            tagged[name] = decoder(argument)
    real = [decoder(argument) for argument in arguments if argument is not type(None)]
    expected = " or ".join(_name(argument) for argument in arguments)

    def take(value: Any, arrays: Sequence[Any]) -> Any:
        name = value.get(TYPE) if type(value) is dict else None
        if isinstance(name, str) and name in tagged:
            return tagged[name](value, arrays)
        for other in others:
            with contextlib.suppress(DecodeError):
                return other(value, arrays)
        if value is not None and len(real) == 1:
            return real[0](value, arrays)  # Its error is more precise than "none of the types fits".
        raise DecodeError(f"expected {expected}, found {_found(value)}")

    return take


def tag_of(kind: Any) -> str | None:
    """The type name in the JSON of a value, or None if the JSON has none."""
    origin = typing.get_origin(kind)
    if is_array(kind):
        return ARRAY
    if kind is bytes:
        return BYTES
    if isinstance(origin, type) and issubclass(origin, Mapping) and origin is not dict:
        return MAPPING
    if isinstance(kind, type) and (issubclass(kind, enum.Enum) or dataclasses.is_dataclass(kind)):
        return kind.__name__
    return None


def _name(kind: Any) -> str:
    return "null" if kind is type(None) else getattr(kind, "__name__", str(kind))
