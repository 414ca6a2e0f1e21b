from __future__ import annotations

import shutil

import pytest

from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.records import Kind
from migrate.sources.graph_file import TABLES_KEY, from_graph_def, from_meta_graph, read_graph
from migrate.sources.location import Form, Location
from tests.conversions import MODELS


def test_a_meta_graph_is_tagged_in_its_place():
    proto = MetaGraphDef(graph_def=GraphDef(node=[{"name": "x", "op": "NoOp"}]))
    kind, found = from_meta_graph(proto)
    assert (kind, found is proto, list(found.meta_info_def.tags)) == (Kind.CHECKPOINT_META, True, ["serve"])


def test_tags_that_are_there_stay():
    proto = MetaGraphDef(meta_info_def={"tags": ["train", "gpu"]})
    assert list(from_meta_graph(proto)[1].meta_info_def.tags) == ["train", "gpu"]


def test_a_session_bundle():
    proto = MetaGraphDef()
    proto.collection_def["serving_signatures"].any_list.value.add()
    kind, found = from_meta_graph(proto)
    assert (kind, list(found.meta_info_def.tags)) == (Kind.SESSION_BUNDLE, ["serve"])
    assert not proto.meta_info_def.tags  # Its collections are moved in a copy.
    proto.collection_def["serving_assets"].any_list.value.add(value=b"\xff")
    with pytest.raises(InputError, match="the collection serving_assets of this SessionBundle"):
        from_meta_graph(proto)


def test_the_table_initialisers_of_a_graph_run_on_loading():
    ops = ["NoOp", "InitializeTableV2", "LookupTableImport", "InitializeTableFromTextFile", "LookupTableFindV2"]
    graph = GraphDef(node=[{"name": f"n{number}", "op": op} for number, op in enumerate(ops)])
    meta_graph = MetaGraphDef(graph_def=graph)
    kind, found = from_graph_def(meta_graph)
    assert (kind, found is meta_graph, list(found.meta_info_def.tags)) == (Kind.FROZEN_GRAPH, True, ["serve"])
    assert list(found.collection_def[TABLES_KEY].node_list.value) == ["n1", "n2", "n3"]
    assert found.graph_def == graph


def test_a_graph_without_tables_gets_no_collection():
    _, found = from_graph_def(MetaGraphDef(graph_def=GraphDef(node=[{"name": "x", "op": "NoOp"}])))
    assert TABLES_KEY not in found.collection_def


def test_a_saved_model_under_another_name(tmp_path):
    file = tmp_path / "graph.pb"
    shutil.copy(MODELS / "counter" / "saved_model.pb", file)
    assert SavedModel.FromString(file.read_bytes()).meta_graphs
    with pytest.raises(InputError, match=r"graph\.pb: a SavedModel; name it saved_model\.pb"):
        read_graph(Location(Form.GRAPH_DEF, str(file), str(file)), str(file))
