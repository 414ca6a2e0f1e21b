"""Every flag of the program, and how a command line is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli.flags import HELP, Flag, Group, Kind, parse, spellings, wanted
from migrate.cli.verbs import VERBS
from migrate.errors import UsageError

_FLAGS = (
    Flag("a_switch", Group.MODELS, "help", default=False),
    Flag("text", Group.MODELS, "help", Kind.TEXT),
    Flag("names", Group.MODELS, "help", Kind.LIST),
    Flag("more", Group.MODELS, "help", Kind.TEXTS, default=()),
    Flag("jobs", Group.FLEET, "help", Kind.WHOLE, short="j", least=1, most=9),
    Flag("verbosity", Group.REPORT, "help", Kind.WHOLE, -1, short="v"),
    Flag("form", Group.REPORT, "help", Kind.CHOICE, "text", choices=("text", "json")),
    HELP,
)


def _read(*arguments):
    values, operands = parse("audit", _FLAGS, arguments)
    return {name: values[name].value for name in values if values[name].present}, operands


@pytest.mark.parametrize(
    ("arguments", "given", "operands"),
    [
        ([], {}, []),
        (["a", "--text=x", "b"], {"text": "x"}, ["a", "b"]),
        (["--text", "--no-a-switch"], {"text": "--no-a-switch"}, []),
        (["--a-switch", "a"], {"a_switch": True}, ["a"]),
        (["--no-a-switch"], {"a_switch": False}, []),
        (["--noa_switch"], {"a_switch": False}, []),
        (["-j4"], {"jobs": 4, "j": 4}, []),
        (["-v", "a"], {"verbosity": 0, "v": 0}, ["a"]),
        (["-v", "1"], {"verbosity": 1, "v": 1}, []),
        (["--names=a,b", "--more=x", "--more=y"], {"names": ["a", "b"], "more": ["x", "y"]}, []),
        (["--names="], {"names": []}, []),
        (["--", "--text=x", "-j4"], {}, ["--text=x", "-j4"]),
    ],
)
def test_a_command_line_is_read(arguments, given, operands):
    assert _read(*arguments) == (given, operands)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.booleans())
def test_a_text_comes_as_it_is(value, apart):
    found, operands = _read(*(["--text", value] if apart else [f"--text={value}"]))
    assert (found, operands) == ({"text": value}, [])


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--txt=1", "audit has no flag --txt; did you mean --text?"),
        ("--zzzz", "audit has no flag --zzzz; it has --a_switch, --form, --help"),
        ("--jobs=0", "audit: --jobs=0: wants a whole number from 1 to 9"),
        ("--jobs=10", "audit: --jobs=10: wants a whole number from 1 to 9"),
        ("--form=jso", "audit: --form=jso: wants text or json; did you mean json?"),
        ("--a_switch=maybe", "audit: --a_switch=maybe: wants true or false"),
    ],
)
def test_what_it_does_not_take_is_said(argument, said):
    with pytest.raises(UsageError) as error:
        _read(argument)
    assert str(error.value).startswith(said)


def test_what_a_flag_wants_in_words():
    assert wanted(Flag("n", Group.MODELS, "", Kind.NUMBER, least=0.5)) == "a number, 0.5 or more"
    assert wanted(Flag("n", Group.MODELS, "", Kind.PATH)) == "a path"


def test_switches_have_two_spellings_and_help_has_one():
    assert spellings((_FLAGS[0], HELP)) == ["a_switch", "help", "noa_switch"]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_flags_of_a_command_are_of_one_spelling_and_explained(verb):
    names = [*spellings(verb.flags), *(flag.short for flag in verb.flags if flag.short)]
    assert len(set(names)) == len(names)
    for flag in verb.flags:
        assert flag.help.endswith(".") and flag.name == flag.name.lower()
        assert bool(flag.choices) == (flag.kind is Kind.CHOICE)
    values, operands = parse(verb.name, verb.flags, [])
    assert operands == [] and not any(values[name].present for name in values)
