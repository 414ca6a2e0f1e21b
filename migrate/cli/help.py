"""The help texts, made of the table of commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from migrate.cli.exit_codes import MEANINGS
from migrate.cli.flags import HELP, Flag, Group, Kind, default_words
from migrate.cli.output import columns
from migrate.cli.verbs import VERBS, Verb

_WIDEST = 100


def program_help() -> str:
    """What `migrate --help` says."""
    width = max(len(verb.name) for verb in VERBS) + 2
    lines = [
        "Audits, converts and validates TensorFlow 1 models for TensorFlow 2.",
        "",
        "usage:",
        *(f"  {usage(verb)}" for verb in VERBS),
        "",
        "commands:",
        *(f"  {verb.name:<{width}}{verb.summary}" for verb in VERBS),
        "",
        "migrate COMMAND --help lists the flags of a command; migrate --version says what is installed.",
        "The report goes to standard output, logs and progress go to standard error.",
        "",
        *_exit_codes(),
    ]
    return "\n".join(lines) + "\n"


def verb_help(verb: Verb) -> str:
    """What `migrate VERB --help` says."""
    width = min(columns(), _WIDEST)
    lines = [f"usage: {usage(verb)}", "", *textwrap.wrap(verb.description, width), ""]
    lines += ["examples", *(f"  migrate {example}" for example in verb.examples), ""]
    for group in Group:
        flags = sorted((flag for flag in verb.flags if flag.group is group), key=lambda flag: flag.name)
        if flags:
            lines += [group.value, *(line for flag in flags for line in _flag(flag, width)), ""]
    return "\n".join([*lines, *_exit_codes(verb.codes)]) + "\n"


def usage(verb: Verb) -> str:
    """A command with its operands, in one line."""
    return f"migrate {verb.name} {verb.usage}{'' if verb.flags == (HELP,) else ' [FLAGS]'}"


def with_value(flag: Flag) -> str:
    """A flag with what it takes: `--jobs=N`, `--[no]quiet`."""
    no = "[no]" if flag.is_switch and flag is not HELP else ""
    value = f"={'|'.join(flag.choices) or flag.metavar}" if flag.kind is not Kind.SWITCH else ""
    return f"--{no}{flag.name}{value}"


def _flag(flag: Flag, width: int) -> Iterator[str]:
    short = f"-{flag.short}, " if flag.short else ""
    yield f"  {short}{with_value(flag)}{_default(flag)}"
    yield from textwrap.wrap(flag.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _default(flag: Flag) -> str:
    if flag.kind is Kind.SWITCH:
        return "  (on by default)" if flag.default else ""
    words = default_words(flag)
    return f"  (default: {words})" if words else ""


def _exit_codes(codes: Sequence[tuple[int, str]] = MEANINGS) -> list[str]:
    return ["exit codes", *(f"  {code:<5}{meaning}" for code, meaning in codes)]
