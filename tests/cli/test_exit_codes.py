"""The exit codes of the program."""

from __future__ import annotations

import signal

from migrate.cli import exit_codes
from migrate.cli.help import program_help


def test_each_code_has_one_meaning_which_help_tells():
    codes = [code for code, _ in exit_codes.MEANINGS]
    named = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert set(codes) == named and len(set(codes)) == len(codes)
    for code, meaning in exit_codes.MEANINGS:
        assert f"  {code:<5}{meaning}\n" in program_help()


def test_scripts_may_rely_on_the_numbers():
    assert [code for code, _ in exit_codes.MEANINGS] == [0, 1, 2, 3, 128 + signal.SIGINT]
