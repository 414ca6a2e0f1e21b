from __future__ import annotations

import importlib.util
import sys
import types
from array import array

import pytest

from migrate.errors import InputError
from migrate.graph import protos
from migrate.graph.protos import MetaGraphDef, copied, is_stored, may_propose, without_runtime
from migrate.graph.stored_nodes import StoredMetaGraph, StoredNodes


def _stored(may: bool) -> StoredMetaGraph:
    return StoredMetaGraph(MetaGraphDef(), StoredNodes(b"", array("I"), array("I")), "too large: do this", may)


def test_a_tensorflow_that_is_imported_stays(monkeypatch):
    real = types.ModuleType("tensorflow")
    monkeypatch.setitem(sys.modules, "tensorflow", real)
    with without_runtime():
        assert sys.modules["tensorflow"] is real
    assert sys.modules["tensorflow"] is real


def test_the_stub_is_gone_afterwards_even_after_an_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with pytest.raises(KeyError, match="inside"), without_runtime():
        stub = sys.modules["tensorflow"]
        assert stub.__path__ and not hasattr(stub, "__version__")
        raise KeyError("inside")
    assert "tensorflow" not in sys.modules


def test_without_tensorflow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install tensorflow"), without_runtime():
        pass
    assert "tensorflow" not in sys.modules


def test_a_copy_can_be_changed_alone():
    source = MetaGraphDef()
    source.graph_def.node.add(name="a", op="NoOp")
    copy = copied(source)
    assert copy == source
    copy.graph_def.node[0].name = "b"
    assert source.graph_def.node[0].name == "a"


def test_what_is_stored_is_not_copied_and_says_why():
    assert [is_stored(MetaGraphDef()), is_stored(_stored(True))] == [False, True]
    with pytest.raises(InputError, match="too large: do this"):
        copied(_stored(True))


def test_a_proposal_is_looked_for_unless_memory_is_short():
    assert [may_propose(MetaGraphDef()), may_propose(_stored(True)), may_propose(_stored(False))] == [True, True, False]


def test_every_public_name_is_there():
    assert [name for name in protos.__all__ if not hasattr(protos, name)] == []
