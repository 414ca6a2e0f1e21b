from __future__ import annotations

from google.protobuf import text_format

from migrate.checks.subject import Subject
from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind, Options
from migrate.sources.source import Source

_GRAPH = """
graph_def {
  node { name: "call" op: "PartitionedCall" attr { key: "f" value { func { name: "f" } } } }
  node { name: "alone" op: "NoOp" }
  library {
    function { signature { name: "f" } node_def { name: "inner" op: "Neg" } }
    function { signature { name: "g" } node_def { name: "unused" op: "Neg" } }
  }
}
"""


def _subject(*names):
    meta_graph = text_format.Parse(_GRAPH, MetaGraphDef())
    source = Source("m", Kind.FROZEN_GRAPH, "m/graph.pb", (meta_graph,), None, "m/assets", "m/assets.extra")
    nodes = tuple(node for node in meta_graph.graph_def.node if node.name in names)
    return Subject(source, meta_graph, nodes, None, 0, (), False, Options())


def test_the_bodies_of_functions_that_are_called_are_needed():
    assert [located.label for located in _subject("call", "alone").located] == ["call", "alone", "f/inner"]
    assert [located.label for located in _subject("alone").located] == ["alone"]


def test_nodes_are_located_once():
    subject = _subject("call")
    assert subject.located is subject.located


def test_functions_are_those_of_the_graph_called_or_not():
    assert _subject("alone").functions == {"f", "g"}
