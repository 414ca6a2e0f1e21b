"""fresh.py: what is special about a job in a new interpreter. How jobs end is in test_channel.py."""

from __future__ import annotations

import os
import sys

import pytest

from migrate.processes.confinement import Confinement, Confining, in_force
from migrate.processes.fresh import FreshInterpreters
from migrate.records import Crashed
from tests.conversions import ROOT

pytestmark = pytest.mark.process

_MODULE = "tests.processes.test_fresh"


def run(job):
    """What a child does."""
    match job:
        case "modules":
            return ",".join(name for name in ("tensorflow", "keras", "h5py") if name in sys.modules)
        case ("variable", name):
            return os.environ.get(name, "")
        case ("read", path):
            try:
                with open(path, encoding="utf-8") as file:
                    return file.read()
            except OSError as error:
                return type(error).__name__
    return ""


def _run(job, confinement=None, **arguments):
    runner = FreshInterpreters(path=(ROOT,), **arguments)
    if confinement is not None:
        runner = Confining(runner, confinement)
    return runner.run("step", _MODULE, job, str, 60)


def test_it_has_nothing_loaded():
    assert _run("modules") == ""


def test_its_environment():
    assert _run(("variable", "MIGRATE_TEST"), variables={"MIGRATE_TEST": "given"}) == "given"


def test_it_is_confined_before_the_job_is_read(tmp_path):
    if not in_force(writes=False).landlock:
        pytest.skip("needs Landlock")
    (tmp_path / "allowed").write_text("one")
    (tmp_path / "other").write_text("two")
    confinement = Confinement((str(tmp_path / "allowed"), str(ROOT)))
    assert _run(("read", str(tmp_path / "allowed")), confinement) == "one"
    assert _run(("read", str(tmp_path / "other")), confinement) == "PermissionError"


def test_a_module_that_is_not_there():
    ending = FreshInterpreters().run("step", "migrate.no_such_module", "job", str, 60)
    assert isinstance(ending, Crashed) and "no_such_module" in ending.stderr_tail
