"""Every finding code is documented, and every documented code exists."""

from __future__ import annotations

import ast
import pathlib

import migrate
from migrate.codes import CODES
from tools.make_findings import PAGE, page

_MAKERS = {"refusal", "Finding", "Unavailable", "_warn", "_Fault"}


def _codes_in_the_source() -> set[str]:
    found = set()
    for path in pathlib.Path(migrate.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_the_table_has_the_codes_of_the_source():
    assert _codes_in_the_source() == set(CODES)


def test_the_page_is_what_the_table_says():
    assert pathlib.Path(PAGE).read_text(encoding="utf-8") == page()


def test_the_codes_are_in_the_order_of_the_alphabet():
    assert list(CODES) == sorted(CODES)
