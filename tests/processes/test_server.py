"""The program that forks for every job: what it makes of its arguments."""

from __future__ import annotations

import sys

import pytest

from migrate.processes import server


@pytest.fixture
def served(monkeypatch):
    found = []
    monkeypatch.setattr(server, "serve", lambda *arguments: found.append(arguments))
    monkeypatch.setattr(sys, "path", ["before"])
    return found


def test_modules_are_served_on_standard_input_and_directories_come_first(served):
    assert server.main(["a", "b", server.AHEAD, server.PATH, "one", "two"]) == 0
    assert served == [(["a", "b"], 0)]
    assert sys.path == ["one", "two", "before"]


def test_modules_ahead_of_need_are_lent(served, monkeypatch):
    import contextlib
    import types

    @contextlib.contextmanager
    def started(modules):
        assert modules == ["late"]
        yield types.SimpleNamespace(ended="ended", lend="lend")

    monkeypatch.setattr(server, "started", started)
    assert server.main(["a", server.AHEAD, "late", server.PATH]) == 0
    assert served == [(["a"], 0, "ended", "lend")]
    assert sys.path == ["before"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(ModuleNotFoundError("No module named 'gone'"), "No module named 'gone'"), (MemoryError(), "not enough memory")],
)
def test_why_it_ends_is_said(monkeypatch, capsys, error, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(server, "serve", fail)
    assert server.main(["gone", server.AHEAD, server.PATH]) == 1
    assert said in capsys.readouterr().err
