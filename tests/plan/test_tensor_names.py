"""Which tensor names can be kept: only those that mean in the new main graph what they meant in TF1."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.plan.plan import make_plan
from migrate.plan.records import SignatureTensor
from migrate.plan.tensor_names import TensorNames, keep_tensor_names

_FLOAT = dtype_value("float32")


def _graph(**signatures: tuple[dict[str, str], dict[str, str]]) -> TensorNames:
    """h = -x; y = h * z; a, b = unstack(x); n counts when `counted` or `after` runs."""
    meta_graph = MetaGraphDef()
    nodes = (
        ("x", "Placeholder", ()),
        ("z", "Placeholder", ()),
        ("h", "Neg", ("x",)),
        ("y", "Mul", ("h", "z")),
        ("parts", "Unpack", ("x",)),
        ("n", "VarHandleOp", ()),
        ("one", "Const", ()),
        ("count", "AssignAddVariableOp", ("n", "one")),
        ("counted", "ReadVariableOp", ("n", "^count")),
        ("after", "Identity", ("h", "^count")),
        ("now", "ReadVariableOp", ("n",)),
    )
    for name, op, inputs in nodes:
        node = NodeDef(name=name, op=op, input=inputs)
        for key in ("dtype", "T"):
            node.attr[key].type = _FLOAT
        node.attr["shared_name"].s = name.encode()
        node.attr["num"].i = 2
        meta_graph.graph_def.node.append(node)
    init = meta_graph.signature_def["__saved_model_init_op"]  # Fills n, which has no checkpoint.
    meta_graph.graph_def.node.add(name="fill", op="AssignVariableOp", input=["n", "one"]).attr["dtype"].type = _FLOAT
    init.outputs["__saved_model_init_op"].name = "fill"
    for key, (inputs, outputs) in signatures.items():
        definition = meta_graph.signature_def[key]
        for infos, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
            for name, tensor in tensors.items():
                infos[name].name = tensor
                infos[name].dtype = _FLOAT
    plan = make_plan(meta_graph)
    assert not plan.refused, plan.findings
    return keep_tensor_names(meta_graph, plan)


def _codes(names: TensorNames) -> dict[str, tuple[str, ...]]:
    return {finding.code: finding.nodes for finding in names.findings}


def test_signatures_that_compute_alike_share_inputs_and_outputs() -> None:
    inputs = {"x": "x:0", "z": "z:0"}
    names = _graph(one=(inputs, {"y": "y:0"}), serving_default=(inputs, {"y": "y:0", "h": "h:0"}))
    assert names.tensors["x:0"].feeds == (SignatureTensor("one", "x"), SignatureTensor("serving_default", "x"))
    assert names.tensors["y:0"].given_by == SignatureTensor("serving_default", "y")
    assert _codes(names) == {"tensor-name-needs-more": ("h:0",)}


def test_a_tensor_that_is_fed_here_and_given_there_is_both() -> None:
    names = _graph(head=({"h": "h:0", "z": "z:0"}, {"y": "y:0"}), body=({"x": "x:0"}, {"h": "h:0"}))
    assert names.tensors["h:0"].feeds == (SignatureTensor("head", "h"),)
    assert names.tensors["h:0"].given_by == SignatureTensor("body", "h")
    assert _codes(names) == {}


def test_an_input_that_is_given_back_is_only_fed() -> None:
    names = _graph(serving_default=({"x": "x:0"}, {"x": "x:0", "h": "h:0"}))
    assert names.tensors["x:0"].given_by is None


def test_nobody_gets_what_was_computed_from_other_inputs_than_he_fed() -> None:
    """Who feeds x, h and z means y = h * z; the call of `plain` would give him -x * z."""
    plain = ({"x": "x:0", "z": "z:0"}, {"y": "y:0"})
    names = _graph(plain=plain, cut=({"x": "x:0", "h": "h:0", "z": "z:0"}, {"y": "y:0"}))
    assert names.tensors["y:0"].given_by == SignatureTensor("cut", "y")
    assert _codes(names)["tensor-name-not-kept"] == ("y:0",)


@pytest.mark.parametrize(
    ("signatures", "kept", "lost"),
    [
        # All that a signature gives comes after its effect: as in TF1.
        ({"train": ({"x": "x:0"}, {"n": "counted:0", "h": "after:0"})}, {"counted:0", "after:0"}, set()),
        # TF1 gave h without counting.
        ({"train": ({"x": "x:0"}, {"n": "counted:0", "h": "h:0"})}, {"counted:0"}, {"h:0"}),
        # Two calls would count twice, or in one of two orders.
        (
            {"a": ({"x": "x:0"}, {"n": "counted:0"}), "b": ({"x": "x:0"}, {"n": "counted:0", "h": "after:0"})},
            {"after:0"},
            {"counted:0"},
        ),
        ({"now": ({}, {"n": "now:0"}), "count": ({}, {"n": "counted:0"})}, {"now:0", "counted:0"}, set()),
    ],
)
def test_a_name_that_would_do_more_than_it_did_is_not_kept(signatures, kept, lost) -> None:
    names = _graph(**signatures)
    assert {tensor for tensor, value in names.tensors.items() if value.given_by} == kept
    assert {finding.nodes[0] for finding in names.findings if finding.code == "tensor-name-not-kept"} == lost


def test_outputs_of_one_node_come_from_one_call() -> None:
    x = {"x": "x:0"}
    names = _graph(both=(x, {"a": "parts:0", "b": "parts:1"}), serving_default=(x, {"b": "parts:1"}))
    assert {tensor: names.tensors[tensor].given_by for tensor in ("parts:0", "parts:1")} == {
        "parts:0": SignatureTensor("both", "a"),
        "parts:1": SignatureTensor("both", "b"),
    }
    apart = _graph(first=(x, {"a": "parts:0"}), fed=({"b": "parts:1", "z": "z:0"}, {"y": "z:0"}))
    assert apart.tensors["parts:1"].given_by is None
    assert "parts:0" not in apart.tensors
    assert _codes(apart)["tensor-name-not-kept"] == ("parts:0",)
