"""Calls that change nothing. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.verify.purity import answers_alike, has_initialisation, is_pure
from tests.conversions import MODELS


def _graph(*ops, functions=()):
    """Each node takes the one before it; the last is the output."""
    graph = MetaGraphDef()
    for nodes, target in [(ops, graph.graph_def.node), *((body, _body(graph, name)) for name, *body in functions)]:
        for number, op in enumerate(nodes):
            op, _, called = op.partition(" ")
            node = target.add(name=f"n{number}", op=op, input=[f"n{number - 1}"] if number else [])
            if called:
                node.attr["f"].func.name = called
    graph.signature_def["s"].outputs["y"].name = f"n{len(ops) - 1}:0"
    return graph


def _body(graph, name):
    function = graph.graph_def.library.function.add()
    function.signature.name = name
    return function.node_def


@pytest.mark.parametrize(
    "ops",
    [
        ["Placeholder", "MatMul"],
        ["VarHandleOp", "ReadVariableOp", "Add"],
        ["VariableV2", "Identity"],
        ["HashTableV2", "LookupTableFindV2"],
        ["TensorArrayV3", "TensorArrayWriteV3", "TensorArrayGatherV3", "TensorArrayCloseV3"],
        ["StackV2", "StackPushV2", "StackPopV2"],
        ["PartitionedCall inner"],
        ["StatefulPartitionedCall outer"],
        ["inner"],
    ],
    ids=" ".join,
)
def test_what_changes_nothing(ops):
    graph = _graph(*ops, functions=[("inner", "VarHandleOp", "ReadVariableOp"), ("outer", "PartitionedCall inner")])
    assert is_pure(graph, [f"n{len(ops) - 1}:0"]) and answers_alike(graph)


@pytest.mark.parametrize(
    "ops",
    [
        ["VarHandleOp", "AssignAddVariableOp"],
        ["VariableV2", "AssignAdd"],
        ["MutableHashTableV2", "LookupTableInsertV2"],
        ["RandomUniform"],
        ["FIFOQueueV2", "QueueDequeueV2"],
        ["QueueSizeV2"],
        ["LookupTableExportV2"],
        ["Timestamp"],
        ["PyFunc"],
        ["ReadFile"],
        ["Print"],
        ["InplaceUpdate"],
        ["NobodyKnowsThisOp"],
        ["PartitionedCall writes"],
        ["PartitionedCall outer"],
        ["writes"],
    ],
    ids=" ".join,
)
def test_what_may(ops):
    functions = [("writes", "VarHandleOp", "AssignVariableOp"), ("outer", "PartitionedCall writes")]
    graph = _graph(*ops, functions=functions)
    assert not is_pure(graph, [f"n{len(ops) - 1}:0"]) and not answers_alike(graph)


def test_a_control_input_counts():
    graph = _graph("VarHandleOp", "AssignVariableOp")
    graph.graph_def.node.add(name="y", op="Const", input=["^n1"])
    assert not is_pure(graph, ["y:0"])


def test_loading_that_runs_ops_or_makes_tables_does_not_answer_alike():
    graph = _graph("Placeholder")
    graph.graph_def.node.add(name="init", op="NoOp")
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    assert not has_initialisation(graph) and answers_alike(graph)
    graph.object_graph_def.nodes.add().resource.device = ""
    assert not answers_alike(graph)
    del graph.object_graph_def.nodes[:]
    graph.graph_def.node[-1].input.append("^fill")
    graph.graph_def.node.add(name="fill", op="LookupTableImportV2")
    assert has_initialisation(graph) and not answers_alike(graph)


@pytest.mark.parametrize(
    ("name", "pure", "initialised"),
    [
        ("simple_save", True, False),
        ("counter", False, False),
        ("vocabulary", True, True),
        ("loop_counter", False, False),
    ],
)
def test_models(name, pure, initialised):
    meta_graph = SavedModel.FromString((MODELS / name / "saved_model.pb").read_bytes()).meta_graphs[0]
    outputs = [o.name for s in meta_graph.signature_def.values() for o in s.outputs.values() if o.name]
    assert (is_pure(meta_graph, outputs), has_initialisation(meta_graph)) == (pure, initialised)
