"""A process gives back what it has freed before another one is started for it."""

from __future__ import annotations

from migrate.processes import sparing
from migrate.processes.libc import give_back
from migrate.processes.sparing import Sparing


class _Runner:
    def __init__(self, told):
        self._told = told

    def run(self, *arguments):
        self._told.append(("run", *arguments))
        return "result"

    def begin(self, *arguments):
        self._told.append(("begin", *arguments))
        return "running"


def test_memory_is_given_back_first(monkeypatch):
    told = []
    monkeypatch.setattr(sparing, "give_back", lambda: told.append("given back"))
    runner = Sparing(_Runner(told))
    assert runner.run("step", "module", "job", int, 1.0) == "result"
    assert runner.begin("step", "module", "job", int, 2.0) == "running"
    job = ("step", "module", "job", int)
    assert told == ["given back", ("run", *job, 1.0), "given back", ("begin", *job, 2.0)]


def test_a_c_library_that_cannot_keeps_it(monkeypatch):
    give_back()
    monkeypatch.setattr("migrate.processes.libc.libc", lambda: object())
    give_back()
