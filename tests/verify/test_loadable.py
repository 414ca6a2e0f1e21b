"""Graphs that TensorFlow cannot load, found without it. `test_contract.py` plants the faults; here is what is none."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.loadable import CODE, load_differences
from tests.verify.pairs import candidate, source


def _codes(graph):
    return [difference.code for difference in load_differences(graph, "contract")]


def _graph(*nodes: tuple[str, str, list[str]]) -> MetaGraphDef:
    graph = candidate(source())
    for name, op, inputs in nodes:
        graph.graph_def.node.add(name=name, op=op, input=inputs)
    return graph


@pytest.mark.parametrize("back", ["NextIteration", "RefNextIteration"])
def test_a_loop_of_v1_control_flow_is_no_circle(back):
    loop = [
        ("start", "Const", []),
        ("enter", "Enter", ["start"]),
        ("merge", "Merge", ["enter", "next"]),
        ("switch", "Switch", ["merge", "merge"]),
        ("next", back, ["switch:1"]),
        ("exit", "Exit", ["switch"]),
    ]
    assert _codes(_graph(*loop)) == []
    assert _codes(_graph(*loop[:4], ("next", "Identity", ["switch:1"]))) == [CODE]


def test_a_node_that_takes_itself_is_a_circle():
    assert _codes(_graph(("a", "Identity", ["a"]))) == [CODE]


def test_a_long_chain_is_walked():
    chain = [(f"n{i}", "Identity", [f"n{i + 1}"]) for i in range(20_000)]
    assert _codes(_graph(*chain, ("n20000", "NoOp", []))) == []


def test_an_op_that_nobody_knows_is_for_tensorflow_to_refuse():
    graph = _graph(("own", "OpOfALibrary", []))
    graph.graph_def.node[-1].attr["f"].func.name = "not_a_function_of_the_library"
    assert _codes(graph) == []


def test_a_function_by_its_attribute_or_its_op():
    graph = _graph(("while", "While", []))
    graph.graph_def.node[-1].attr["body"].func.name = "gone"
    assert _codes(graph) == [CODE]
    graph.graph_def.node[-1].attr["body"].func.name = "body_sparse"
    assert _codes(graph) == []
