from __future__ import annotations

import pytest

from migrate.errors import InternalError
from migrate.rewrite.op_facts import Gives, Op
from migrate.rewrite.rule import Rule, by_op
from migrate.rewrite.rules.table import RULES


def test_an_op_claimed_twice_raises():
    twice = Rule("twice", {"Unheard": Op(), "Assign": Op()}, lambda node, scope: None)
    with pytest.raises(InternalError, match="two rules claim the op Assign: write and twice"):
        by_op((*RULES, twice))


def test_two_rules_of_one_name_raise():
    with pytest.raises(InternalError, match="one name"):
        by_op((*RULES, Rule("write", {"Unheard": Op()}, lambda node, scope: None)))


def test_what_follows_from_the_rules():
    holds = Rule("holds", {"Variable": Op(gives=Gives.VARIABLE)}, lambda node, scope: None)
    writes = Rule("writes", {"Assign": Op(writes=True, gives=Gives.REF), "Neg": Op()}, lambda n, s: None, always=False)
    table = by_op((holds, writes))
    assert table.rules == {"Variable": holds, "Assign": writes, "Neg": writes}
    assert table.ops["Assign"] == writes.ops["Assign"]
    assert (table.sources, table.writers, table.always) == ({"Variable"}, {"Assign"}, {"Variable"})
    assert table != by_op((holds, writes))
