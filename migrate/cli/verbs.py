"""The commands of the program in one table, which dispatch, help, completion and suggestions read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migrate.cli import commands
from migrate.cli.config import config
from migrate.cli.flags import (
    AGAINST,
    CONFIG,
    CONVERTING,
    FLEET,
    HELP,
    KEEPING,
    PLANNING,
    READING,
    RECONVERT,
    REPLAYING,
    REPORTING,
    SECURITY,
    Flag,
)
from migrate.errors import UsageError
from migrate.frozen import frozen

if TYPE_CHECKING:
    from absl.flags import FlagValues


@frozen
class Verb:
    """One command.

    Attributes:
      name: what it is called by.
      usage: its operands and required flags, as help shows them.
      summary: one line for the list of commands.
      description: what `migrate VERB --help` says.
      operands: names of the positional arguments; a last one that ends with `...` takes one or more.
      flags: all its flags.
      run: carries it out; takes operands and the flags' values, and gives the exit code.
    """

    name: str
    usage: str
    summary: str
    description: str
    operands: tuple[str, ...]
    flags: tuple[Flag, ...]
    run: Callable[[Sequence[str], FlagValues], int]


VERBS = (
    Verb(
        "audit",
        "PATH...",
        "say what a model needs and whether it can be converted; writes nothing",
        "Reads each PATH, a model or a tree of models, and reports what it is, its signatures and variables, and "
        "every finding that stands in the way. Runs and writes nothing.",
        ("PATH...",),
        (*READING, CONFIG, *PLANNING, SECURITY, *REPORTING),
        commands.audit,
    ),
    Verb(
        "convert",
        "SOURCE DESTINATION",
        "write a TF2 SavedModel and verify that it answers as the source does",
        "Converts SOURCE, a model or a tree of models, to TF2 SavedModels at DESTINATION. The source is never written "
        "to; a destination is whole or absent. The same command again does only what is missing or has changed.",
        ("SOURCE", "DESTINATION"),
        (*READING, CONFIG, RECONVERT, *KEEPING, *CONVERTING, *REPLAYING, *FLEET, *REPORTING),
        commands.convert,
    ),
    Verb(
        "validate",
        "CANDIDATE --against=SOURCE",
        "replay the source's answers on a model that was converted before",
        "Makes the same calls to CANDIDATE and to the model that --against names, each loaded afresh in a process "
        "of its own, and compares every output.",
        ("CANDIDATE",),
        (*READING, CONFIG, AGAINST, *KEEPING, *REPLAYING, *REPORTING),
        commands.validate,
    ),
    Verb(
        "config",
        "MODELS [NEW] --config=FILE",
        "show which options apply to each model, and which table and key each comes from",
        "Takes the flags of convert, and shows for each model the options that are not the default: those of the "
        "command line, then those of the config's tables, the most specific first, then what the journal of the new "
        "tree NEW remembers. Reads no model.",
        ("MODELS...",),
        (*READING, CONFIG, RECONVERT, *KEEPING, *CONVERTING, *REPLAYING, *FLEET, *REPORTING),
        config,
    ),
    Verb(
        "report",
        "DIRECTORY",
        "make the files of a report again from its report.json",
        "Makes junit.xml, report.sarif and report.html again from the report.json in DIRECTORY, which an earlier "
        "command with --report=DIRECTORY has written. DIRECTORY may also be a tree that convert has written: what its "
        "journal knows is shown in DIRECTORY/.migrate/report. Reads no model.",
        ("DIRECTORY",),
        (HELP,),
        commands.report,
    ),
)


def find_verb(name: str) -> Verb:
    """The command of a name.

    Raises:
      UsageError: there is none; the message says which one is near.
    """
    by_name = {verb.name: verb for verb in VERBS}
    if name in by_name:
        return by_name[name]
    close = difflib.get_close_matches(name, by_name, n=1)
    advice = f"did you mean migrate {close[0]}?" if close else f"the commands are {', '.join(by_name)}"
    raise UsageError(f"there is no command {name!r}; {advice}")


def check_operands(verb: Verb, operands: Sequence[str]) -> None:
    """Says what a command takes where it was given something else.

    Raises:
      UsageError: there are too few or too many operands, or an empty one.
    """
    wanted = len(verb.operands)
    many = verb.operands[-1].endswith("...")
    if len(operands) < wanted or (len(operands) > wanted and not many):
        given = ", ".join(map(repr, operands)) or "nothing"
        takes = " and ".join(verb.operands)
        raise UsageError(f"{verb.name} takes {takes}, not {given}: migrate {verb.name} {verb.usage}")
    if not all(operands):
        raise UsageError(f"{verb.name} was given an empty path: migrate {verb.name} {verb.usage}")
