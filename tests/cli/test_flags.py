"""Every flag of the program."""

from __future__ import annotations

import pytest

from migrate.cli.command_line import parse
from migrate.cli.flags import HELP, Flag, Group, Kind, spellings, wanted
from migrate.cli.verbs import VERBS
from migrate.levels import LEVELS

_SWITCH = Flag("a_switch", Group.MODELS, "help", default=False)
_LEVEL = Flag("check", Group.VERIFICATION, "help", Kind.LEVEL, "full", choices=LEVELS)


def test_what_a_flag_wants_in_words():
    assert wanted(Flag("n", Group.MODELS, "", Kind.NUMBER, least=0.5)) == "a number, 0.5 or more"
    assert wanted(Flag("n", Group.MODELS, "", Kind.PATH)) == "a path"


def test_switches_have_two_spellings_and_help_has_one():
    assert spellings((_SWITCH, HELP)) == ["a_switch", "help", "noa_switch"]
    assert spellings((_LEVEL, HELP)) == ["check", "help", "nocheck"]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_flags_of_a_command_are_of_one_spelling_and_explained(verb):
    names = [*spellings(verb.flags), *(flag.short for flag in verb.flags if flag.short)]
    assert len(set(names)) == len(names)
    for flag in verb.flags:
        assert flag.help.endswith(".") and flag.name == flag.name.lower()
        assert bool(flag.choices) == (flag.kind in (Kind.CHOICE, Kind.LEVEL))
    values, operands = parse(verb.name, verb.flags, [])
    assert operands == [] and not any(values[name].present for name in values)
