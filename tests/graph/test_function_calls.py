from __future__ import annotations

import pytest

from migrate.graph.function_calls import BRANCHES, LOOPS, PARTITIONED, callees, is_lowered
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef


def _node(op: str, **functions: str) -> NodeDef:
    node = NodeDef(name="n", op=op)
    for key, name in functions.items():
        node.attr[key].func.name = name
    return node


@pytest.mark.parametrize(
    "node", [NodeDef(op="Add"), NodeDef(op="If"), NodeDef(op="PartitionedCall"), _node("Add", f="g")]
)
def test_what_runs_no_function(node):
    before = NodeDef.FromString(node.SerializeToString())
    assert list(callees(node)) == []
    assert not is_lowered(node)
    assert node == before


@pytest.mark.parametrize(
    ("node", "functions"),
    [
        (_node("StatefulPartitionedCall", f="g"), ["g"]),
        (_node("If", then_branch="a", else_branch="b"), ["a", "b"]),
        (_node("StatelessWhile", cond="c", body="d"), ["c", "d"]),
    ],
)
def test_functions_in_the_order_of_their_attributes(node, functions):
    assert list(callees(node)) == functions


def test_the_functions_of_a_case_are_a_list():
    node = NodeDef(op="Case")
    for name in ("a", "b", "a"):
        node.attr["branches"].list.func.add().name = name
    assert list(callees(node)) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("op", "value", "lowered"), [("If", True, True), ("While", False, False), ("Add", True, False)]
)
def test_what_a_session_lowers(op, value, lowered):
    node = NodeDef(op=op)
    node.attr["_lower_using_switch_merge"].b = value
    assert is_lowered(node) == lowered


def test_every_op_is_one_of_tensorflow_that_calls_functions():
    table = load_op_table()
    assert {table[op].effect for op in (*PARTITIONED, *BRANCHES)} == {"calls"}
    assert BRANCHES.keys() >= LOOPS
