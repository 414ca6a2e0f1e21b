from __future__ import annotations

import pytest

from migrate.checks.custom_gradients import lost_gradient
from migrate.graph.protos import NodeDef
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
