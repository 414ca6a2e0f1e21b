"""One record for a model of any form: what study, export and verification work on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef
from migrate.records import Finding, GivenSignature, Kind
from migrate.sources.boundary import Boundary

SERVING_TAG = "serve"
"""tensorflow/cc/saved_model/tag_constants.h, kSavedModelTagServe."""


TRAINING_TAG = "train"
"""tensorflow/cc/saved_model/tag_constants.h, kSavedModelTagTrain."""


@frozen
class Source:
    """A model as it is on the disk, whatever its form; nothing in its files has been changed.

    A form without a SavedModel around it (a `.meta` file, a SessionBundle, a GraphDef) has one MetaGraphDef, with the
    tag set {serve}, in which its reader has put what the form says elsewhere: signatures, assets, initialisers.

    Attributes:
      path: what the user calls it: a directory, a file or a checkpoint's prefix.
      kind: what it is.
      file: path of the file that holds the graph.
      meta_graphs: one at least. They must not be changed, except that study adds the signatures that the user gives.
      checkpoint: what a restore op is fed with, whether it is there or not: the checkpoint's prefix, for a sharded V1
        checkpoint a pattern; None for a form without one.
      assets_dir: directory of the assets, whether it is there or not.
      extra_dir: directory that is copied into the new model as `assets.extra` where it is there.
      saved_model: directory that TensorFlow's own SavedModel loader takes, or None.
      signatures: what the form says of signatures outside of its MetaGraphDef.
      findings: what the reader has to say about the choice and the state of the files.
      boundary: where its files may be; None for anywhere.
    """

    path: str
    kind: Kind
    file: str
    meta_graphs: tuple[MetaGraphDef, ...]
    checkpoint: str | None
    assets_dir: str
    extra_dir: str
    saved_model: str | None = None
    signatures: tuple[GivenSignature, ...] = ()
    findings: tuple[Finding, ...] = ()
    boundary: Boundary | None = None


def choose_meta_graph(source: Source, tags: frozenset[str] | None) -> MetaGraphDef:
    """Chooses the meta graph to work on.

    Args:
      source: a model.
      tags: the exact tag set, or None for the only meta graph or, among several, the one with the tag `serve` alone or
        else the only one with `serve`; of a TF1 Hub module the one without tags, which TF Hub takes for inference.

    Returns:
      The source's own MetaGraphDef, which must not be changed. Of several with the same tag set it is the
      first, as in TensorFlow (cc/saved_model/reader.cc, FindMetaGraphDef).

    Raises:
      InputError: none fits, or several do; the message lists the tag sets.
    """
    meta_graphs: Sequence[MetaGraphDef] = source.meta_graphs
    tag_sets = [frozenset(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
    if tags is not None:
        for tag_set, meta_graph in zip(tag_sets, meta_graphs, strict=True):
            if tag_set == tags:
                return meta_graph
        raise InputError(
            f"{source.path}: no meta graph has exactly the tags {_show(tags)}; there are {_list(tag_sets)}"
        )
    if len(meta_graphs) == 1:
        return meta_graphs[0]
    plain = [meta_graph for meta_graph in meta_graphs if not meta_graph.meta_info_def.tags]
    if source.kind is Kind.TF1_HUB_MODULE and len(plain) == 1:
        return plain[0]
    serving = [i for i, tag_set in enumerate(tag_sets) if tag_set == {SERVING_TAG}][:1]
    serving = serving or [i for i, tag_set in enumerate(tag_sets) if SERVING_TAG in tag_set]
    if len(serving) == 1:
        return meta_graphs[serving[0]]
    if serving:
        raise InputError(
            f"{source.path}: {len(serving)} meta graphs have the tag {SERVING_TAG!r}: "
            f"{_list(tag_sets[i] for i in serving)}; choose one with --tags"
        )
    raise InputError(
        f"{source.path}: no meta graph has the tag {SERVING_TAG!r}; there are {_list(tag_sets)}; choose one with --tags"
    )


def training_meta_graph(source: Source, chosen: MetaGraphDef) -> MetaGraphDef | None:
    """The meta graph of a TF1 Hub module that is `chosen` for training: its tag set is one tag `train` larger."""
    tags = frozenset(chosen.meta_info_def.tags)
    if source.kind is not Kind.TF1_HUB_MODULE or TRAINING_TAG in tags:
        return None
    for meta_graph in source.meta_graphs:
        if frozenset(meta_graph.meta_info_def.tags) == tags | {TRAINING_TAG}:
            return meta_graph
    return None


def _show(tags: frozenset[str]) -> str:
    return "{" + ", ".join(sorted(tags)) + "}"


def _list(tag_sets: Iterable[frozenset[str]]) -> str:
    return ", ".join(sorted(_show(tag_set) for tag_set in tag_sets))
