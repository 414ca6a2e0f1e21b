"""The object graph in a checkpoint, read without TensorFlow."""

from __future__ import annotations

import shutil

import pytest

from migrate.errors import InputError
from migrate.sources.bundle import read_bundle
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.stored_objects import read_stored_objects
from tests.conversions import MODELS

_TF2 = MODELS / "tf2" / "variables"


def test_it_names_the_entries_of_a_checkpoint():
    graph = read_stored_objects(str(_TF2 / "variables"))
    keys = {a.checkpoint_key for node in graph.nodes for a in node.attributes}
    assert keys == read_bundle(str(_TF2 / "variables")).entries.keys() - {OBJECT_GRAPH_KEY, "save_counter"}


def test_a_checkpoint_of_tf1_has_none():
    with pytest.raises(ValueError, match="no object graph"):
        read_stored_objects(str(MODELS / "simple_save" / "variables" / "variables"))


def test_where_there_is_no_checkpoint_there_is_none(tmp_path):
    with pytest.raises((InputError, OSError)):
        read_stored_objects(str(tmp_path / "variables"))


@pytest.mark.parametrize("first", [b"\xff" * 64, b"\x01", b"\x00"])
def test_a_damaged_one_is_none(tmp_path, first):
    shutil.copytree(_TF2, tmp_path / "variables")
    entry = read_bundle(str(_TF2 / "variables")).entries[OBJECT_GRAPH_KEY]
    (data,) = (tmp_path / "variables").glob("*data*")
    text = bytearray(data.read_bytes())
    text[entry.offset : entry.offset + len(first)] = first
    data.write_bytes(text)
    with pytest.raises(ValueError, match="damaged"):
        read_stored_objects(str(tmp_path / "variables" / "variables"))


@pytest.mark.parametrize("byte", [b"\xff"])
def test_one_without_an_end_is_none(tmp_path, byte):
    shutil.copytree(_TF2, tmp_path / "variables")
    entry = read_bundle(str(_TF2 / "variables")).entries[OBJECT_GRAPH_KEY]
    (data,) = (tmp_path / "variables").glob("*data*")
    text = bytearray(data.read_bytes())
    text[entry.offset : entry.offset + entry.size] = byte * entry.size
    data.write_bytes(text)
    with pytest.raises(ValueError, match="damaged"):
        read_stored_objects(str(tmp_path / "variables" / "variables"))
