from __future__ import annotations

import dataclasses

import pytest

from migrate.rewrite.malformed import find_broken, find_cycle
from migrate.rewrite.rules.table import TABLE
from tests.rewrite.texts import run

_GRAPH = """x = Placeholder() dtype=float32
v = VariableV2() dtype=float32 shape=()
w = Assign(v, x, ^x) T=float32
y = Neg(w) T=float32
fetch y:0"""


def test_a_graph_that_tensorflow_takes_has_nothing():
    assert find_broken(run(_GRAPH), TABLE) is None and find_cycle(run(_GRAPH)) is None


@pytest.mark.parametrize(
    ("old", "new", "nodes", "says"),
    [
        ("Neg(w)", "Neg(gone)", ("y",), "takes an input from the node 'gone', which the graph does not have"),
        ("^x", "^gone", ("w",), "takes an input from the node 'gone'"),
        ("Neg(w)", "Neg(w:x)", ("y",), "takes the input 'w:x', which is no tensor name"),
        ("(v, x, ^x)", "(v, ^x)", ("w",), "Assign 'w' has 1 inputs; it needs more"),
        ("Neg(w)", "RestoreV2(w)", ("y",), "RestoreV2 'y' has 1 inputs; it needs more"),
        ("Neg(w)", "AssignVariableOp(w)", ("y",), "it needs more"),
    ],
)
def test_edges_from_nowhere_and_nodes_without_their_inputs(old, new, nodes, says):
    found = find_broken(run(_GRAPH.replace(old, new)), TABLE)
    assert found is not None and (found.code, found.nodes) == ("graph-broken", nodes)
    assert says in found.message and found.message.startswith("run: ")


def test_a_fetch_that_is_no_tensor_name():
    found = find_broken(dataclasses.replace(run(_GRAPH), fetches=("y:0", "y:x")), TABLE)
    assert found is not None and found.message == "run: 'y:x' is no tensor name"


def test_a_long_name_is_shortened():
    found = find_broken(run(_GRAPH.replace("Neg(w)", f"Neg({'n' * 5000})")), TABLE)
    assert found is not None and "nn...nn" in found.message and len(found.message) < 400


def test_a_cycle_that_is_no_loop():
    found = find_cycle(run(_GRAPH.replace("^x", "^y")))
    assert found is not None and (found.code, found.nodes) == ("cyclic-graph", ("w", "y"))
    assert "2 nodes are on a cycle" in found.message
