"""Reads `migrate.toml`: the options of single models of a fleet, written by their owner.

    [models."ads/*"]
    feed = ["keep_prob:0=1.0"]

    [models."ads/7"]
    signature = ["serving_default:inputs=x=x:0;outputs=y=y:0"]
    expect = "refused: unknown-op"

A table applies to the models whose path in the tree matches its pattern (the syntax of `--include`). Keys are names of
flags, and values are what the flags take. A file is read only if the user names it: it may be a stranger's, and it can
name code to import and turn checks off.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import functools
import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrate.errors import InputError, UsageError
from migrate.escapes import flag, visible
from migrate.frozen import frozen
from migrate.levels import LEVELS, level_of
from migrate.made_variables import VARIABLES, made_variables
from migrate.option_values import CONTROL_FLOW, JUDGES
from migrate.records import GivenFeed, GivenSignature, ModelOptions

FILE_NAME = "migrate.toml"
MODELS = "models"
_MOST_BYTES = 1 << 24
_WILDCARDS = "*?["
_ESCAPED = r"\[([*?\[])\]"
"""A wildcard that stands for itself, as `glob.escape` writes it."""
_EXPECTATION = re.compile(r"refused: *([a-z0-9-]+)")
UNREADABLE = "unreadable"
"""The value of `expect` for a model whose files are damaged or are not a model, which is no refusal."""

Value = bool | int | float | str | list[str]
"""The value of an option in TOML and JSON."""


@frozen
class ConfigTable:
    """One table of a config.

    Attributes:
      pattern: matches the paths of its models.
      options: the options of these models.
    """

    pattern: str
    options: ModelOptions


@frozen
class Config:
    """A migrate.toml.

    Attributes:
      path: path of the file.
      tables: in the order of the file.
    """

    path: str
    tables: tuple[ConfigTable, ...]


def read_config(path: str) -> Config:
    """Reads a migrate.toml.

    Raises:
      InputError: the file does not exist, is not TOML, or has an unknown key or value; the message names the place.
    """
    return parse_config(path, read_text(path))


def read_text(path: str) -> str:
    """The text of a migrate.toml.

    Raises:
      InputError: it cannot be read, or is not UTF-8 text.
    """
    from migrate.sources.files import read_file

    try:
        return read_file(path, _MOST_BYTES).decode()
    except FileNotFoundError:
        hint = f"migrate audit MODELS --write_config={path} writes one"
        raise InputError(f"{path}: no such file; {hint}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start:,})") from None


def parse_config(path: str, text: str) -> Config:
    """Reads the text of a migrate.toml; see `read_config`."""
    content = parse_toml(path, text)
    for key in content:
        if key != MODELS:
            raise InputError(f"{visible(path)}: unknown table or key {key!r}; {_near(key, [MODELS])}")
    models = content.get(MODELS, {})
    if not isinstance(models, dict):
        raise InputError(f"{visible(path)}: {MODELS} is {_kind(models)}, not a table")
    return Config(path, tuple(_table(path, pattern, table) for pattern, table in models.items()))


def parse_toml(path: str, text: str) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
      InputError: it is not TOML.
    """
    reader: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        content: dict[str, Any] = reader.loads(text)
    except RecursionError:
        raise InputError(f"{visible(path)}: not valid TOML (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{visible(path)}: not valid TOML ({visible(str(error)[:200])})") from None
    return content


def place(path: str, pattern: str, key: str = "") -> str:
    """How messages name a table or a key in it: `migrate.toml: [models."ads/*"] feed`."""
    return visible(f'{path}: [{MODELS}."{pattern}"] {key}'.rstrip())


def _table(path: str, pattern: str, table: object) -> ConfigTable:
    where = place(path, pattern)
    if not pattern.strip(os.sep):
        raise InputError(f"{where}: an empty pattern, which matches no model")
    if not isinstance(table, dict):
        raise InputError(f"{where}: is {_kind(table)}, not a table of options")
    found = {}
    for key, value in table.items():
        parser = _PARSERS.get(key)
        if parser is None:
            raise InputError(f"{where}: unknown key {key!r}; {_near(key, list(_PARSERS))}")
        try:
            found[key] = parser(value)
        except _ValueError as error:
            raise InputError(f"{place(path, pattern, key)}: {error}") from None
    for key in ("inputs", "golden"):
        if found.get(key) is not None:
            # The path is relative to the config, not to the working directory.
            found[key] = os.path.join(os.path.dirname(path), found[key])
    return ConfigTable(pattern, ModelOptions(**found))


# Values.


class _ValueError(Exception):
    """A value does not fit its key."""


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _ValueError(f"expected true or false, not {_kind(value)}")
    return value


def _level(value: object) -> str:
    level = level_of(value) if isinstance(value, bool) or value in LEVELS else None
    if level is None:
        named = ", ".join(f'"{level}"' for level in LEVELS)
        raise _ValueError(f"expected true, false or one of {named}, not {_kind(value)}")
    return level


def _variables(value: object) -> bool | str:
    found = made_variables(value) if isinstance(value, bool) or value in VARIABLES else None
    if found is None:
        named = ", ".join(f'"{kind}"' for kind in VARIABLES)
        raise _ValueError(f"expected true, false or one of {named}, not {_kind(value)}")
    return found


def _control_flow(value: object) -> str:
    if value not in CONTROL_FLOW or not isinstance(value, str):
        raise _ValueError(f"expected one of {', '.join(CONTROL_FLOW)}, not {_kind(value)}")
    return value


def _ulps(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise _ValueError(f"expected a whole number from 0 on, not {_kind(value)}")
    return value


def _judge(value: object) -> str:
    if value not in JUDGES or not isinstance(value, str):
        raise _ValueError(f"expected one of {', '.join(JUDGES)}, not {_kind(value)}")
    return value


def _bound(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise _ValueError(f"expected a number from 0 on, not {_kind(value)}")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _ValueError(f"expected a string, not {_kind(value)}")
    return value


def _texts(value: object) -> list[str]:
    """A string, or a list of strings for a flag that may be repeated."""
    found = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            raise _ValueError(f"expected a string or a list of strings, not {_kind(item)}")
        found.append(item)
    return found


def _tags(value: object) -> tuple[str, ...]:
    return tuple(sorted(set(_texts(value))))


def _signatures(value: object) -> tuple[GivenSignature, ...]:
    from migrate.signature_flag import parse_signature

    found = _flags(parse_signature, _texts(value))
    _check_once([signature.key for signature in found])
    return found


def _feeds(value: object) -> tuple[GivenFeed, ...]:
    from migrate.feed_flag import parse_feed

    found = _flags(parse_feed, _texts(value))
    _check_once([feed.tensor for feed in found])
    return found


def _flags(parse: Callable[[str], Any], texts: Sequence[str]) -> tuple[Any, ...]:
    try:
        return tuple(map(parse, texts))
    except UsageError as error:
        raise _ValueError(visible(str(error))) from None


def _check_once(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _ValueError(f"names {twice!r} twice")


def _custom_objects(value: object) -> tuple[str, ...]:
    return _flags(check_custom_object, _texts(value))


def check_custom_object(entry: str) -> str:
    """Returns a value of `--custom_objects` unchanged.

    Raises:
      UsageError: it is not of the form MODULE:NAME.
    """
    module, separator, name = entry.partition(":")
    if not (separator and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise UsageError(f"--custom_objects={entry}: expected MODULE:NAME, such as my_layers:Scale")
    return entry


def _expectation(value: object) -> str:
    from migrate.finding_codes import explanations

    text = _text(value)
    if text == UNREADABLE:
        return text
    found = _EXPECTATION.fullmatch(text)
    if found is None:
        raise _ValueError(f'expected "{UNREADABLE}" or "refused: CODE", such as "refused: unknown-op", not {text!r}')
    if found[1] == UNREADABLE:
        raise _ValueError(f'a model that cannot be read is not refused; write expect = "{UNREADABLE}"')
    # A difference between a new model and its source refuses nothing.
    codes = [code for code, explained in explanations().items() if explained.clients is None]
    if found[1] not in codes:
        raise _ValueError(f"there is no finding {found[1]!r}; {_near(found[1], codes, listed=False)}")
    return f"refused: {found[1]}"


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "signature": _signatures,
    "overwrite_signatures": _bool,
    "feed": _feeds,
    "tags": _tags,
    "drop_signatures": _bool,
    "keep_tensor_names": _bool,
    "inputs": _text,
    "golden": _text,
    "max_ulps": _ulps,
    "judge": _judge,
    "max_absolute": _bound,
    "max_relative": _bound,
    "verify": _level,
    "allow_unverified": _bool,
    "variables": _variables,
    "control_flow": _control_flow,
    "custom_objects": _custom_objects,
    "expect": _expectation,
}
"""The parser of each key's value."""

KEYS = tuple(_PARSERS)


def values_of(options: ModelOptions) -> dict[str, Value]:
    """The options that are set, by key, with values as in a config."""
    found: dict[str, Value] = {}
    for key in KEYS:
        value = getattr(options, key)
        if value is not None:
            found[key] = value_of(key, value)
    return found


def value_of(key: str, value: Any) -> Value:
    """The value of one key of `ModelOptions`, as in a config."""
    if key == "signature":
        from migrate.signature_flag import as_flag

        return [as_flag(signature) for signature in value]
    if key == "feed":
        return [f"{feed.tensor}={feed.value}" for feed in value]
    if isinstance(value, tuple):
        return list(value)
    kept: Value = value
    return kept


def flags_of(key: str, value: Value) -> tuple[str, ...]:
    """An option as command-line flags, quoted for a shell; unprintable characters are escaped."""
    if isinstance(value, bool):
        return (f"--{key}" if value else f"--no{key}",)
    if isinstance(value, list) and key == "tags":
        return (
            _flag(key, ",".join('"' + tag.replace('"', '""') + '"' if set(tag) & {",", '"'} else tag for tag in value)),
        )
    return tuple(_flag(key, str(item)) for item in (value if isinstance(value, list) else [value]))


def _flag(key: str, value: str) -> str:
    return flag(key, value) or f"--{key}={visible(value)}"


def flags_to_take(proposed: ModelOptions) -> tuple[str, ...]:
    """The flags of convert that apply audit's proposals; the same flags work for many models."""
    values = values_of(proposed)
    taken = [key for key in ("signature", "feed") if values.pop(key, None) is not None]
    found = ["--take_proposals"] if taken else []
    for key, value in values.items():
        found += flags_of(key, value)
    return tuple(found)


def is_known_ending(expect: str, codes: Iterable[str]) -> bool:
    """Whether these refusal codes include the one that the config expects."""
    return expect.removeprefix("refused: ") in codes


def _kind(value: object) -> str:
    shown = visible(repr(value))
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"the list {shown}"
    if isinstance(value, str):
        return f"the string {shown}"
    return shown.lower() if isinstance(value, bool) else shown


def _near(name: str, known: Sequence[str], listed: bool = True) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known are {', '.join(known)}" if listed else "docs/findings.md lists them"


COMMAND_LINE, CONFIG, JOURNAL = "command line", "config", "journal"
"""The sources of a model's options, in order of precedence."""


@frozen
class Origin:
    """The source of one option of a model.

    Attributes:
      key: the option's name.
      value: as in a config.
      source: `COMMAND_LINE`, `CONFIG` or `JOURNAL`.
      pattern: pattern of the config's table, or empty.
    """

    key: str
    value: Value
    source: str
    pattern: str = ""


# Which tables are for which model.


class Matcher:
    """Finds the tables for a model; literal patterns, of which there may be thousands, are looked up in a dict."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._order = {id(table): number for number, table in enumerate(config.tables)}
        self._literal: dict[str, list[ConfigTable]] = {}
        self._wild: list[tuple[ConfigTable, re.Pattern[str]]] = []
        for table in config.tables:
            pattern = table.pattern.rstrip(os.sep)
            names = {pattern}  # Also a literal name that contains a bracket.
            if (plain := _plain(pattern)) is not None:
                names.add(plain)
            else:
                self._wild.append((table, re.compile(fnmatch.translate(pattern))))
            for name in names:
                self._literal.setdefault(name, []).append(table)

    def tables(self, name: str) -> tuple[ConfigTable, ...]:
        """The tables for a model of a tree, the most specific first.

        A table that names the model itself comes first, then the one with the most characters that are not wildcards;
        of two equal ones the later.

        Args:
          name: the model's path in the tree.
        """
        parts = name.split(os.sep)
        ways = [os.sep.join(parts[: end + 1]) for end in range(len(parts))]
        found = {id(table): table for way in ways for table in self._literal.get(way, ())}
        for table, regex in self._wild:
            if any(map(regex.match, ways)):
                found[id(table)] = table
        return self._sorted(found.values(), name)

    def tables_alone(self, path: str) -> tuple[ConfigTable, ...]:
        """The tables for a model that is given without its tree: those whose pattern matches the end of its path.

        The root of the tree is unknown, so each part of a pattern matches one part of the path.
        """
        parts = os.path.abspath(path).split(os.sep)
        found = []
        for table in self._config.tables:
            wanted = table.pattern.strip(os.sep).split(os.sep)
            there = parts[-len(wanted) :]
            if len(there) == len(wanted) and all(
                part == pattern or fnmatch.fnmatchcase(part, pattern)
                for part, pattern in zip(there, wanted, strict=True)
            ):
                found.append(table)
        return self._sorted(found, None)

    def _sorted(self, tables: Iterable[ConfigTable], name: str | None) -> tuple[ConfigTable, ...]:
        def specificity(table: ConfigTable) -> tuple[bool, int, int]:
            pattern = table.pattern.rstrip(os.sep)
            exact = name is not None and name in (pattern, _plain(pattern))
            return exact, _literal_characters(pattern), self._order[id(table)]

        return tuple(sorted(tables, key=specificity, reverse=True))

    def unmatched(self, names: Iterable[str]) -> tuple[ConfigTable, ...]:
        """The tables that match none of these models."""
        used = {id(table) for name in names for table in self.tables(name)}
        return tuple(table for table in self._config.tables if id(table) not in used)


def check_matched(config: Config, unmatched: Sequence[ConfigTable], names: Sequence[str]) -> None:
    """Raises if a table matches no model.

    Args:
      config: the file.
      unmatched: its tables that are for none of the models.
      names: of the models, by their paths in the tree.

    Raises:
      InputError: there is one; the message has the nearest name.
    """
    if not unmatched:
        return
    pattern = unmatched[0].pattern
    known = dict.fromkeys(way for name in names for way in (name, *_parents(name)))
    close = difflib.get_close_matches(pattern, list(known), n=1)
    advice = f"did you mean {visible(close[0])!r}?" if close else f"models are {_some(names)}"
    more = f" (nor do {len(unmatched) - 1} others)" if len(unmatched) > 1 else ""
    raise InputError(f"{place(config.path, pattern)} matches no model{more}; {advice}")


def _parents(name: str) -> list[str]:
    parts = name.split(os.sep)[:-1]
    return [os.sep.join(parts[: end + 1]) for end in range(len(parts))]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(visible, names[:3])) + (", ..." if len(names) > 3 else "")


@functools.lru_cache(maxsize=1024)
def _plain(pattern: str) -> str | None:
    """The one name that a pattern without wildcards matches; None for one with wildcards."""
    if set(re.sub(_ESCAPED, "", pattern)) & set(_WILDCARDS):
        return None
    return re.sub(_ESCAPED, r"\1", pattern)


def _literal_characters(pattern: str) -> int:
    plain = re.sub(_ESCAPED, "x", pattern)
    return len(re.sub(r"\[[^\]]*\]|[*?]", "", plain))


# Files that are there and are not read.


def unread_configs(sources: Iterable[str]) -> tuple[str, ...]:
    """The migrate.toml files in the working directory and in sources, where no flag names a config.

    Args:
      sources: what the user calls the models or trees.
    """
    found: list[str] = []
    for folder in dict.fromkeys((os.curdir, *sources)):
        if "://" in folder:
            continue
        path = os.path.normpath(os.path.join(folder, FILE_NAME))
        if os.path.lexists(path) and not any(_same(path, other) for other in found):
            found.append(path)
    return tuple(found)


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def merged(first: ModelOptions, *others: ModelOptions) -> ModelOptions:
    """What is said by several sources together: for each key the first that says something."""
    found: dict[str, Any] = {}
    for key in KEYS:
        values = (getattr(options, key) for options in (first, *others))
        found[key] = next((value for value in values if value is not None), None)
    return ModelOptions(**found)


def without(options: ModelOptions, keys: Iterable[str]) -> ModelOptions:
    """The same, and nothing of these keys."""
    return dataclasses.replace(options, **dict.fromkeys(keys))
