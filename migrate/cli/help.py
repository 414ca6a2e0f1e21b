"""The help texts, made of the table of commands."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from migrate.cli.flags import Flag, Kind
from migrate.cli.output import columns
from migrate.cli.verbs import VERBS, Verb

_WIDEST = 100


def program_help() -> str:
    """What `migrate --help` says."""
    lines = [
        "Audits, converts and validates TensorFlow 1 models for TensorFlow 2.",
        "",
        "usage:",
        *(f"  migrate {verb.name} {verb.usage} [FLAGS]" for verb in VERBS),
        "",
        "commands:",
        *(f"  {verb.name:<10}{verb.summary}" for verb in VERBS),
        "",
        "migrate COMMAND --help lists the flags of a command; migrate --version says what is installed.",
        "The report goes to standard output, logs and progress go to standard error.",
        "",
        "exit code: 0 all good; 1 some model cannot be converted or is not as good as its source;",
        "           2 wrong use; 3 a bug of migrate.",
    ]
    return "\n".join(lines) + "\n"


def verb_help(verb: Verb) -> str:
    """What `migrate VERB --help` says."""
    width = min(columns(), _WIDEST)
    lines = [f"usage: migrate {verb.name} {verb.usage} [FLAGS]", "", *textwrap.wrap(verb.description, width), ""]
    for flag in sorted(verb.flags, key=lambda flag: flag.name):
        lines.append(f"  {_spelled(flag)}")
        lines += textwrap.wrap(flag.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"


def _spelled(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else ""
    if flag.kind is Kind.SWITCH:
        return f"{short}--[no]{flag.name}{' (on by default)' if flag.default else ''}"
    value = "..." if flag.default is None or flag.default == () else f"{flag.default}"
    return f"{short}--{flag.name}={value}"


def usages(verbs: Sequence[Verb] = VERBS) -> str:
    """Every command with its operands, in one line."""
    return ", ".join(f"migrate {verb.name} {verb.usage}" for verb in verbs)
