"""Records as JSON and back, whole: every dataclass and enum of `records` and `sketches` carries its type's name."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from migrate import records, sketches

_TYPE = "_"


def encode(value: Any) -> Any:
    """Gives a record, or what a field of one may hold, as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TYPE: type(value).__name__, **fields}
    if isinstance(value, enum.Enum):
        return {_TYPE: type(value).__name__, "value": value.value}
    if isinstance(value, Mapping):
        return {_TYPE: "dict", "items": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def decode(value: Any) -> Any:
    """Takes back what `encode` gave; sequences become tuples.

    Raises:
      ValueError, TypeError, KeyError: it is none of that, or of another version's records.
    """
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    name = value[_TYPE]
    if name == "dict":
        return {decode(k): decode(v) for k, v in value["items"]}
    kind = getattr(records, name, None) or getattr(sketches, name, None)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value["value"])
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        raise ValueError(f"{name!r} is no record")
    return kind(**{key: decode(item) for key, item in value.items() if key != _TYPE})
