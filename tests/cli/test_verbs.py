"""The commands of the program."""

from __future__ import annotations

import shlex

import pytest

from migrate import cli
from migrate.cli.command_line import parse
from migrate.cli.verbs import VERBS, check_operands, find_verb
from migrate.errors import UsageError


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


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_command_is_found_by_its_name_and_suggested_by_others(verb):
    assert find_verb(verb.name) is verb
    for word in verb.also:
        with pytest.raises(UsageError, match=f"did you mean migrate {verb.name}"):
            find_verb(word)


@pytest.mark.parametrize(
    ("name", "operands", "good"),
    [
        ("audit", [], False),
        ("audit", ["a", "b", "c"], True),
        ("convert", ["a"], False),
        ("convert", ["a", "b", "c"], False),
        ("explain", [], True),
        ("explain", ["a", "b"], True),
        ("status", ["a", "b"], False),
        ("status", [""], False),
    ],
)
def test_how_many_operands_a_command_takes(name, operands, good):
    verb = find_verb(name)
    if good:
        check_operands(verb, operands)
    else:
        with pytest.raises(UsageError, match=f"migrate {name} "):
            check_operands(verb, operands)
