"""Where tests are: those of a module in `tests/<room>/test_<module>.py`, those of the whole product in `product`."""

from __future__ import annotations

import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_TESTS = sorted(path.relative_to(_ROOT / "tests") for path in (_ROOT / "tests").rglob("test_*.py"))
_OF_SEVERAL = {
    pathlib.Path(name) for name in ("test_tests.py", "rewrite/rules/test_rules.py", "rewrite/test_branch_texts.py")
}
"""This file, what holds for every rule, and graphs as text of a module whose other tests start TensorFlow."""


@pytest.mark.parametrize("test", [test for test in _TESTS if test.parts[0] != "product"], ids=str)
def test_a_test_is_called_as_its_module(test):
    module = _ROOT / "migrate" / test.with_name(test.name.removeprefix("test_"))
    assert test in _OF_SEVERAL or module.exists() or module.with_suffix("").is_dir()
