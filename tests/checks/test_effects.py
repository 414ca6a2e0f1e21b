from __future__ import annotations

from migrate.checks.effects import ATTRIBUTE_DECIDES, HARMLESS
from migrate.graph.op_table import load_op_table


def test_what_an_attribute_makes_harmless_is_dangerous_in_the_table():
    table = load_op_table()
    assert all(table[op].effect not in HARMLESS for op in ATTRIBUTE_DECIDES)
