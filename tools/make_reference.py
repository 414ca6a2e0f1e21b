"""Writes docs/reference/ from the program itself: `python -m tools.make_reference`.

Commands and the keys of `migrate.toml` come from the flags, the Python API from docstrings, the schema of report.json
from the types by which the program reads it.
"""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import migrate
from migrate.cli.exit_codes import MEANINGS
from migrate.cli.flags import HELP, Flag, Group, Kind, default_words
from migrate.cli.help import usage, with_value
from migrate.cli.verbs import VERBS, Verb
from migrate.config import KEYS
from migrate.report.document import Document
from migrate.report.json import SCHEMA_VERSION

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs" / "reference"
_MADE = "Written by `python -m tools.make_reference`; do not edit."


def pages() -> dict[str, str]:
    """The text of each file of the folder, by its name."""
    return {
        "commands.md": "\n".join(_commands()) + "\n",
        "config.md": "\n".join(_config()) + "\n",
        "python.md": re.sub(r"\n{3,}", "\n\n", "\n".join(_python())) + "\n",
        "report.schema.json": json.dumps(schema(), indent=1) + "\n",
    }


# Commands and the config, from the flags.


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", _MADE, "")
    yield from ("| command | what it does |", "|---|---|")
    for verb in VERBS:
        yield f"| [{verb.name}](#{verb.name}) | {verb.summary} |"
    yield from (
        "",
        "Each flag may be written with dashes as well (`--dry-run`), and a switch is turned off with `--no`.",
    )
    yield from ("", "| exit code | meaning |", "|---|---|")
    for code, meaning in MEANINGS:
        yield f"| {code} | {meaning} |"
    for verb in VERBS:
        yield from _command(verb)


def _command(verb: Verb) -> Iterator[str]:
    yield from ("", f"## {verb.name}", "", f"    {usage(verb)}", "", _plain(verb.description))
    for group in Group:
        flags = sorted((f for f in verb.flags if f.group is group and f is not HELP), key=lambda flag: flag.name)
        if flags:
            yield from (
                "",
                f"**{group.value[:1].upper()}{group.value[1:]}**",
                "",
                "| flag | what it does | default |",
                "|---|---|---|",
            )
            for flag in flags:
                spelled = with_value(flag).replace("|", "\\|")
                yield f"| `{spelled}` | {_cell(flag.help)} | {_default(flag)} |"


def _default(flag: Flag) -> str:
    if flag.kind is Kind.SWITCH:
        return "on" if flag.default else "off"
    words = default_words(flag)
    return f"`{words}`" if words else ""


def _plain(text: str) -> str:
    """Text of help in Markdown: flags and what looks like a mark are code."""
    text = re.sub(r"(?<![\w`])(--\w+(?:=[\w.]*)?|__\w+__)", r"`\1`", text)
    return _prose(text).replace("joined by _", "joined by \\_")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _config() -> Iterator[str]:
    known = {flag.name: flag for verb in VERBS for flag in verb.flags}
    yield from ("# migrate.toml", "", _MADE, "")
    yield from textwrap.wrap(
        "`migrate audit MODELS --write_config=migrate.toml` writes the file, and `--config=migrate.toml` of audit, "
        "convert, validate and config reads it. It has a table for each model, or for all models whose path in a tree "
        "fits a pattern (`*`, `?`). All tables that fit apply; for a key in several, the most specific one wins. The "
        "command line comes before the file. `migrate config MODELS --config=migrate.toml` "
        "shows what applies to each model, and where it comes from.",
        120,
    )
    yield from (
        "",
        '    [models."ads/*"]',
        '    feed = ["keep_prob:0=1.0"]',
        "",
        '    [models."ads/7"]',
        '    expect = "refused: unknown-op"',
        "",
    )
    yield from ("| key | value | what it does |", "|---|---|---|")
    for key in KEYS:
        flag = known.get(key)
        if flag is None:
            yield f"| `{key}` | text | `refused: CODE` or `unreadable`: this ending is known, and is no failure. |"
            continue
        yield f"| `{key}` | {_value(flag)} | {_cell(flag.help)}{_IN_A_FILE.get(key, '')} |"


_PATH = " The path is relative to this file's directory."
_IN_A_FILE = {
    "golden": _PATH,
    "inputs": _PATH,
    "tags": ' In this file each string is one tag, as in `["serve", "gpu"]`, and `[]` is the empty set.',
}
"""What is otherwise in a file than on the command line; it follows the flag's help."""


def _value(flag: Flag) -> str:
    kinds = {
        Kind.SWITCH: "true or false",
        Kind.WHOLE: "number",
        Kind.NUMBER: "number",
        Kind.LIST: "list of strings",
        Kind.TEXTS: "list of strings",
    }
    return (
        "one of " + ", ".join(f"`{choice}`" for choice in flag.choices)
        if flag.choices
        else kinds.get(flag.kind, "text")
    )


# The Python API, from docstrings.


def _python() -> Iterator[str]:
    yield from ("# Python API", "", _MADE, "")
    yield from ("    import migrate", "")
    yield "Importing it starts no TensorFlow. A function that needs TensorFlow starts it in a process of its own."
    functions = [name for name in migrate.__all__ if inspect.isfunction(getattr(migrate, name))]
    types_of = [name for name in migrate.__all__ if inspect.isclass(getattr(migrate, name))]
    yield from ("", "## Functions")
    for name in functions:
        yield from _function(name, getattr(migrate, name))
    yield from ("", "## Types")
    for name in types_of:
        yield from ("", f"### {name}", "", *_docstring(getattr(migrate, name)))
    yield from (
        "",
        "`Outcome` is how a model ended: one of `Converted`, `Unchanged`, `Convertible`, `AlreadyTF2`, `Validated`,",
    )
    yield "`Refused`, `Unreadable`, `Mismatched`, `Unverified`, `Failed`, `Crashed`, `TimedOut`."


def _function(name: str, function: Any) -> Iterator[str]:
    signature = inspect.signature(function)
    parts = []
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        default = "" if parameter.default is parameter.empty else f"={_short(parameter.default)}"
        parts.append(f"{parameter.name}{default}")
    yield from ("", f"### {name}", "", f"    migrate.{name}({', '.join(parts)})", "", *_docstring(function))


def _short(value: object) -> str:
    return f"{type(value).__name__}()" if isinstance(value, migrate.Options) else repr(value)


_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples):$")


def _docstring(thing: Any) -> Iterator[str]:
    lines = (inspect.getdoc(thing) or "").splitlines()
    section = ""
    for line in lines:
        if found := _SECTION.match(line):
            section = found[1]
            yield from ("", f"**{section}**", "")
        elif section.startswith("Example"):
            yield f"    {line[2:]}" if line.strip() else ""
        elif (
            section
            and (item := re.match(r"^  (\*{0,2}\w[\w, .]*): (.*)$", line))
            and section not in ("Returns", "Yields")
        ):
            yield f"- `{item[1]}`: {_prose(item[2])}"
        elif section:
            yield (
                f"  {_prose(line.strip())}"
                if section not in ("Returns", "Yields") and line.strip()
                else _prose(line.strip())
            )
        else:
            yield line if line.startswith("    ") else _prose(line)


def _prose(text: str) -> str:
    """Outside of code, a mark of Markdown is shown as itself."""
    return "".join(part if i % 2 else part.replace("*", "\\*").replace("<", "\\<") for i, part in _parts(text))


def _parts(text: str) -> list[tuple[int, str]]:
    return [(i, part) for i, part in enumerate(re.split(r"(`[^`]*`)", text))]


# The schema of report.json, from the types by which it is read.


def schema() -> dict[str, Any]:
    """A JSON Schema of report.json. Keys that it does not name may be there, too."""
    definitions: dict[str, Any] = {}
    root = _schema_of(Document, definitions)
    name = root["$ref"].rpartition("/")[2]
    top = definitions.pop(name)
    top["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report.json of migrate",
        "description": "What audit, convert and validate write with --report=DIRECTORY and --format=json.",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def _schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is Any or kind is object:
        return {}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema_of(argument, definitions) for argument in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    name = kind.__name__.removesuffix("Document") or "Report"
    if name not in definitions:
        definitions[name] = {}  # A type may hold itself.
        fields = typing.get_type_hints(kind)
        definitions[name] = {
            "type": "object",
            "properties": {key: _schema_of(value, definitions) for key, value in fields.items()},
            "required": [key for key in fields if key in kind.__required_keys__],
        }
    return {"$ref": f"#/$defs/{name}"}


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
