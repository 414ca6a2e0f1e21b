"""How a command line is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli.command_line import parse
from migrate.cli.flags import HELP, Flag, Group, Kind
from migrate.errors import UsageError
from migrate.levels import LEVELS

_FLAGS = (
    Flag("a_switch", Group.MODELS, "help", default=False),
    Flag("text", Group.MODELS, "help", Kind.TEXT),
    Flag("names", Group.MODELS, "help", Kind.LIST),
    Flag("more", Group.MODELS, "help", Kind.TEXTS, default=()),
    Flag("jobs", Group.FLEET, "help", Kind.WHOLE, short="j", least=1, most=9),
    Flag("verbosity", Group.REPORT, "help", Kind.WHOLE, -1, short="v"),
    Flag("form", Group.REPORT, "help", Kind.CHOICE, "text", choices=("text", "json")),
    Flag("check", Group.VERIFICATION, "help", Kind.LEVEL, "full", choices=LEVELS),
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
        (["--check", "a"], {"check": "full"}, ["a"]),
        (["--no-check", "a"], {"check": "none"}, ["a"]),
        (["--nocheck"], {"check": "none"}, []),
        (["--check=replay"], {"check": "replay"}, []),
        (["--check=true"], {"check": "full"}, []),
        (["--check=F"], {"check": "none"}, []),
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
        ("-x", "audit has no flag -x; migrate audit --help lists its flags"),
        ("--zzzz", "audit has no flag --zzzz; migrate audit --help lists its flags"),
        ("--jobs=0", "audit: --jobs=0: expected a whole number from 1 to 9"),
        ("--jobs=10", "audit: --jobs=10: expected a whole number from 1 to 9"),
        ("--form=jso", "audit: --form=jso: expected text or json; did you mean json?"),
        ("--check=ful", "audit: --check=ful: expected none, proof, replay or full; did you mean full?"),
        ("--nocheck=1", "audit: --nocheck=1 does not take an argument"),
        ("--a_switch=maybe", "audit: --a_switch=maybe: expected true or false"),
    ],
)
def test_what_it_does_not_take_is_said(argument, said):
    with pytest.raises(UsageError) as error:
        _read(argument)
    assert str(error.value).startswith(said)
