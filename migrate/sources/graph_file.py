"""MetaGraphDefs out of what is no SavedModel: a `.meta` file, a SessionBundle, a GraphDef."""

from __future__ import annotations

import os

from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.records import GivenSignature, Kind
from migrate.sources.location import Location, chosen_among
from migrate.sources.parse import parse
from migrate.sources.source import SERVING_TAG, Source

TABLES_KEY = "table_initializer"
"""The collection of table initialisers (`tf.compat.v1.GraphKeys.TABLE_INITIALIZERS`)."""

_TABLE_INITIALIZERS = frozenset(
    name + version
    for name in ("InitializeTable", "InitializeTableFromTextFile", "LookupTableImport")
    for version in ("", "V2")
)


def read_graph(place: Location, path: str) -> Source:
    """Reads a MetaGraphDef with its checkpoint, or a GraphDef; see `read.read_source`."""
    parsed = parse(place.file, place.form.value, place.boundary, place.watch)
    proto = parsed.proto
    folder = os.path.dirname(place.file)
    checkpoint: str | None = None
    given: tuple[GivenSignature, ...] = ()
    if isinstance(proto, MetaGraphDef):
        checkpoint = place.checkpoint
        try:
            kind, meta_graph = from_meta_graph(proto)
            given = _bundled(meta_graph) if kind is Kind.SESSION_BUNDLE else ()
        except InputError as error:
            raise InputError(f"{place.file}: {error}") from error
    elif isinstance(proto, GraphDef) and parsed.holder is not None:
        kind, meta_graph = from_graph_def(parsed.holder)
    else:
        raise InputError(
            f"{place.file}: a SavedModel; name it saved_model.pb, with variables/ and assets/ in the same directory"
        )
    return Source(
        path,
        kind,
        place.file,
        (meta_graph,),
        checkpoint,
        os.path.join(folder, "assets"),
        os.path.join(folder, "assets.extra"),
        signatures=given,
        findings=tuple(chosen_among(place)) if kind is not Kind.FROZEN_GRAPH else (),
        boundary=place.boundary,
    )


def _bundled(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    from migrate.sources.session_bundle import signatures

    return signatures(meta_graph)


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
