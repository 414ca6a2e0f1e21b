"""Checks a value of `records.Options` when it is given, and gives it the type that it has there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrate.errors import UsageError
from migrate.given import GivenFeed, GivenLibrary, GivenSignature
from migrate.levels import LEVELS, level_of
from migrate.made_variables import VARIABLES, made_variables

CHECKPOINTS = ("auto", "link", "copy", "rewrite")
JUDGES = ("auto", "tf2", "tf1", "both")
FUNCTIONAL = "functional"
CONTROL_FLOW = (FUNCTIONAL, "v1")
"""What becomes of loops and conds: If and While, or the Switch and Merge that they are."""

_OPTIONAL_TEXT = frozenset({"checkpoint_root", "runner"})
_PATHS = frozenset({"architecture", "config", "golden", "inputs"})
_LEAST = {
    "jobs": 1,
    "memory_limit_bytes": 1,
    "graph_memory_bytes": 1,
    "unpacked_bytes": 1,
    "timeout": 0.001,
    "audit_seconds": 0.001,
    "max_absolute": 0.0,
    "max_relative": 0.0,
}
_OPTIONAL_WHOLE = frozenset({"jobs", "memory_limit_bytes"})


def checked(name: str, value: Any, default: object) -> Any:
    """The value of one option.

    Args:
      name: of the option.
      value: as it was given.
      default: what it is where nothing is given; it says of most options which type they have.

    Raises:
      UsageError: it is of another type, or none of the values that the option takes.
    """
    if value is default:
        return value
    special = _SPECIAL.get(name)
    if special is not None:
        return special(name, value)
    if name in _PATHS:
        return None if value is None else _text(name, _path(value), "a path")
    if name in _OPTIONAL_TEXT:
        return None if value is None else _text(name, value, "text")
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise _wrong(name, value, "True or False")
        return value
    if isinstance(default, int) or name in _OPTIONAL_WHOLE:
        return None if value is None and name in _OPTIONAL_WHOLE else _whole(name, value)
    if isinstance(default, float):
        return _number(name, value)
    if isinstance(default, tuple):
        return tuple(_text(name, item, "text") for item in _several(name, value))
    return value


def _wrong(name: str, value: object, wants: str) -> UsageError:
    return UsageError(f"Options({name}={value!r:.200}): expected {wants}")


def _path(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _text(name: str, value: object, wants: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, wants)
    return value


def _whole(name: str, value: object) -> int:
    least = _LEAST.get(name, 0)
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise _wrong(name, value, f"a whole number, {least} or more")
    return int(value.__index__())


def _number(name: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not _LEAST.get(name, 0) <= value < float("inf")
    ):
        least = _LEAST.get(name, 0)
        raise _wrong(name, value, "a number of seconds, more than 0" if least else "a number, 0 or more")
    return float(value)


def _several(name: str, value: object) -> Iterable[Any]:
    """The items of a sequence; a lone text or value is one item."""
    if isinstance(value, (str, GivenSignature, GivenFeed)):
        return (value,)
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise _wrong(name, value, "a sequence")
    return value


def _tags(name: str, value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return frozenset(filter(None, value.split(",")))
    return frozenset(_text(name, tag, "the tags of one tag set") for tag in _several(name, value))


def _given(name: str, value: object) -> frozenset[str]:
    return frozenset(_text(name, item, "names of flags") for item in _several(name, value))


def _checkpoint(name: str, value: object) -> str:
    if value not in CHECKPOINTS or not isinstance(value, str):
        raise _wrong(name, value, _one_of(CHECKPOINTS, value))
    return value


def _control_flow(name: str, value: object) -> str:
    if value not in CONTROL_FLOW or not isinstance(value, str):
        raise _wrong(name, value, _one_of(CONTROL_FLOW, value))
    return value


def _variables(name: str, value: object) -> bool | str:
    found = made_variables(value)
    if found is None:
        raise _wrong(name, value, f"True, False, {_one_of(VARIABLES, value)}")
    return found


def _verify(name: str, value: object) -> str:
    level = level_of(value)
    if level is None:
        raise _wrong(name, value, f"True, False, {_one_of(LEVELS, value)}")
    return level


def _judge(name: str, value: object) -> str:
    if value not in JUDGES or not isinstance(value, str):
        raise _wrong(name, value, _one_of(JUDGES, value))
    return value


def _one_of(choices: Sequence[str], value: object) -> str:
    import difflib

    near = difflib.get_close_matches(str(value), choices, n=1)
    return f"{', '.join(choices[:-1])} or {choices[-1]}{f'; did you mean {near[0]!r}?' if near else ''}"


def _signatures(name: str, value: object) -> tuple[GivenSignature, ...]:
    from migrate.signature_flag import parse_signature

    found = tuple(parse_signature(item) if isinstance(item, str) else item for item in _several(name, value))
    return _of_type(name, found, GivenSignature, [item.key for item in found if isinstance(item, GivenSignature)])


def _feeds(name: str, value: object) -> tuple[GivenFeed, ...]:
    from migrate.feed_flag import parse_feed

    if isinstance(value, Mapping):
        value = [f"{tensor}={_literal(name, item)}" for tensor, item in value.items()]
    found = tuple(parse_feed(item) if isinstance(item, str) else item for item in _several(name, value))
    return _of_type(name, found, GivenFeed, [item.tensor for item in found if isinstance(item, GivenFeed)])


def _literal(name: str, value: object) -> str:
    """A value of a tensor as `--feed` has it; that of numpy is taken as Python's."""
    import json

    plain = value.tolist() if hasattr(value, "tolist") else value
    try:
        return plain if isinstance(plain, str) else json.dumps(plain)
    except (TypeError, ValueError, RecursionError):
        raise _wrong(name, value, "a value of a tensor that JSON can hold: numbers, text, True, False, lists") from None


def _of_type(name: str, found: tuple[Any, ...], kind: type, names: list[str]) -> tuple[Any, ...]:
    for item in found:
        if not isinstance(item, kind):
            raise _wrong(name, item, f"{kind.__name__}, or the text of the flag")
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"Options({name}=...): {twice!r} is there twice")
    return found


def _libraries(name: str, value: object) -> tuple[GivenLibrary, ...]:
    found = tuple(_several(name, value))
    for item in found:
        if not isinstance(item, GivenLibrary):
            raise _wrong(name, item, "nothing: name libraries as op_library and import_module")
    return found


def _op_libraries(name: str, value: object) -> tuple[str, ...]:
    given = (value,) if isinstance(value, os.PathLike) else _several(name, value)
    return tuple(_text(name, _path(item), "paths") for item in given)


def _metadata(name: str, value: object) -> tuple[tuple[str, str], ...]:
    pairs = value.items() if isinstance(value, Mapping) else _several(name, value)
    found = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise _wrong(name, pair, "pairs of text")
        found.append((pair[0], pair[1]))
    return tuple(found)


_SPECIAL: Mapping[str, Callable[[str, Any], Any]] = {
    "tags": _tags,
    "given": _given,
    "checkpoint": _checkpoint,
    "control_flow": _control_flow,
    "variables": _variables,
    "verify": _verify,
    "judge": _judge,
    "signature": _signatures,
    "feed": _feeds,
    "libraries": _libraries,
    "op_library": _op_libraries,
    "metadata": _metadata,
}
