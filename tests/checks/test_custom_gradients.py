from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.checks.custom_gradients import find_custom_gradients, kept_name, lost_gradient
from migrate.graph.nodes import Located
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef
from migrate.records import Severity
from migrate.rewrite.custom_gradients import keep_apart


def _node(op, gradient):
    node = NodeDef(name="n", op=op)
    if gradient:
        node.attr["_gradient_op_type"].s = gradient.encode()
    return node


@pytest.mark.parametrize(
    ("op", "gradient", "lost", "kept"),
    [
        ("Relu", "", "", ""),
        ("Relu", "Identity", "", "Identity"),
        ("PartitionedCall", "PartitionedCall-12", "", "PartitionedCall-12"),
        ("StatefulPartitionedCall", "PartitionedCall-12", "", "PartitionedCall-12"),
        ("Relu", "GuidedRelu", "GuidedRelu", "GuidedRelu"),
        ("IdentityN", "CustomGradient-113", "CustomGradient-113", "LostCustomGradient-113"),
    ],
)
def test_which_gradients_are_lost(op, gradient, lost, kept):
    node = _node(op, gradient)
    assert lost_gradient(node) == lost
    keep_apart(node)
    assert node.attr["_gradient_op_type"].s.decode() == kept


def _located(*nodes):
    return [Located(node) for node in nodes]


def test_nothing_is_said_of_gradients_that_loading_has():
    assert find_custom_gradients(_located(_node("Relu", ""), _node("Relu", "Identity")), plain=False) == ()


def test_a_lost_gradient_is_named_as_the_new_model_has_it():
    nodes = _located(_node("Relu", "Guided"), _node("IdentityN", "CustomGradient-7"), _node("Relu", "Guided"))
    (lost,) = find_custom_gradients(nodes, plain=False)
    assert (lost.code, lost.severity, lost.nodes) == ("custom-gradient-lost", Severity.WARNING, ("n", "n", "n"))
    assert "3 node(s)" in lost.message and "Guided, LostCustomGradient-7;" in lost.message
    assert "@tf.RegisterGradient('Guided')" in lost.hint
    (replaced,) = find_custom_gradients(nodes, plain=True)
    assert (replaced.code, replaced.hint) == ("custom-gradient-replaced", "")


@settings(max_examples=30)
@given(st.text() | st.integers(0).map(lambda number: f"CustomGradient-{number}"))
def test_a_kept_name_is_lost_wherever_the_model_is_read_again(name):
    again = _node("Relu", kept_name(name)) if name else _node("Relu", "")
    assert lost_gradient(again) == ("" if name in load_op_table() else kept_name(name))
    assert not kept_name(name).startswith("CustomGradient-")
