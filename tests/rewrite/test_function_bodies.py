"""A body's nodes and tensors under the names of a graph. What is made of them is tested where bodies are put in."""

from __future__ import annotations

import pytest

from migrate.graph.protos import AttrValue, FunctionDef, NodeDef
from migrate.rewrite.function_bodies import Outputs, filled, identity
from tests.rewrite.texts import node, shown


def _outputs() -> Outputs:
    function = FunctionDef()
    function.signature.input_arg.add(name="a")
    function.node_def.add(name="sum", op="AddV2", input=["a", "a"])
    split = function.node_def.add(name="parts", op="Split", input=["axis", "sum:z:0"])
    split.attr["num_split"].i = 2
    sparse = function.node_def.add(name="sparse", op="SparseSplit")
    sparse.attr["num_split"].i = 3
    function.node_def.add(name="unheard", op="UnheardOp")
    names = {name: f"call/{name}" for name in ("a", "sum", "parts", "sparse", "unheard")}
    return Outputs(function, names)


@pytest.mark.parametrize(
    ("written", "tensor"),
    [
        ("a", "call/a"),
        ("^sum", "^call/sum"),
        ("sum:z:0", "call/sum:0"),
        ("parts:output:1", "call/parts:1"),
        ("sparse:output_indices:2", "call/sparse:2"),
        ("sparse:output_values:0", "call/sparse:3"),
        ("sparse:output_shape:1", "call/sparse:7"),
        ("unheard:out:1", "call/unheard:1"),
    ],
)
def test_the_name_of_a_tensor(written, tensor):
    assert _outputs().tensor(written) == tensor


@pytest.mark.parametrize(
    "written", ["other", "^other", "other:z:0", "sparse:unheard:0", "sum:z:x", "sum:z:-1", "sum:z:99999999999"]
)
def test_what_names_no_tensor(written):
    assert _outputs().tensor(written) is None


def test_a_length_that_the_node_does_not_say():
    outputs = _outputs()
    del outputs.function.node_def[2].attr["num_split"]
    assert outputs.tensor("sparse:output_values:0") is None


def test_an_identity():
    assert shown([identity("i", 1, "a:1", ["^b"])]) == "i = Identity(a:1, ^b) T=float32"


def test_attributes_of_a_call_fill_those_of_the_body():
    old = node("y = Neg(a)")
    old.attr["T"].placeholder = "T"
    old.attr["_class"].list.s.append(b"loc:@a")
    old.attr["_other"].i = 3
    new, unfilled = NodeDef(name="call/y", op="Neg"), NodeDef()
    assert filled(new, old, {"T": AttrValue(type=1)})
    assert new.attr["T"].type == 1 and new.attr["_other"].i == 3 and "_class" not in new.attr
    assert not filled(unfilled, old, {})
