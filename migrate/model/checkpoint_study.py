"""What audit says of a checkpoint without a graph."""

from __future__ import annotations

import os
from collections.abc import Sequence

from migrate.checks.checkpoint_facts import of_bundle, of_v1
from migrate.records import CheckpointFacts, Finding, Kind, ModelReport, Refused, refusal
from migrate.sources.bundle import check_shards, read_bundle
from migrate.sources.forms import form_of
from migrate.sources.keras_files import unfit_beside
from migrate.sources.keras_source import WEIGHTED_LAYER
from migrate.sources.location import Location, chosen_among
from migrate.sources.sniff import is_v1_checkpoint


def study_checkpoint(place: Location, path: str) -> ModelReport:
    """Describes a checkpoint without a graph.

    Args:
      place: where it is.
      path: what the user calls it.

    Raises:
      InputError: it cannot be read.
    """
    checkpoint = place.checkpoint or place.path
    known, damage = _read(place, checkpoint)
    findings = (*chosen_among(place), _without_graph(place, checkpoint, known), *damage)
    return ModelReport(path, None, Kind.CHECKPOINT, Refused(), findings, checkpoint=known)


def _read(place: Location, checkpoint: str) -> tuple[CheckpointFacts, Sequence[Finding]]:
    if is_v1_checkpoint(checkpoint):
        from migrate.sources.v1_checkpoint import read_v1_checkpoint

        return of_v1(read_v1_checkpoint(checkpoint, place.boundary)), ()
    bundle = read_bundle(checkpoint, place.boundary)
    return of_bundle(bundle), check_shards(bundle, place.boundary)


def _without_graph(place: Location, checkpoint: str, known: CheckpointFacts) -> Finding:
    if known.object_based:
        message = "an object-based checkpoint without its objects: values by the attributes of a Python program"
        hint = "build the model with its own code, restore it with tf.train.Checkpoint, and save it as a SavedModel"
        if any(WEIGHTED_LAYER in tensor.name for tensor in known.tensors):
            own = "put the model's JSON (Model.to_json) beside them, or pass its path with --architecture=FILE"
            hint = f"{own}; or {hint}"
    else:
        message = "a checkpoint without a graph: values by name, and nothing that says what to compute with them"
        hint = "copy its .meta file too, or build the graph with the model's code and save it with tf.train.Saver"
    if os.path.basename(os.path.dirname(place.path)) == "variables":
        message += "; the saved_model.pb that belongs to it is missing"
    unfit = unfit_beside(checkpoint, place.boundary, form_of)
    if unfit:
        message = f"{message.partition(':')[0]}; {unfit}"
    return refusal("checkpoint-without-graph", message, (place.path,), hint)
