from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.checks.custom_gradients import find_custom_gradients, kept_name, lost_gradient
from migrate.graph.nodes import Located
from migrate.graph.op_table import load_op_table
from migrate.records import Severity
from tests.checks.graphs import node_with


def _located(*nodes):
    return [Located(node) for node in nodes]


def test_nothing_is_said_of_gradients_that_loading_has():
    assert find_custom_gradients(_located(node_with("Relu", ""), node_with("Relu", "Identity")), plain=False) == ()


def test_a_lost_gradient_is_named_as_the_new_model_has_it():
    nodes = _located(
        node_with("Relu", "Guided"), node_with("IdentityN", "CustomGradient-7"), node_with("Relu", "Guided")
    )
    (lost,) = find_custom_gradients(nodes, plain=False)
    assert (lost.code, lost.severity, lost.nodes) == ("custom-gradient-lost", Severity.WARNING, ("n", "n", "n"))
    assert "gradient of 3 nodes" in lost.message and "Guided, LostCustomGradient-7;" in lost.message
    assert "@tf.RegisterGradient('Guided')" in lost.hint
    (replaced,) = find_custom_gradients(nodes, plain=True)
    assert (replaced.code, replaced.hint) == ("custom-gradient-replaced", "")


@settings(max_examples=30)
@given(st.text() | st.integers(0).map(lambda number: f"CustomGradient-{number}"))
def test_a_kept_name_is_lost_wherever_the_model_is_read_again(name):
    again = node_with("Relu", kept_name(name)) if name else node_with("Relu", "")
    assert lost_gradient(again) == ("" if name in load_op_table() else kept_name(name))
    assert not kept_name(name).startswith("CustomGradient-")
