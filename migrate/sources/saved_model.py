"""Reads a SavedModel's proto: what is in the file, or in one line why it cannot be read."""

from __future__ import annotations

import os

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.records import Kind
from migrate.sources.boundary import Boundary
from migrate.sources.graph_file import from_graph_def, from_meta_graph
from migrate.sources.parse import parse
from migrate.sources.saved_model_files import (
    CHUNKED_SAVED_MODEL_FILE,
    HUB_MODULE_FILE,
    KERAS_METADATA_FILE,
    SAVED_MODEL_FILES,
)
from migrate.sources.source import Source
from migrate.sources.watch import Watch


def read_saved_model(path: str, boundary: Boundary | None = None, watch: Watch | None = None) -> Source:
    """Reads the SavedModel in a directory. Fields that this TensorFlow does not know are kept, not refused.

    Args:
      path: directory that holds a saved_model.pb or, failing that, a saved_model.pbtxt.
      boundary: where its files may be; None for anywhere.
      watch: over the audit that reads it.

    Returns:
      The model, with one meta graph at least.

    Raises:
      InputError: there is no such file, it cannot be read, or it is no SavedModel; the message says why.

    Example:
      >>> read_saved_model("testdata/models/counter").kind.value
      'tf1_saved_model'
    """
    file_name = _file_name(path)
    file = os.path.join(path, file_name)
    parsed = parse(file, "SavedModel", boundary, watch)
    proto = parsed.proto
    checkpoint, assets_dir = os.path.join(path, "variables", "variables"), os.path.join(path, "assets")
    extra_dir = os.path.join(path, "assets.extra")
    if not isinstance(proto, SavedModel):
        # People rename what they have. A file is what is in it.
        if parsed.holder is not None:
            kind, meta_graph = from_graph_def(parsed.holder)
        else:
            assert isinstance(proto, MetaGraphDef)
            kind, meta_graph = from_meta_graph(proto)
        return Source(path, kind, file, (meta_graph,), checkpoint, assets_dir, extra_dir, boundary=boundary)
    kind = _kind(path, proto)
    meta_graphs = tuple(proto.meta_graphs) if parsed.holder is None else (parsed.holder,)
    return Source(
        path,
        kind,
        file,
        meta_graphs,
        checkpoint,
        assets_dir,
        extra_dir,
        saved_model=path,
        boundary=boundary,
    )


def _kind(path: str, proto: SavedModel) -> Kind:
    """Tells a TF2 SavedModel by its object graph, which TF1's exporters do not write.

    The version that a meta graph names is no help: TF 2.x writes TF1 models through `tf.compat.v1`.
    """
    if any(meta_graph.object_graph_def.nodes for meta_graph in proto.meta_graphs):
        keras = os.path.exists(os.path.join(path, KERAS_METADATA_FILE))
        return Kind.KERAS_SAVED_MODEL if keras else Kind.TF2_SAVED_MODEL
    hub = os.path.exists(os.path.join(path, HUB_MODULE_FILE))
    return Kind.TF1_HUB_MODULE if hub else Kind.TF1_SAVED_MODEL


def _file_name(path: str) -> str:
    if not os.path.exists(path):
        raise InputError(f"{path}: no such directory; pass a SavedModel directory")
    if not os.path.isdir(path):
        raise InputError(f"{path}: a file; pass the directory that holds the saved_model.pb")
    for file_name in SAVED_MODEL_FILES:
        if os.path.lexists(os.path.join(path, file_name)):
            return file_name
    if os.path.lexists(os.path.join(path, CHUNKED_SAVED_MODEL_FILE)):
        raise InputError(
            f"{path}: a chunked SavedModel ({CHUNKED_SAVED_MODEL_FILE}), which TensorFlow's Python packages neither "
            "read nor write; save it as one saved_model.pb (weights in variables, not in constants, keep it under 2 GB)"
        )
    raise InputError(f"{path}: no saved_model.pb or saved_model.pbtxt in it; pass a SavedModel directory")
