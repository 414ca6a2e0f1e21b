"""What audit shows of a checkpoint."""

from __future__ import annotations

import math

from migrate.records import CheckpointFacts, StoredTensorFacts
from migrate.sources.bundle import Bundle
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.sizes import size_of
from migrate.sources.v1_checkpoint import V1Checkpoint


def of_bundle(bundle: Bundle) -> CheckpointFacts:
    """Describes a V2 checkpoint, from its index."""
    sizes: dict[str, int] = {}
    for (key, _), entry in bundle.stored_slices.items():
        sizes[key] = sizes.get(key, 0) + entry.size
    tensors = tuple(
        StoredTensorFacts(key, e.dtype, e.shape, sizes[key] if e.slices else e.size, len(e.slices))
        for key, e in sorted(bundle.entries.items())
        if key != OBJECT_GRAPH_KEY
    )
    return CheckpointFacts(bundle.prefix, "V2", OBJECT_GRAPH_KEY in bundle.entries, bundle.num_shards, tensors)


def of_v1(checkpoint: V1Checkpoint) -> CheckpointFacts:
    """Describes a V1 checkpoint, from the lists in its files."""
    tensors = []
    for key, tensor in sorted(checkpoint.tensors.items()):
        size = size_of(tensor.dtype)
        slices = len(tensor.slices) if len(tensor.slices) > 1 else 0
        count = math.prod(tensor.shape)
        tensors.append(
            StoredTensorFacts(key, tensor.dtype, tensor.shape, None if size is None else size * count, slices)
        )
    shards = len(checkpoint.files) + len(checkpoint.missing)
    return CheckpointFacts(checkpoint.path, "V1", False, shards, tuple(tensors))
