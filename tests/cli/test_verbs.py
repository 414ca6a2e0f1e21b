"""The commands of the program."""

from __future__ import annotations

import shlex

from migrate import cli
from migrate.cli.flags import parse
from migrate.cli.verbs import VERBS, check_operands


def test_an_empty_operand_is_wrong_use(calls, capsys):
    assert cli.main(["migrate", "convert", "a", ""]) == 2
    assert capsys.readouterr().err.startswith("migrate: convert was given an empty operand")
    assert not calls


def test_each_example_of_the_help_is_understood(calls):
    for verb in VERBS:
        assert len(verb.examples) == 2
        for example in verb.examples:
            command, *arguments = shlex.split(example.partition(" > ")[0])
            _, operands = parse(verb.name, verb.flags, arguments)
            assert command == verb.name
            check_operands(verb, operands)


def test_no_word_is_suggested_for_two_commands():
    words = [word for verb in VERBS for word in (verb.name, *verb.also)]
    assert len(set(words)) == len(words)
