"""The commands of the program in one table, which dispatch, help, completion and suggestions read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migrate.cli import commands
from migrate.cli.config import config
from migrate.cli.exit_codes import COMPARED, MEANINGS, SHOWN, WORKED
from migrate.cli.flags import (
    AGAINST,
    CHOOSING,
    CONFIG,
    CONVERTING,
    EARLIER,
    FLEET,
    FORMAT,
    FROM,
    HELP,
    KEEPING,
    PLANNING,
    READING,
    RECONVERT,
    RECORDING,
    REPLAYING,
    REPORTING,
    SECURITY,
    Flag,
)
from migrate.errors import UsageError
from migrate.escapes import quoted
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
      operands: names of the positional arguments; a last one that ends with `...` takes one or more, and one in
        brackets may be left out.
      flags: all its flags.
      run: carries it out; takes operands and the flags' values, and gives the exit code.
      examples: of command lines, without the program's name.
      also: words by which somebody may look for it; they are suggested and never run.
      codes: its exit codes with their meanings.
    """

    name: str
    usage: str
    summary: str
    description: str
    operands: tuple[str, ...]
    flags: tuple[Flag, ...]
    run: Callable[[Sequence[str], FlagValues], int]
    examples: tuple[str, ...]
    also: tuple[str, ...] = ()
    codes: tuple[tuple[int, str], ...] = MEANINGS


def _late(name: str) -> Callable[[Sequence[str], FlagValues], int]:
    """A command in a module of its own that few runs need: it is imported when the command runs."""

    def run(operands: Sequence[str], values: FlagValues) -> int:
        import importlib

        code: int = getattr(importlib.import_module(f"migrate.cli.{name}"), name)(operands, values)
        return code

    return run


VERBS = (
    Verb(
        "audit",
        "PATH...",
        "say what a model needs and whether it can be converted; writes nothing",
        "Reads each PATH, which is a model or a tree of models. Reports what each model is, its signatures and "
        "variables, and every finding that blocks the conversion. Runs no model and writes nothing.",
        ("PATH...",),
        (*READING, CONFIG, *PLANNING, SECURITY, *REPORTING),
        commands.audit,
        ("audit models/", "audit models/ranker --format=json"),
        ("check", "inspect", "show", "scan", "analyze", "analyse", "lint", "list"),
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
        ("convert models/ models_tf2/ --jobs=4 --report=out", "convert ranker.pb ranker_tf2 --take_proposals"),
        ("migrate", "upgrade", "export", "run", "translate"),
    ),
    Verb(
        "validate",
        "CANDIDATE --against=SOURCE | --golden=FILE",
        "compare models that were converted before with their sources again",
        "Makes the same calls to CANDIDATE and to the model that --against names, and compares every output. Each "
        "model is loaded from disk in its own process. In two trees it compares the models with the same path. Give "
        "the flags of the conversion again (--signature, --feed, --drop_signatures, --keep_tensor_names, "
        "--variables), here or in --config; otherwise they count as differences. With --golden=FILE the answers come "
        "from a file that was recorded where the old model runs; --against is then optional. With --report=DIRECTORY "
        "there is a journal, with which the same command continues an interrupted run. Nothing is written to "
        "CANDIDATE or SOURCE.",
        ("CANDIDATE",),
        (*READING, CONFIG, AGAINST, *KEEPING, *REPLAYING, *CHOOSING, *REPORTING),
        commands.validate,
        ("validate models_tf2 --against=models --report=out", "validate new --against=old --inputs=calls.json"),
        ("verify", "compare", "test", "replay"),
    ),
    Verb(
        "config",
        "MODELS [NEW] --config=FILE",
        "show which options apply to each model, and which table and key each comes from",
        "Takes the flags of convert, and shows for each model the options that are not the default: first those of the "
        "command line, then those of the config's tables (the most specific first), then those in the journal of the "
        "new tree NEW. Reads no model.",
        ("MODELS...",),
        (*READING, CONFIG, RECONVERT, *KEEPING, *CONVERTING, *REPLAYING, *FLEET, *REPORTING),
        config,
        ("config models/ --config=migrate.toml", "config models/ models_tf2/ --config=migrate.toml"),
        ("configure", "options", "settings", "plan"),
        WORKED,
    ),
    Verb(
        "report",
        "DIRECTORY",
        "write the files of a report again from its report.json, or compare it with an earlier one",
        "Writes junit.xml, report.sarif and report.html again from the report.json in DIRECTORY, which an earlier "
        "command with --report=DIRECTORY has written. DIRECTORY may also be a tree that convert has written: the "
        "report of its journal is then in DIRECTORY/.migrate/report. With --against=OLD it says which models are "
        "better, worse or new since then. Reads no model.",
        ("DIRECTORY",),
        (EARLIER, FORMAT, HELP),
        commands.report,
        ("report models_tf2", "report out --against=out_of_last_week"),
        ("render", "html", "sarif", "junit"),
        COMPARED,
    ),
    Verb(
        "record",
        "MODEL --output=FILE",
        "record the answers of a model in a file for --golden",
        "Makes calls to MODEL, from --inputs or made up, and writes the answers to a file. On another machine, "
        "validate --golden=FILE and convert --golden=FILE compare a new model with them. --print_script prints a "
        "program that does the same on machines with TensorFlow 1. It needs Python 2.7 or 3.5 and later, TensorFlow "
        "and NumPy, and nothing else. MODEL is never written to.",
        ("[MODEL]",),
        (*READING, *RECORDING, HELP),
        _late("record"),
        ("record ranker --inputs=calls.json --output=golden.npz", "record --print_script > record.py"),
        ("golden", "save", "capture", "answers"),
        WORKED,
    ),
    Verb(
        "inputs",
        "MODEL",
        "print a template for --inputs: names, dtypes, shapes and example values",
        "Prints a JSON file with one call for each signature of MODEL. --inputs of convert and validate takes it as "
        "it is. docs/inputs.md describes the format. Runs no model and writes nothing.",
        ("MODEL",),
        (*READING, HELP),
        _late("inputs"),
        ("inputs ranker > calls.json", "inputs ranker.pb --take_proposals > calls.json"),
        ("template", "calls", "input", "example"),
        WORKED,
    ),
    Verb(
        "status",
        "TREE",
        "show the journal of a converted tree: how each model ended, when, and what has changed since",
        "Shows for each model of TREE, which convert has written, how it ended and when, and whether its source or the "
        "new model has changed since. Writes nothing. The exit code is 1 if a model is not good or has changed; one "
        "that ended as --config of convert expects is good.",
        ("TREE",),
        (FORMAT, HELP),
        _late("status"),
        ("status models_tf2", "status models_tf2 --format=json"),
        ("progress", "journal", "state"),
    ),
    Verb(
        "runtime",
        "[install | show | remove]",
        "install, show or remove the runtime of TensorFlow 1.15.5, which can answer for sources (--judge)",
        "install downloads the wheel of TensorFlow 1.15.5 with pip, checks its SHA-256, unpacks its libraries into "
        "your cache directory, and tries them on a small model. Any Python from 3.10 can use them. show says what is "
        "installed, and exits with 1 if nothing is. Works on 64-bit Linux on x86-64 only.",
        ("[ACTION]",),
        (FROM, FORMAT, HELP),
        _late("runtime"),
        ("runtime install", "runtime install --from=tensorflow-1.15.5-cp37-cp37m-manylinux2010_x86_64.whl"),
        ("tensorflow1", "tf1", "judge", "install"),
        SHOWN,
    ),
    Verb(
        "explain",
        "[CODE...]",
        "say what a finding, a difference or an outcome means, why it matters and what to do",
        "Prints for each code what the finding or difference means, why it matters, an example and what to do; for a "
        "difference also which clients it breaks. CODE may also be an outcome, such as unreadable. Without a code it "
        "lists all.",
        ("[CODE...]",),
        (HELP,),
        _late("explain"),
        ("explain unfed-placeholder", "explain"),
        ("describe", "why", "codes", "findings", "finding"),
        WORKED,
    ),
    Verb(
        "completion",
        "SHELL",
        "print a script with which bash, zsh or fish completes commands and flags",
        "Prints a script for bash, zsh or fish that completes commands, flags, their values, paths and finding codes. "
        "Load it when your shell starts.",
        ("SHELL",),
        (HELP,),
        _late("completion"),
        ("completion bash > ~/.local/share/bash-completion/completions/migrate", "completion zsh > ~/.migrate.zsh"),
        ("completions", "complete", "autocomplete"),
        WORKED,
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
    import difflib

    meant = next((verb.name for verb in VERBS if name in verb.also), None)
    if meant is None and os.path.exists(name):
        meant = f"audit {quoted(name)}" if name.isprintable() else "audit PATH"
    meant = meant or next(iter(difflib.get_close_matches(name, by_name, n=1)), None)
    advice = f"did you mean migrate {meant}?" if meant else f"the commands are {', '.join(by_name)}"
    raise UsageError(f"there is no command {name!r}; {advice}")


def check_operands(verb: Verb, operands: Sequence[str]) -> None:
    """Says what a command takes where it was given something else.

    Raises:
      UsageError: there are too few or too many operands, or an empty one.
    """
    wanted = len([operand for operand in verb.operands if not operand.startswith("[")])
    many = verb.operands[-1].endswith(("...", "...]"))
    if len(operands) < wanted or (len(operands) > len(verb.operands) and not many):
        takes = " and ".join(verb.operands)
        said = f"takes {takes}, not {', '.join(map(repr, operands))}" if operands else f"needs {takes}"
        raise UsageError(f"{verb.name} {said}: migrate {verb.name} {verb.usage}")
    if not all(operands):
        raise UsageError(f"{verb.name} was given an empty operand: migrate {verb.name} {verb.usage}")
