"""Reads a command line with absl's parser, which is given a command's own flags and registers none anywhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.cli.flags import INFO, Flag, Kind, spellings, wanted
from migrate.errors import UsageError
from migrate.levels import level_of

if TYPE_CHECKING:
    from absl.flags import FlagValues


def parse(command: str, known: Sequence[Flag], arguments: Sequence[str]) -> tuple[FlagValues, list[str]]:
    """Reads a command's arguments.

    Args:
      command: its name.
      known: its flags.
      arguments: what follows the name.

    Returns:
      The flags' values and the operands.

    Raises:
      UsageError: a flag is not there, or its value is not one that it takes.
    """
    from absl import flags

    values = _flag_values(known)
    try:
        spelled = _spelled(arguments, known)
        _check_once(spelled, known)
        return values, list(values([f"migrate {command}", *spelled])[1:])
    except flags.UnrecognizedFlagError as error:
        advice = _advice(command, error.flagname, known)
        raise UsageError(f"{command} has no flag {_written(error.flagname, spelled)}; {advice}") from None
    except (flags.Error, ValueError) as error:
        raise UsageError(f"{command}: {_told(error, known)}") from None


def _written(name: str, spelled: Sequence[str]) -> str:
    """A flag with as many dashes as the user has given it."""
    words = (argument.partition("=")[0] for argument in spelled)
    return next((word for word in words if word.startswith("-") and word.lstrip("-") == name), f"--{name}")


_SHORT = r"-([a-z])=?(-?[0-9]+)\Z"
_WHOLE = r"-?[0-9]+\Z"


def _spelled(arguments: Sequence[str], known: Sequence[Flag]) -> list[str]:
    """Arguments as absl takes them: dashes in names are underscores, `-j4` is `-j=4`, `-v` alone is `-v=0`."""
    by_name = {flag.name: flag for flag in known} | {flag.short: flag for flag in known if flag.short}
    spellable = {*spellings(known), *by_name}
    found: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*found, argument, *left]
        if not argument.startswith("-"):
            found.append(argument)
            continue
        short = re.match(_SHORT, argument)
        if short and short[1] in by_name:
            found.append(f"-{short[1]}={short[2]}")
            continue
        written, equals, value = argument.lstrip("-").partition("=")
        name = written.replace("-", "_")
        if name not in spellable and name.startswith("no_"):
            name = f"no{name[3:]}"
        if name not in spellable:
            found.append(argument)
            continue
        found.append(f"{argument[: len(argument) - len(argument.lstrip('-'))]}{name}{equals}{value}")
        flag = by_name.get(name)
        if equals or flag is None or flag.is_switch:
            continue
        if name == "v" and not (left and re.match(_WHOLE, left[0])):
            found[-1] = f"-v={INFO}"
        elif left:
            found.append(left.pop(0))  # Its value, which may begin with a dash.
    return found


_ONCE = (Kind.TEXT, Kind.PATH, Kind.WHOLE, Kind.NUMBER, Kind.CHOICE, Kind.LIST)
"""Kinds of flags that take one value."""


def _check_once(spelled: Sequence[str], known: Sequence[Flag]) -> None:
    """Checks that no flag of one value was given two: which one would count is a guess.

    Raises:
      UsageError: one was.
    """
    by_name = {flag.name: flag for flag in known} | {flag.short: flag for flag in known if flag.short}
    given: dict[str, str] = {}
    arguments = iter(spelled)
    for argument in arguments:
        if argument == "--":
            return
        name, equals, value = argument.lstrip("-").partition("=")
        flag = by_name.get(name) if argument.startswith("-") else None
        if flag is None or flag.kind not in _ONCE:
            continue
        value = value if equals else next(arguments, "")
        first = given.setdefault(flag.name, value)
        if first != value:
            raise UsageError(f"--{flag.name} is given twice, as {first!r} and as {value!r}; give it once")


_NAMED = r"(?s)flag --(\w+)=(.*?): "
_MISSING = r"Missing value for flag -+(\w+)"


def _told(error: Exception, known: Sequence[Flag]) -> str:
    """What is wrong with a flag's value, and what the flag takes."""
    words = " ".join(str(error).split())  # absl's own words may take several lines.
    missing = re.match(_MISSING, words)
    named = re.match(_NAMED, str(error))
    flag = next(
        (flag for flag in known for found in (missing, named) if found and found[1] in (flag.name, flag.short)), None
    )
    if missing is not None and flag is not None:
        return f"--{flag.name} needs a value: --{flag.name}={'|'.join(flag.choices) or flag.metavar}"
    if named is None or flag is None:
        return words
    import difflib

    near = difflib.get_close_matches(named[2], flag.choices, n=1)
    return f"--{flag.name}={named[2]}: expected {wanted(flag)}{f'; did you mean {near[0]}?' if near else ''}"


def _advice(command: str, name: str, known: Sequence[Flag]) -> str:
    """What the user may have meant by a flag that the command does not have."""
    import difflib

    from migrate.cli.verbs import VERBS  # They import much of the program, which a command line in order does not need.

    name = name.replace("-", "_")
    close = difflib.get_close_matches(name, spellings(known), n=1)
    if close:
        return f"did you mean --{close[0]}?"
    others = {flag.name: [verb.name for verb in VERBS if flag in verb.flags] for verb in VERBS for flag in verb.flags}
    near = difflib.get_close_matches(name, others, n=1)
    if near:
        return f"--{near[0]} is a flag of {', '.join(others[near[0]])}"
    return f"migrate {command} --help lists its flags"


def _flag_values(known: Sequence[Flag]) -> FlagValues:
    from absl import flags

    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow operands
    for flag in known:
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        short = flag.short or None
        match flag.kind:
            case Kind.SWITCH:
                flags.DEFINE_boolean(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.TEXT | Kind.PATH:
                flags.DEFINE_string(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.WHOLE:
                flags.DEFINE_integer(
                    flag.name, default, flag.help, flag.least, flag.most, short_name=short, flag_values=values
                )
            case Kind.NUMBER:
                flags.DEFINE_float(
                    flag.name, default, flag.help, flag.least, flag.most, short_name=short, flag_values=values
                )
            case Kind.CHOICE:
                flags.DEFINE_enum(flag.name, default, flag.choices, flag.help, short_name=short, flag_values=values)
            case Kind.LEVEL:
                _define_level(flag, values)
            case Kind.LIST:
                flags.DEFINE_list(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.TEXTS:
                flags.DEFINE_multi_string(flag.name, default, flag.help, short_name=short, flag_values=values)
    return values


def _define_level(flag: Flag, values: FlagValues) -> None:
    """A flag that is a switch to absl, so that its name may stand alone or behind `no`, and takes a level as well."""
    from absl import flags

    class Parser(flags.ArgumentParser):  # type: ignore[misc]  # absl has no types.
        def parse(self, argument: str) -> object:
            level = (flag.takes or level_of)(argument)
            if level is None:
                raise ValueError(f"value should be one of <{'|'.join(flag.choices)}>")
            return level

        def flag_type(self) -> str:
            return "string enum"

    flags.DEFINE_flag(
        flags.Flag(Parser(), flags.ArgumentSerializer(), flag.name, flag.default, flag.help, boolean=True), values
    )
