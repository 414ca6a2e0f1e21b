from __future__ import annotations

import pytest

from migrate.checks.custom_gradients import lost_gradient
from migrate.graph.protos import MetaGraphDef
from migrate.rewrite.custom_gradients import keep_apart, with_plain_gradients
from tests.checks.graphs import node_with
from tests.rewrite.texts import function


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
def test_which_gradients_are_lost_and_kept_apart(op, gradient, lost, kept):
    node = node_with(op, gradient)
    assert lost_gradient(node) == lost
    keep_apart(node)
    assert node == node_with(op, kept)


def test_without_lost_gradients_a_meta_graph_is_itself():
    made = MetaGraphDef()
    made.graph_def.node.extend([node_with("Relu", "Identity"), node_with("PartitionedCall", "PartitionedCall-1")])
    assert with_plain_gradients(made) is made


def test_lost_gradients_go_from_the_graph_and_its_functions():
    made = MetaGraphDef()
    made.graph_def.node.extend([node_with("Relu", "GuidedRelu"), node_with("Neg", "Identity")])
    body = made.graph_def.library.function
    body.append(function("f", ""))
    body[0].node_def.append(node_with("IdentityN", "CustomGradient-1"))
    before = made.SerializeToString(deterministic=True)
    plain = with_plain_gradients(made)
    assert list(plain.graph_def.node) == [node_with("Relu", ""), node_with("Neg", "Identity")]
    assert list(plain.graph_def.library.function[0].node_def) == [node_with("IdentityN", "")]
    assert made.SerializeToString(deterministic=True) == before
    del made.graph_def.node[:]
    assert list(with_plain_gradients(made).graph_def.library.function[0].node_def) == [node_with("IdentityN", "")]
