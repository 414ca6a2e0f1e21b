"""Initialisers of input pipelines, which training graphs list beside those of their tables."""

from __future__ import annotations

from migrate.checks.initializers import leave_out_initializers
from migrate.graph import contract
from migrate.graph.protos import MetaGraphDef
from migrate.plan.plan import make_plan
from migrate.verify.loading import make_safe
from tests import attacks


def _training_graph() -> MetaGraphDef:
    """A graph without an init op of its own, whose pipeline reads records of the machine that trained it."""
    graph = attacks.vocabulary()
    del graph.collection_def["saved_model_main_op"]
    nodes = graph.graph_def.node
    files, none = attacks.text(nodes, "files", "/data/train"), attacks.text(nodes, "none", "")
    size = nodes.add(name="size", op="Const")
    size.attr["dtype"].type = size.attr["value"].tensor.dtype = 9
    size.attr["value"].tensor.tensor_shape.SetInParent()
    size.attr["value"].tensor.int64_val.append(1)
    attacks.add(nodes, "records", "TFRecordDataset", files, none, "size")
    iterator = attacks.add(nodes, "iterator", "IteratorV2")
    iterator.attr["output_types"].list.type.append(7)
    iterator.attr["output_shapes"].list.shape.add()
    attacks.add(nodes, "start", "MakeIterator", "records", "iterator")
    graph.collection_def[contract.TABLES_KEY].node_list.value.append("start")
    return graph


def test_an_initializer_that_no_signature_needs_is_left_out():
    graph = _training_graph()
    before = graph.SerializeToString(deterministic=True)
    kept, findings = leave_out_initializers(graph)
    assert graph.SerializeToString(deterministic=True) == before
    assert [finding.nodes for finding in findings] == [("start",)]
    assert len(contract.init_ops(kept)) == 2 and "start" not in contract.init_ops(kept)
    assert not make_plan(kept).refused
    make_safe(kept)
    make_safe(graph, kept)


def test_one_that_a_signature_needs_is_not():
    graph = _training_graph()
    nodes = graph.graph_def.node
    following = attacks.add(nodes, "next", "IteratorGetNext", "iterator")
    following.attr["output_types"].list.type.append(7)
    following.attr["output_shapes"].list.shape.add()
    attacks._after(graph, attacks.OUTPUT, "next")
    assert leave_out_initializers(graph) == (graph, ())
    assert {f.nodes for f in make_plan(graph).findings if f.code == "file-outside-model"} == {("records",)}


def test_an_init_op_is_run_whole():
    graph = attacks.vocabulary()
    attacks.init_writes(graph, "/outside")
    assert leave_out_initializers(graph) == (graph, ())


def test_initializers_without_effects_stay():
    graph = attacks.vocabulary()
    del graph.collection_def["saved_model_main_op"]
    attacks.add(graph.graph_def.node, "seed", "HashTableV2", key_dtype=7, value_dtype=9)
    graph.collection_def[contract.TABLES_KEY].node_list.value.append("seed")
    assert leave_out_initializers(graph) == (graph, ())
