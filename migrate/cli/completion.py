"""`migrate completion SHELL`: a script with which a shell completes commands, flags, paths and finding codes.

The scripts are made of the table of commands and the records of flags; they start no Python when a key is pressed.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.cli.flags import HELP, Flag, Kind
from migrate.cli.output import put
from migrate.errors import UsageError

if TYPE_CHECKING:
    from absl.flags import FlagValues

    from migrate.cli.verbs import Verb


def completion(operands: Sequence[str], values: FlagValues) -> int:
    """Prints the script for one shell."""
    from migrate.cli.verbs import VERBS

    (shell,) = operands
    if shell not in SHELLS:
        near = difflib.get_close_matches(shell, SHELLS, n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"completion knows {', '.join(SHELLS)}, not {shell!r}{advice}")
    return put(SHELLS[shell](VERBS))


def _words_of(operand: str, verbs: Sequence[Verb]) -> list[str] | None:
    """All values of an operand; None where it is a path."""
    match operand.strip("[].").upper():
        case "CODE":
            from migrate.cli.outcomes import OUTCOMES
            from migrate.finding_codes import explanations

            return [*explanations(), *OUTCOMES]
        case "SHELL":
            return list(SHELLS)
        case _:
            return None


def _spelled(flag: Flag) -> list[str]:
    """The flag as it is written: with `=` where it takes a value, twice where it can be turned off."""
    if flag is HELP:
        return ["--help"]
    value = [] if flag.kind is Kind.SWITCH else [f"--{flag.name}="]
    return value + ([f"--{flag.name}", f"--no{flag.name}"] if flag.is_switch else [])


# bash


def _bash(verbs: Sequence[Verb]) -> str:
    return "\n".join(_bash_lines(verbs)) + "\n"


def _bash_lines(verbs: Sequence[Verb]) -> Iterator[str]:
    names = " ".join(verb.name for verb in verbs)
    yield "# Completion of migrate for bash. In ~/.bashrc: source <(migrate completion bash)"
    yield "_migrate() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}"
    yield "    local flag= flags= words= paths="
    yield "    COMPREPLY=()"
    yield "    if ((COMP_CWORD == 1)); then"
    yield f'        mapfile -t COMPREPLY < <(compgen -W {shlex.quote(f"{names} help --help --version")} -- "$cur")'
    yield "        return"
    yield "    fi"
    yield "    # bash parts words at `=`."
    yield "    if [[ $cur == = ]]; then flag=$before cur="
    yield "    elif [[ $before == = ]]; then flag=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    elif [[ $before == -* && $cur != -* ]]; then flag=$before"
    yield "    fi"
    yield "    flag=${flag#--} flag=${flag//-/_}"
    yield "    case $command in"
    yield f"    help) words={shlex.quote(names)} ;;"
    for verb in verbs:
        yield f"    {verb.name})"
        yield f"        flags={shlex.quote(' '.join(name for flag in verb.flags for name in _spelled(flag)))}"
        yield "        case $flag in"
        for flag in verb.flags:
            if flag.kind is not Kind.SWITCH:
                short = f"|_{flag.short}" if flag.short else ""
                yield f"        {flag.name}{short}) flags= {_bash_values(flag)} ;;"
        words = _words_of(verb.operands[-1], verbs)
        yield f"        *) {'paths=1' if words is None else f'words={shlex.quote(chr(32).join(words))}'} ;;"
        yield "        esac ;;"
    yield "    esac"
    yield "    if [[ $cur == -* ]]; then"
    yield "        [[ $cur == --* ]] && cur=${cur:2} && cur=--${cur//-/_}"
    yield '        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")'
    yield "        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null"
    yield "    elif [[ $paths ]]; then"
    yield "        compopt -o filenames 2>/dev/null"
    yield '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    yield "    elif [[ $words ]]; then"
    yield '        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")'
    yield "    fi"
    yield "    return 0"
    yield "}"
    yield "complete -F _migrate migrate"


def _bash_values(flag: Flag) -> str:
    if flag.choices:
        return f"words={shlex.quote(' '.join(flag.choices))}"
    return "paths=1" if flag.kind is Kind.PATH else ""


# zsh


def _zsh(verbs: Sequence[Verb]) -> str:
    return "\n".join(_zsh_lines(verbs)) + "\n"


def _zsh_lines(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "#compdef migrate"
    yield "# Completion of migrate for zsh. In ~/.zshrc, after compinit: source <(migrate completion zsh)"
    yield "_migrate() {"
    yield "    local -a commands"
    yield "    commands=("
    for verb in verbs:
        yield f"        {shlex.quote(f'{verb.name}:{verb.summary}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield "    case $command in"
    yield "        help) _describe command commands ;;"
    for verb in verbs:
        yield f"        {verb.name})"
        yield "            _arguments -S \\"
        for flag in verb.flags:
            for spec in _zsh_flag(flag):
                yield f"                {shlex.quote(spec)} \\"
        words = _words_of(verb.operands[-1], verbs)
        told = verb.operands[-1].strip("[].").lower()
        values = "_files" if words is None else f"({' '.join(words)})"
        yield f"                {shlex.quote(f'*:{told}:{values}')}"
        yield "            ;;"
    yield "    esac"
    yield "}"
    yield "(( $+functions[compdef] )) && compdef _migrate migrate"


def _zsh_flag(flag: Flag) -> Iterator[str]:
    told = flag.help.partition(". ")[0].rstrip(".")
    for char in "\\[]:":
        told = told.replace(char, f"\\{char}")
    if flag.is_switch:
        yield from (f"{spelled}[{told}]" for spelled in _spelled(flag) if not spelled.endswith("="))
    if flag.kind is not Kind.SWITCH:
        values = f"({' '.join(flag.choices)})" if flag.choices else "_files" if flag.kind is Kind.PATH else ""
        many = "*" if flag.kind is Kind.TEXTS else ""
        metavar = flag.metavar.lower().replace(":", "\\:")
        yield f"{many}--{flag.name}=[{told}]:{metavar}:{values}"


# fish


def _fish(verbs: Sequence[Verb]) -> str:
    return "\n".join(_fish_lines(verbs)) + "\n"


def _fish_lines(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "# Completion of migrate for fish. migrate completion fish > ~/.config/fish/completions/migrate.fish"
    yield "complete -c migrate -e"
    for verb in verbs:
        yield f"complete -c migrate -n __fish_use_subcommand -f -a {verb.name} -d {_fish_quoted(verb.summary)}"
    yield "complete -c migrate -n __fish_use_subcommand -f -a help -d 'show the flags of a command'"
    names = " ".join(verb.name for verb in verbs)
    yield f"complete -c migrate -n '__fish_seen_subcommand_from help' -f -a {_fish_quoted(names)}"
    for verb in verbs:
        where = f"complete -c migrate -n '__fish_seen_subcommand_from {verb.name}'"
        words = _words_of(verb.operands[-1], verbs)
        if words is not None:
            yield f"{where} -f -a {_fish_quoted(' '.join(words))}"
        for flag in verb.flags:
            short = f" -s {flag.short}" if flag.short else ""
            told = _fish_quoted(flag.help.partition(". ")[0].rstrip("."))
            yield f"{where} -l {flag.name}{short}{_fish_values(flag)} -d {told}"
            if flag.is_switch and flag is not HELP:
                yield f"{where} -l no{flag.name} -d {told}"


def _fish_values(flag: Flag) -> str:
    if flag.choices:
        return f" -x -a {_fish_quoted(' '.join(flag.choices))}"
    if flag.kind is Kind.SWITCH:
        return ""
    return " -r -F" if flag.kind is Kind.PATH else " -x"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: Mapping[str, Callable[[Sequence[Verb]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
