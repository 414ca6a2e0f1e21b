"""Random ops with seeds in loops whose steps run in any order. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.looped_draws import looped_outputs
from tests.verify.nodes import add_node


def _loop(nodes, draw, parallel=10, seed=3, shape="^step"):
    """A v1 loop that counts its steps, with something in it that draws; `y` is behind it and `x` before it."""
    for name, op, *inputs in (
        ("x", "Placeholder"),
        ("zero", "Const"),
        ("merge", "Merge", "enter", "next"),
        ("count", "Merge", "start", "more"),
        ("cond", "LoopCond", "count"),
        ("step", "Identity", "choose:1"),
        ("choose", "Switch", "count", "cond"),
        ("more", "NextIteration", "step"),
        ("switch", "Switch", "merge", "cond"),
        ("body", "Identity", "switch:1"),
        ("add", "AddV2", "body", "draw"),
        ("next", "NextIteration", "add"),
        ("exit", "Exit", "switch"),
        ("y", "Neg", "exit"),
    ):
        add_node(nodes, name, op, *inputs)
    add_node(nodes, "enter", "Enter", "x", parallel_iterations=parallel)
    add_node(nodes, "start", "Enter", "zero", parallel_iterations=parallel)
    draw(nodes, shape, seed)


def _random(nodes, shape, seed):
    add_node(nodes, "draw", "RandomUniform", shape, seed=seed)


def _call(nodes, shape, seed):
    add_node(nodes, "draw", "PartitionedCall", shape, f="f")


def _outside(nodes, shape, seed):
    """What draws is before the loop."""
    add_node(nodes, "outside", "RandomUniform", "x", seed=seed)
    add_node(nodes, "draw", "Enter", "outside", parallel_iterations=10)


def _behind(nodes, shape, seed):
    add_node(nodes, "draw", "Neg", "body")
    add_node(nodes, "later", "RandomUniform", "exit", seed=seed)
    next(node for node in nodes if node.name == "y").input[0] = "later"


def _looped(graph):
    return looped_outputs(graph, {"y": "y:0", "x": "x:0"}, ["x:0"])


@pytest.mark.parametrize(
    ("draw", "given", "is_told"),
    [
        (_random, {}, True),
        (_call, {}, True),
        (_random, {"parallel": 1}, False),
        (_random, {"seed": 0}, False),
        # Each step waits for the number of the one before it.
        (_random, {"shape": "body"}, False),
        (_call, {"shape": "body"}, False),
        (_outside, {}, False),
        (_behind, {}, False),
    ],
)
def test_a_loop_of_v1(draw, given, is_told):
    graph = MetaGraphDef()
    _loop(graph.graph_def.node, draw, **given)
    function = graph.graph_def.library.function.add()
    function.signature.name = "f"
    _random(function.node_def, "a", 5)
    assert _looped(graph) == ({"y"} if is_told else frozenset())


@pytest.mark.parametrize(("parallel", "is_told"), [(10, True), (1, False)])
@pytest.mark.parametrize("op", ["While", "StatelessWhile"])
@pytest.mark.parametrize("is_inner", [False, True])
def test_a_loop_of_functions(op, parallel, is_told, is_inner):
    graph = MetaGraphDef()
    body, outer = graph.graph_def.library.function.add(), graph.graph_def.library.function.add()
    body.signature.name, outer.signature.name = "body", "outer"
    _random(body.node_def, "a", 5)
    nodes = graph.graph_def.node
    add_node(nodes, "x", "Placeholder")
    loops = outer.node_def if is_inner else nodes
    add_node(loops, "loop", op, "x", body="body", cond="cond", parallel_iterations=parallel)
    if is_inner:
        add_node(nodes, "loop", "PartitionedCall", "x", f="outer")
    add_node(nodes, "y", "Neg", "loop")
    assert _looped(graph) == ({"y"} if is_told else frozenset())


def test_functions_that_call_each_other_end():
    graph = MetaGraphDef()
    for name, other in (("f", "g"), ("g", "f")):
        function = graph.graph_def.library.function.add()
        function.signature.name = name
        add_node(function.node_def, "call", "PartitionedCall", "a", f=other)
    _loop(graph.graph_def.node, _call)
    assert _looped(graph) == frozenset()
