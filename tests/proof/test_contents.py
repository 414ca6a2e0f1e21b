"""What the proof takes for the content of a resource, read on its own."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.proof.contents import with_contents
from migrate.sources.tensor_values import TensorValues
from tests.plan.test_contents import ADDITIVE, ADDITIVE_RESTORED, OTHERS, RESTORED, TREES, graph, tree


class _Values(TensorValues):
    def read(self, key: str) -> TensorProto:
        return tree(key)


def _ops(text: str) -> dict[str, str]:
    found: MetaGraphDef = with_contents(graph(text), _Values(None))
    return {node.name: node.op for node in found.graph_def.node}


def test_a_tree_of_the_checkpoint_is_a_constant():
    found = _ops(TREES + RESTORED)
    assert (found["t"], found["create"], found["save/fill"]) == ("Const", "NoOp", "NoOp")


def test_a_tree_that_the_init_op_makes_of_a_constant():
    assert _ops(TREES + "init = NoOp(^create)\n")["t"] == "Const"


@pytest.mark.parametrize("changed", OTHERS)
def test_what_else_may_be_in_it_makes_it_unknown(changed):
    assert _ops(changed)["t"] == "BoostedTreesEnsembleResourceHandleOp"


def test_trees_of_contrib_and_their_stamp():
    found = _ops(ADDITIVE + ADDITIVE_RESTORED)
    assert (found["t"], found["now"], found["stats"]) == ("Const", "Const", "TreeEnsembleStats")
    assert (found["create"], found["save/fill"]) == ("NoOp", "NoOp")


def test_another_use_of_trees_of_contrib_makes_them_unknown():
    for more in ("u = TreeEnsembleSerialize(t)\n", "u = TreeEnsembleDeserialize(t, stamp, none)\n"):
        found = _ops(ADDITIVE.replace("^stats", "^stats, ^u") + more + ADDITIVE_RESTORED)
        assert (found["t"], found["now"]) == ("DecisionTreeEnsembleResourceHandleOp", "TreeEnsembleStampToken")
