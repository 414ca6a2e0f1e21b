"""The Python API: paths, options that are checked when they are made, reports in notebooks, examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import types

import pytest

import migrate
from migrate import api
from tests.conversions import MODELS, ROOT

_WITH_TENSORFLOW = {"convert", "keep_warm", "record", "validate"}


def test_outcomes_events_and_facts_are_exported():
    (refused,) = migrate.audit(MODELS / "unknown_op").models
    assert isinstance(refused, migrate.ModelReport) and isinstance(refused.outcome, migrate.Refused)
    for name in migrate.__all__:
        assert hasattr(migrate, name)
    outcomes = {kind.__name__ for kind in migrate.Outcome.__args__}
    assert outcomes <= set(migrate.__all__)


def _modules():
    for file in sorted((ROOT / "migrate").rglob("*.py")):
        if re.search(r"^ +>>> ", file.read_text(encoding="utf-8"), re.MULTILINE):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_each_function_that_is_exported_has_an_example():
    for name in migrate.__all__:
        exported = getattr(migrate, name)
        assert not isinstance(exported, types.FunctionType) or ">>> " in exported.__doc__, name


@pytest.mark.parametrize("name", list(_modules()))
def test_the_examples_in_docstrings(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    _run(importlib.import_module(name), lambda test: test.name.rpartition(".")[2] not in _WITH_TENSORFLOW, {})


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_examples_that_start_tensorflow(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    _run(api, lambda test: test.name.rpartition(".")[2] in _WITH_TENSORFLOW, {"new": tmp_path})


def _run(module, wanted, given):
    ran = 0
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=given):
        if test.examples and wanted(test):
            ran += runner.run(test).attempted
    assert ran and not runner.failures
    assert os.getcwd() == str(ROOT)
