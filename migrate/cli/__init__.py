"""The command line: absl flags in, one frozen `Options` to `migrate.api`, a report on standard output.

The only `print` and the only exit codes of the package are here. Nothing heavy is imported before it is
needed: `migrate --help` imports neither absl nor rich, and no command imports TensorFlow by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.cli.command_line import parse
from migrate.cli.exit_codes import BUG, INTERRUPTED, WRONG_USE
from migrate.cli.help import program_help, verb_help
from migrate.cli.output import put, say
from migrate.cli.verbs import Verb, check_operands, find_verb
from migrate.errors import InputError, InterruptedRunError, UsageError, starved
from migrate.escapes import quoted


def main(argv: Sequence[str]) -> int:
    """Runs one command.

    Args:
      argv: the program's name and its arguments.

    Returns:
      The exit code; see `exit_codes`.
    """
    try:
        return _dispatch(argv[1:])
    except InputError as error:
        say(f"migrate: {error}")
        return WRONG_USE
    except KeyboardInterrupt as error:
        # A tree is published model by model, and the ones that are done stay.
        say(str(error) if isinstance(error, InterruptedRunError) else "interrupted; nothing was written")
        return INTERRUPTED
    except Exception as error:
        lack = starved(error)
        if lack is not None:
            say(f"migrate: {lack}")
            return WRONG_USE
        import traceback

        for line in traceback.format_exc().splitlines():
            say(line)
        say("migrate: this is a bug of migrate, not of your model; please report it with the lines above")
        return BUG


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments:
        raise UsageError(
            "say what to do: migrate audit PATH says what can be converted; migrate --help lists all commands"
        )
    first, rest = arguments[0], arguments[1:]
    if first in ("--help", "-h", "-help"):
        return put(program_help())
    if first in ("--version", "-version", "-V"):
        return put(_version())
    if first == "help":
        return put(verb_help(find_verb(rest[0])) if rest else program_help())
    if first.startswith("-"):
        raise UsageError(f"a command comes first, then its flags: migrate audit {quoted(first)} PATH")
    return _run(find_verb(first), rest)


def _run(verb: Verb, arguments: Sequence[str]) -> int:
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if any(argument in ("--help", "-h", "-help") for argument in flags):
        return put(verb_help(verb))
    values, operands = parse(verb.name, verb.flags, arguments)
    check_operands(verb, operands)
    return verb.run(operands, values)


def _version() -> str:
    from migrate.versions import tool

    versions = tool()
    tensorflow = versions["tensorflow"] or "not installed"
    return f"migrate {versions['version']} (Python {versions['python']}, TensorFlow {tensorflow})\n"
