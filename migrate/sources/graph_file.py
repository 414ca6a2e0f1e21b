"""MetaGraphDefs out of what is no SavedModel: a `.meta` file, a SessionBundle, a GraphDef."""

from __future__ import annotations

from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind
from migrate.sources.source import SERVING_TAG

TABLES_KEY = "table_initializer"
"""The collection of table initialisers (`tf.compat.v1.GraphKeys.TABLE_INITIALIZERS`)."""

_TABLE_INITIALIZERS = frozenset(
    name + version
    for name in ("InitializeTable", "InitializeTableFromTextFile", "LookupTableImport")
    for version in ("", "V2")
)


def from_meta_graph(proto: MetaGraphDef) -> tuple[Kind, MetaGraphDef]:
    """What `tf.train.export_meta_graph` or TensorFlow 0.x's exporter has written, tagged for serving.

    Args:
      proto: as it was parsed; it is tagged in its place, since a copy takes as much memory again.

    Raises:
      InputError: a SessionBundle's collections cannot be parsed.
    """
    from migrate.sources.session_bundle import is_session_bundle, unbundle

    if is_session_bundle(proto):
        return Kind.SESSION_BUNDLE, _tagged(unbundle(proto))
    return Kind.CHECKPOINT_META, _tagged(proto)


def from_graph_def(meta_graph: MetaGraphDef) -> tuple[Kind, MetaGraphDef]:
    """A GraphDef as a MetaGraphDef. Its table initialisers, which no collection lists, are what is run on loading.

    Args:
      meta_graph: holds the GraphDef and nothing else, and is completed in its place.
    """
    tables = [node.name for node in meta_graph.graph_def.node if node.op in _TABLE_INITIALIZERS]
    if tables:
        meta_graph.collection_def[TABLES_KEY].node_list.value.extend(tables)
    return Kind.FROZEN_GRAPH, _tagged(meta_graph)


def _tagged(proto: MetaGraphDef) -> MetaGraphDef:
    if not proto.meta_info_def.tags:
        proto.meta_info_def.tags.append(SERVING_TAG)
    return proto
