"""Who is told what is being done."""

from __future__ import annotations

import pytest

from migrate.cli.progress import progress
from migrate.events import Called, Step, Warned
from tests.cli.fake_api import run


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("audit a", False),
        ("audit a -v", True),
        ("audit -v a", True),
        ("audit a -v 1", True),
        ("audit -v=0 a", True),
        ("audit a -v=-1", False),
        ("audit a --verbosity=0", True),
        ("audit a -v -1", False),
    ],
)
def test_v_alone_logs_each_step(line, logged, calls):
    assert run(line) == 0
    ((_, (operands,), settings),) = calls
    assert operands == ["a"]
    assert (settings["progress"] is not None) == logged


@pytest.mark.parametrize("lines", [False, True])
def test_without_a_terminal_there_are_lines_where_they_are_wanted(lines, capsys):
    with progress(logged=False, lines=lines) as tell:
        assert (tell is not None) == lines
        if tell is not None:
            tell(Warned("damaged\x1b"))
            tell(Step(0, "m", "reading"))
    assert capsys.readouterr().err == ("migrate: damaged\\x1b\n" if lines else "")


def test_a_log_has_steps_and_not_each_call(monkeypatch):
    from absl import logging

    logged = []
    monkeypatch.setattr(logging, "info", lambda form, *words: logged.append(form % words))
    with progress(logged=True, lines=True) as tell:
        tell(Step(0, "m\n", "reading"))
        tell(Called(0, "m", 1, 2))
    assert logged == ["m\\n: reading"]
