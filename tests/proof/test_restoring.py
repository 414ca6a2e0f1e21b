"""What restoring the checkpoint leaves in the cells of a model: nothing where TensorFlow fails to restore."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, NodeDef
from tests import conversions
from tests.proof.edits import Given


def _restores_another_dtype(nodes: dict[str, NodeDef]) -> None:
    nodes["save/RestoreV2"].attr["dtypes"].list.type[0] = dtype_value("complex64")


def _assigns_another_dtype(nodes: dict[str, NodeDef]) -> None:
    nodes["save/Assign"].attr["T"].type = dtype_value("complex64")


def _assigns_to_a_value(nodes: dict[str, NodeDef]) -> None:
    inputs = nodes["save/Assign"].input
    inputs[0], inputs[1] = inputs[1], inputs[0]


def _waits_for_itself(nodes: dict[str, NodeDef]) -> None:
    nodes["save/Assign"].input.append("^save/restore_shard")


@pytest.mark.parametrize(
    "change", [_restores_another_dtype, _assigns_another_dtype, _assigns_to_a_value, _waits_for_itself]
)
def test_a_restore_op_that_fails(change: Callable[[dict[str, NodeDef]], None]) -> None:
    given = Given(conversions.MODELS / "counter")
    assert given.left(given.meta_graph) == []
    candidate = MetaGraphDef.FromString(given.meta_graph.SerializeToString())
    change({node.name: node for node in candidate.graph_def.node})
    assert given.left(candidate) != []
