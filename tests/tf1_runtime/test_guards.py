"""guards.py: what is checked before a kernel of TensorFlow 1.15.5 runs. No TensorFlow.

tests/product/test_tf1_runtime.py has the checks run.
"""

from __future__ import annotations

import pytest

from migrate.graph.protos import FunctionDef, NodeDef
from migrate.tf1_runtime.guards import guarded


def _resample(*sizes: int) -> NodeDef:
    node = NodeDef(name="scope/y", op="PeriodicResample", input=["x:1", "^w"], device="/device:CPU:0")
    node.attr["T"].type = 1
    for size in sizes:
        node.attr["shape"].shape.dim.add(size=size)
    return node


def test_what_needs_no_check_stays_as_it_is():
    node = NodeDef(name="y", op="Neg", input=["x"])
    before = node.SerializeToString()
    assert guarded([node]) == [] and node.SerializeToString() == before


@pytest.mark.parametrize("sizes", [(4, 4), (-1, -1), ()])
def test_a_shape_that_the_kernel_refuses(sizes):
    node = _resample(*sizes)
    assert guarded([node]) == [] and list(node.input) == ["x:1", "^w"]


def test_the_input_comes_through_the_check():
    node = _resample(-1, 4)
    added = {each.name: each for each in guarded([node, NodeDef(name="scope/y/reads_within/shape_0", op="NoOp")])}
    assert len(added) == len({*added, node.name, "scope/y/reads_within/shape_0"}) - 2
    passed = added[node.input[0]]
    assert list(node.input)[1:] == ["^w"] and passed.op == "Identity" and passed.input[0] == "x:1"
    assert added[passed.input[1][1:]].op == "Assert"
    assert {each.device for each in added.values()} == {node.device}
    assert all(each.input[0] == "^x" for each in added.values() if each.op == "Const")


def test_a_function_writes_its_inputs_in_another_way():
    function = FunctionDef()
    function.signature.input_arg.add(name="x", type=1)
    node = function.node_def.add()
    node.CopyFrom(_resample(4, -1))
    del node.input[:]
    node.input.append("x")
    added = {each.name: each for each in guarded(function.node_def, function)}
    name, output, number = node.input[0].split(":")
    assert added[name].op == "Identity" and (output, number) == ("output", "0")
    taken = [text for each in added.values() for text in each.input if not text.startswith("^")]
    assert all(text == "x" or text.count(":") == 2 for text in taken)
    assert not any(text.startswith("^x") for each in added.values() for text in each.input)
