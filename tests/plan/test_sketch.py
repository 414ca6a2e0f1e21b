"""The picture of a rewrite: bounded, connected, and of what changed."""

from __future__ import annotations

import pytest

from migrate.graph.graph import Run, index
from migrate.graph.protos import NodeDef
from migrate.plan.plan import make_plan
from migrate.plan.sketch import sketch
from migrate.rewrite.engine import Rewritten
from migrate.sources.saved_model import read_saved_model
from migrate.sources.source import choose_meta_graph
from tests.conversions import MODELS


def _rewritten(before, after):
    return Rewritten(Run("signature 'f'", index(before), {}, (), ()), index(after), {})


def _node(op, name, *inputs):
    return NodeDef(op=op, name=name, input=inputs)


def test_a_run_that_stays_as_it_is_has_none():
    nodes = [_node("Const", "a"), _node("Neg", "b", "a")]
    assert sketch(_rewritten(nodes, nodes)) is None


def test_changed_new_and_gone_nodes_with_their_neighbours():
    same = _node("Placeholder", "x")
    before = [
        same,
        _node("VariableV2", "v"),
        _node("Identity", "r", "v"),
        _node("Mul", "y", "r", "x"),
        _node("Neg", "z", "y"),
    ]
    after = [
        same,
        _node("VarHandleOp", "v"),
        _node("ReadVariableOp", "new", "v", "^x"),
        _node("Mul", "y", "new", "x"),
        before[4],
    ]
    found = sketch(_rewritten(before, after))
    assert found.changed == 4  # v, r, new, y
    assert found.ops == (
        ("Identity", 1, 0),
        ("Mul", 1, 1),
        ("ReadVariableOp", 0, 1),
        ("VarHandleOp", 0, 1),
        ("VariableV2", 1, 0),
    )
    assert {(n.name, n.op, n.changed) for n in found.before.nodes} == {
        ("v", "VariableV2", True), ("r", "Identity", True), ("y", "Mul", True),
        ("x", "Placeholder", False), ("z", "Neg", False),
    }  # fmt: skip
    names = [n.name for n in found.after.nodes]
    assert {(names[a], names[b], control) for a, b, control in found.after.edges} == {
        ("v", "new", False), ("x", "new", True), ("new", "y", False), ("x", "y", False), ("y", "z", False),
    }  # fmt: skip


def test_it_is_bounded():
    before = [_node("VariableV2", "v"), *(_node("Identity", f"{'n' * 500}{i}", "v") for i in range(3000))]
    after = [_node("VarHandleOp", "v"), *(_node("ReadVariableOp", n.name, "v") for n in before[1:])]
    found = sketch(_rewritten(before, after))
    assert found.changed == 3001
    for graph in (found.before, found.after):
        assert len(graph.nodes) <= 20
        assert all(len(node.name) <= 200 for node in graph.nodes)


@pytest.mark.parametrize("model", ["training_adam", "while_loop", "cond_counter", "vocabulary_v1_ops"])
def test_real_runs(model):
    plan = make_plan(choose_meta_graph(read_saved_model(str(MODELS / model)), None))
    found = [sketch(run) for run in plan.runs]
    assert any(found)
    for one in filter(None, found):
        for graph in (one.before, one.after):
            assert all(0 <= a < len(graph.nodes) and 0 <= b < len(graph.nodes) for a, b, _ in graph.edges)
        assert any(node.changed for node in (*one.before.nodes, *one.after.nodes))
