"""What is in a file that holds a graph, once it is parsed."""

from __future__ import annotations

from migrate.frozen import frozen
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel


@frozen
class Parsed:
    """What is in a file.

    Attributes:
      proto: the message.
      holder: what a GraphDef is part of, which holds nothing else: to copy it into one takes as much memory again.
        For a stored graph (`stored`), what answers as the only MetaGraphDef of `proto`, which has no nodes.
    """

    proto: SavedModel | MetaGraphDef | GraphDef
    holder: MetaGraphDef | None = None


def all_nodes(parsed: Parsed) -> int:
    """How many nodes there are, those of functions included."""
    graphs = [meta_graph.graph_def for meta_graph in meta_graphs(parsed)]
    return sum(len(g.node) + sum(len(function.node_def) for function in g.library.function) for g in graphs)


def meta_graphs(parsed: Parsed) -> list[MetaGraphDef]:
    """The graphs of what was parsed, each as a MetaGraphDef."""
    proto = parsed.proto
    if isinstance(proto, SavedModel):
        return list(proto.meta_graphs)
    if isinstance(proto, MetaGraphDef):
        return [proto]
    assert parsed.holder is not None
    return [parsed.holder]
