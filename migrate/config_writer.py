"""Adds what audit proposes to a migrate.toml. Every line that is there stays as it is.

Names and reasons come from models of strangers: nothing of them gets into the file but as a quoted string or a comment,
with every character escaped that does not print.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from migrate.config import (
    MODELS,
    UNREADABLE,
    Config,
    Matcher,
    Value,
    parse_config,
    parse_toml,
    place,
    read_text,
    values_of,
)
from migrate.errors import InputError
from migrate.escapes import visible
from migrate.frozen import frozen
from migrate.records import Finding, ModelReport, Refused, Report, Unreadable
from migrate.regular_files import open_regular, replace
from migrate.signature_flag import as_flag

_REASON_CHARACTERS = 300
_OTHERS_SHOWN = 3
_FIRST_LINES = (
    "# Options of single models, for: migrate convert MODELS NEW --config=THIS_FILE",
    "# Written by: migrate audit MODELS --write_config=THIS_FILE, which adds what is new and changes no line.",
    "# A table is for the models whose path in the tree matches its name (* and ?).",
    "# All that match apply; for a key in several, the most specific one wins.",
    "# Check what is proposed: the inputs and outputs of a signature are guesses.",
)


@frozen
class Written:
    """What was done to a config.

    Attributes:
      path: of the file.
      added: patterns of tables to which options were added.
      blocked: how many models were written as comments, because nothing that audit knows of makes them convertible.
      unmatched: patterns of tables that are for no model any more.
    """

    path: str
    added: tuple[str, ...]
    blocked: int
    unmatched: tuple[str, ...]


@frozen
class _Proposal:
    """What is to be said of one model or of all versions of one.

    Attributes:
      pattern: of the table.
      values: by key.
      reasons: lines of a comment.
      commented: whether the table itself is a comment, for the user to decide.
    """

    pattern: str
    values: Mapping[str, Value]
    reasons: tuple[str, ...]
    commented: bool = False


def add_proposals(file: str, report: Report, found: Mapping[str, Sequence[str]]) -> Written:
    """Adds what audit proposes to a config; see `migrate.write_config`.

    Args:
      file: the config; made where it is not there.
      report: of the audit.
      found: the paths of all models by the path, a model's or a tree's, that was audited.

    Raises:
      InputError: the file is no config, cannot be read or written, or has a form that cannot be added to.
    """
    text = read_text(file) if os.path.lexists(file) else ""
    config = parse_config(file, text)
    matcher = Matcher(config)
    names, alone = _names(found)
    proposals = list(_proposals(report, names, alone, matcher, text))
    if proposals:
        whole = _with_tables(file, text, proposals)
        _check(file, text, whole, config, proposals)
        _write(file, whole)
    unmatched = () if alone else matcher.unmatched(names.values())
    return Written(
        file,
        tuple(proposal.pattern for proposal in proposals if not proposal.commented),
        sum(proposal.commented for proposal in proposals),
        tuple(table.pattern for table in unmatched),
    )


def _names(found: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], frozenset[str]]:
    """What each model is called in a config, by its path; and the paths of those that are given without a tree."""
    names: dict[str, str] = {}
    alone = set()
    for source, models in found.items():
        root = source.rstrip(os.sep) or os.sep
        for path in models:
            if path == root:
                folder, last = os.path.split(os.path.abspath(path))
                names[path] = os.path.join(os.path.basename(folder), last) if last.isdigit() else last
                alone.add(path)
            else:
                names[path] = os.path.relpath(path, root)
    return names, frozenset(alone)


# What to say.


def _proposals(
    report: Report, names: Mapping[str, str], alone: frozenset[str], matcher: Matcher, text: str
) -> Iterator[_Proposal]:
    cases: dict[str, _Proposal] = {}
    lines = set(text.splitlines())
    for model in report.models:
        if not isinstance(model.outcome, Refused | Unreadable) or model.source not in names:
            continue
        name = names[model.source]
        tables = matcher.tables_alone(model.source) if model.source in alone else matcher.tables(name)
        if model.proposed is not None:
            said = {key for table in tables for key in values_of(table.options)}
            values = {key: value for key, value in values_of(model.proposed).items() if key not in said}
            if values:
                cases[name] = _Proposal(
                    _pattern(name), values, (*map(_reason, model.refusals), *_others(model, values))
                )
        elif not tables and not model.expected:
            blocked = _blocked(name, model)
            if blocked is not None and f"# {_header(blocked.pattern)}" not in lines:
                cases[name] = blocked
    yield from _by_version(cases, names.values())


def _others(model: ModelReport, values: Mapping[str, Value]) -> Iterator[str]:
    """Other signatures that may be the one that is wanted."""
    if "signature" in values:
        for proposal in model.proposals[1 : 1 + _OTHERS_SHOWN]:
            yield f"or: {_quoted(as_flag(proposal))}"


def _blocked(name: str, model: ModelReport) -> _Proposal | None:
    refusals = model.refusals
    reasons: tuple[str, ...]
    if isinstance(model.outcome, Unreadable):
        expect, reasons = UNREADABLE, (_said(UNREADABLE, model.outcome.reason), "To take that as known:")
    elif refusals:
        expect = f"refused: {refusals[0].code}"
        reasons = (*map(_reason, refusals), "Nothing that audit knows of converts it. To take its refusal as known:")
    else:
        return None
    return _Proposal(_pattern(name), {"expect": expect}, reasons, commented=True)


def _by_version(cases: Mapping[str, _Proposal], names: Iterable[str]) -> Iterator[_Proposal]:
    """One table for all versions of a model (model/VERSION) where all of them need the same."""
    versions: dict[str, list[str]] = {}
    for name in names:
        folder, last = os.path.split(name)
        if folder and last.isascii() and last.isdigit():
            versions.setdefault(folder, []).append(name)
    done: set[str] = set()
    for name, case in cases.items():
        folder = os.path.dirname(name)
        group = versions.get(folder, [])
        others = [cases.get(other) for other in group]
        if name in group and len(group) > 1 and all(_is_same(case, other) for other in others):
            if folder not in done:
                done.add(folder)
                yield dataclasses.replace(case, pattern=_pattern(folder))
        else:
            yield case


def _is_same(case: _Proposal, other: _Proposal | None) -> bool:
    return other is not None and not case.commented and not other.commented and case.values == other.values


def _reason(finding: Finding) -> str:
    return _said(finding.code, finding.message)


def _said(code: str, message: str) -> str:
    said = visible(message)
    return f"{code}: {said if len(said) <= _REASON_CHARACTERS else said[: _REASON_CHARACTERS - 3] + '...'}"


def _pattern(name: str) -> str:
    """A pattern that a name matches, and hardly another one: what TOML cannot hold is a `?`."""
    return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in glob.escape(name))


# How it is written.


def _with_tables(file: str, text: str, proposals: Sequence[_Proposal]) -> str:
    """The text with more lines: in tables that are there right after their headers, all else at the end."""
    there = parse_toml(file, text).get(MODELS, {})
    # Not `splitlines`: TOML knows no other line breaks, and a comment may have them.
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []
    extended = [case for case in proposals if not case.commented and case.pattern in there]
    headers = _headers(file, lines) if extended else {}
    places = [(_place(file, headers, case.pattern), case) for case in extended]
    for at, case in sorted(places, key=lambda place: -place[0]):  # From the end, so that no other line moves before it.
        lines[at:at] = [f"# {reason}\n" for reason in case.reasons] + [_dumped(case.values)]
    new = [_table_text(case) for case in proposals if case.commented or case.pattern not in there]
    if not lines:
        lines = [f"{line}\n" for line in _FIRST_LINES]
    return "".join(lines) + "".join(f"\n{table}" for table in new)


def _headers(file: str, lines: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """For each pattern the lines after those that are the header of its table, or look like it."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith("["):
            continue
        with contextlib.suppress(InputError):
            models = parse_toml(file, line).get(MODELS)
            if isinstance(models, dict) and len(models) == 1 and {} in models.values():
                found.setdefault(next(iter(models)), []).append(number)
    return found


def _place(file: str, headers: Mapping[str, Sequence[int]], pattern: str) -> int:
    """Where lines of a table may be put in.

    Raises:
      InputError: it has no header of its own, or the form that it has is not clear.
    """
    found = headers.get(pattern, ())
    if len(found) != 1:
        raise InputError(
            f"{place(file, pattern)}: cannot be added to, since no line of the file is this header alone; write it so, "
            "or name another file"
        )
    return found[0]


def _table_text(case: _Proposal) -> str:
    """A table with its reasons; all of it a comment where the user is to decide."""
    mark = "# " if case.commented else ""
    table = [_header(case.pattern), *_dumped(case.values).splitlines()]
    return "".join([*(f"# {reason}\n" for reason in case.reasons), *(f"{mark}{line}\n" for line in table)])


def _header(pattern: str) -> str:
    return f"[{MODELS}.{_quoted(pattern)}]"


def _dumped(values: Mapping[str, Value]) -> str:
    """Keys and values as lines of TOML."""
    import tomlkit

    document = tomlkit.document()
    for key, value in values.items():
        document.add(key, _item(value))
    return tomlkit.dumps(document)


def _item(value: Value) -> Any:
    """A value as an item of TOML; strings with every character escaped that does not print."""
    import tomlkit
    from tomlkit.items import String, StringType, Trivia

    if isinstance(value, str):
        return String(StringType.SLB, value, _quoted(value)[1:-1], Trivia())
    if not isinstance(value, list):
        return tomlkit.item(value)
    items = tomlkit.array()
    for text in value:
        items.append(_item(text))
    return items.multiline(len(value) > 1)


def _quoted(text: str) -> str:
    r"""A basic string of TOML (https://toml.io/en/v1.0.0#string)."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _check(file: str, before: str, after: str, config: Config, proposals: Sequence[_Proposal]) -> None:
    """Sees to it that all lines of the user's are there, in their order, and that nothing else is said than was meant.

    Raises:
      InputError: that is not so, and nothing is written.
    """
    lines = iter(after.split("\n"))
    kept = all(any(line == other for other in lines) for line in before.removesuffix("\n").split("\n"))
    meant = {table.pattern: values_of(table.options) for table in config.tables}
    for case in proposals:
        if not case.commented:
            meant[case.pattern] = {**meant.get(case.pattern, {}), **case.values}
    if not kept or {table.pattern: values_of(table.options) for table in parse_config(file, after).tables} != meant:
        raise InputError(
            f"{visible(file)}: cannot be added to without changing what is there; write each table with a header of "
            "its own and a key in each line, or name another file"
        )


def _write(file: str, text: str) -> None:
    """Puts the text in the file's place, whole or not at all.

    Raises:
      InputError: it cannot be written, or the place is a link or no regular file.
    """
    try:
        mode = 0o666
        if os.path.lexists(file):
            there = open_regular(file, os.O_RDONLY)
            mode = os.fstat(there).st_mode & 0o777
            os.close(there)
        replace(file, text.encode(), mode)
    except OSError as error:
        raise InputError(f"{visible(file)}: cannot be written ({error.strerror or error})") from error
