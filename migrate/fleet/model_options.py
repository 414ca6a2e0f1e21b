"""Which options apply to which model: the command line's, then the config's, then what the journal remembers.

`decide` is the one place where that is decided; what it says is also what `migrate config` prints.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from migrate.config import (
    COMMAND_LINE,
    CONFIG,
    JOURNAL,
    KEYS,
    UNREADABLE,
    Config,
    ConfigTable,
    Matcher,
    Origin,
    check_matched,
    flags_of,
    is_known_ending,
    place,
    read_config,
    value_of,
    without,
)
from migrate.errors import InputError
from migrate.escapes import visible
from migrate.fleet.selection import Task
from migrate.frozen import frozen
from migrate.records import (
    GOOD_OUTCOMES,
    Finding,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
    Severity,
    Unreadable,
    gravest_first,
    outcome_name,
)

_OPTIONS = tuple(key for key in KEYS if key != "expect")
"""Keys that are attributes of `Options`."""

_OF_THE_MODEL = ("signature", "overwrite_signatures", "feed", "tags", "drop_signatures")
"""What says what a model is, and is remembered. What weakens a check (verify, max_ulps) never is."""

_DEFAULTS = Options()


@frozen
class Decision:
    """The options of one model.

    Attributes:
      options: of the command, with those of the model in their places.
      expect: how the config expects it to end, or None.
      origins: of every option that is not the default, in the order of `config.KEYS`.
      model: its path; empty where it is known beside this.
    """

    options: Options
    expect: str | None
    origins: tuple[Origin, ...]
    model: str = ""


def given_options(options: Options) -> ModelOptions:
    """What the command line says of every model."""
    found: dict[str, Any] = {}
    for key in _OPTIONS:
        value = getattr(options, key)
        if key in options.given or value != getattr(_DEFAULTS, key):
            found[key] = tuple(sorted(value)) if isinstance(value, frozenset) else value
    return ModelOptions(**found)


def decide(options: Options, tables: Sequence[ConfigTable], remembered: ModelOptions) -> Decision:
    """Decides which options apply to one model.

    For each key the first that says something has it, whole: the command line, the config's tables from the most
    specific one on, the journal.

    Args:
      options: of the command.
      tables: the config's tables for the model, the most specific first.
      remembered: what the journal says of it.
    """
    others = [(table.options, CONFIG, table.pattern) for table in tables] + [(remembered, JOURNAL, "")]
    if options.all_tags:  # It takes every tag set.
        others = [(without(said, ("tags",)), source, pattern) for said, source, pattern in others]
    sources = [(given_options(options), COMMAND_LINE, ""), *others]
    origins: list[Origin] = []
    changed: dict[str, Any] = {}
    expect = None
    for key in KEYS:
        for said, source, pattern in sources:
            value = getattr(said, key)
            if value is None:
                continue
            origins.append(Origin(key, value_of(key, value), source, pattern))
            if key == "expect":
                expect = value
            elif source != COMMAND_LINE:
                changed[key] = frozenset(value) if key == "tags" else value
            break
    return Decision(dataclasses.replace(options, **changed), expect, tuple(origins))


def to_remember(options: Options, report: ModelReport, before: ModelOptions) -> ModelOptions:
    """What the journal is to remember of a model.

    Args:
      options: with which it was worked on.
      report: what became of it.
      before: what was remembered; it stays where this attempt has come to nothing.
    """
    if not isinstance(report.outcome, GOOD_OUTCOMES):
        return before
    said = given_options(dataclasses.replace(with_proposals(options, report), given=frozenset()))
    return without(said, [key for key in KEYS if key not in _OF_THE_MODEL])


def with_proposals(options: Options, report: ModelReport) -> Options:
    """The options with what a model took of audit's proposals spelt out."""
    taken = report.proposed
    if not options.take_proposals or taken is None or not isinstance(report.outcome, GOOD_OUTCOMES):
        return options
    signature = options.signature if taken.signature is None else taken.signature
    feed = options.feed if taken.feed is None else taken.feed
    return dataclasses.replace(options, signature=signature, feed=feed)


# The config of a command.


def with_config(tasks: Sequence[Task], found: Mapping[str, Sequence[str]], options: Options) -> tuple[Task, ...]:
    """Tasks with the config's tables for each, so that another machine needs no config.

    Args:
      tasks: those that the options choose.
      found: the paths of all models by the path, a model's or a tree's, that the user has given.
      options: `config` counts.

    Raises:
      InputError: see `tables_of`.
    """
    if options.config is None:
        return tuple(tasks)
    names: dict[str, str] = {}
    for source, models in found.items():
        root = source.rstrip(os.sep) or os.sep
        names |= {path: os.path.relpath(path, root) for path in models}
    tables = tables_of(options.config, names)
    return tuple(dataclasses.replace(task, tables=tables[task.path]) for task in tasks)


def tables_of(file: str, names: Mapping[str, str]) -> dict[str, tuple[ConfigTable, ...]]:
    """Reads a config and finds its tables for each model.

    Args:
      file: the config.
      names: of all models of a tree, whether or not options choose them, by their paths: the path in the tree, or `.`
        for a model that is given alone.

    Returns:
      By the models' paths, the most specific table first.

    Raises:
      InputError: it cannot be read, a table is for no model, or a file that it names cannot be read.
    """
    config = read_config(file)
    matcher = Matcher(config)
    alone = [path for path, name in names.items() if name == os.curdir]
    tables = {
        path: matcher.tables_alone(path) if name == os.curdir else matcher.tables(name) for path, name in names.items()
    }
    used = {id(table) for found in tables.values() for table in found}
    if not alone:
        check_matched(config, [table for table in config.tables if id(table) not in used], list(names.values()))
    elif config.tables and not used:
        raise InputError(
            f"{visible(config.path)}: no table is for {visible(alone[0])}: for a model that is given alone a pattern "
            "must fit the end of its path, part by part; write one, or leave out --config"
        )
    _check_files(config, tables.values())
    return tables


def _check_files(config: Config, used: Iterable[Sequence[ConfigTable]]) -> None:
    """Reads the files that the config names, before any model: what is wrong with them is told at once.

    Raises:
      InputError: one of them cannot be read.
    """
    tables = [table for found in used for table in found]
    for key, check in (("inputs", _check_calls), ("golden", _check_golden)):
        named = {getattr(table.options, key): table for table in tables}
        for path, table in named.items():
            try:
                if path is not None:
                    check(path)
            except InputError as error:
                raise InputError(f"{place(config.path, table.pattern, key)}: {error}") from None


def _check_calls(path: str) -> None:
    from migrate.verify.given import check_calls

    check_calls(path, None)


def _check_golden(path: str) -> None:
    from migrate.verify.golden import load_golden

    if path.endswith(".npz"):  # A log is read by the signatures of its model.
        load_golden(path)


# What the report says of them.


def with_expectation(report: ModelReport, expect: str | None) -> ModelReport:
    """Says of a model whether it has ended as its config expects."""
    rest = tuple(finding for finding in report.findings if finding.code != "expectation-outdated")
    report = dataclasses.replace(report, findings=rest, expected="")
    if expect is None:
        return report
    codes = sorted({finding.code for finding in report.refusals})
    is_known = isinstance(report.outcome, Refused) and is_known_ending(expect, codes)
    if is_known or (isinstance(report.outcome, Unreadable) and expect == UNREADABLE):
        return dataclasses.replace(report, expected=expect)
    ended = outcome_name(report.outcome).replace("_", " ").replace("tf2", "TF2")
    told = f"refused for {', '.join(codes)}" if codes else ended
    found = Finding(
        "expectation-outdated",
        Severity.WARNING,
        f'the config has expect = "{expect}", and the model is {told}',
        (),
        "take the line out of the config, or correct it",
    )
    return dataclasses.replace(report, findings=gravest_first((*report.findings, found)))


def with_memory(report: ModelReport, decision: Decision) -> ModelReport:
    """Says of a model which options the journal has remembered."""
    rest = [finding for finding in report.findings if finding.code != "options-remembered"]
    report = dataclasses.replace(report, findings=tuple(rest))
    remembered = [origin for origin in decision.origins if origin.source == JOURNAL]
    if not remembered:
        return report
    found = Finding(
        "options-remembered",
        Severity.NOTE,
        f"as in an earlier run: {', '.join(map(option_text, remembered))}",
        (),
        "options on the command line or in the file that --config names come first",
    )
    return dataclasses.replace(report, findings=gravest_first((*rest, found)))


def option_text(origin: Origin) -> str:
    """An option as the command line takes it."""
    return " ".join(flags_of(origin.key, origin.value))
