"""THE TABLE: every rule, in one tuple that is written by hand."""

from __future__ import annotations

from migrate.rewrite.rule import Rule, by_op
from migrate.rewrite.rules import (
    additive_trees,
    arrays,
    beams,
    bits,
    buckets,
    components,
    composed,
    control_flow,
    crosses,
    engines,
    exponentials,
    forests,
    fused,
    images,
    normalization,
    predecessors,
    recurrent,
    resource_handles,
    slices,
    temporaries,
    trees,
    variables,
)

RULES: tuple[Rule, ...] = (
    # All rules look at the source graph and answer for one node each, and no two claim one op. So no edit can spoil
    # another rule's view, the order changes nothing, and it is for the reader: the way that a buffer takes.
    variables.VARIABLE,  # What holds a buffer.
    variables.WRITE,  # What writes it.
    variables.STRICT,  # What asks about it and leaves it alone.
    variables.IDENTITY,  # What hands it on: as it is,
    variables.RESHAPE,  # in another shape,
    variables.EFFECT,  # after a look at it,
    control_flow.REF,  # through control flow that takes refs only,
    control_flow.PLAIN,  # or any dtype.
    composed.REF_SELECT,  # What has no twin: it chooses between buffers,
    composed.SHRINK,  # or writes several.
    resource_handles.HANDLE,  # Handles, which are no variables: to what has a name,
    resource_handles.USER,  # and what uses it;
    composed.FAKE_QUEUE,  # to a queue that is a resource already;
    arrays.STACK,  # to what lives for one step: stacks,
    arrays.ARRAY,  # arrays,
    arrays.GRAD,  # their gradients,
    arrays.USER,  # and what uses one of these
    arrays.PACK,  # as a whole,
    arrays.UNPACK,  # in both directions.
    composed.ACCUMULATE,  # No refs at all: what functions do not take,
    composed.RENAMED,  # for it is old
    composed.TOP_K,  # and has another form now,
    predecessors.AUDIO,
    predecessors.POISSON,
    predecessors.QUANTIZE,
    predecessors.CONVOLUTION,
    predecessors.EIGEN,
    predecessors.CONTRAST,
    exponentials.EXPONENTIAL,
    normalization.BATCH_NORM,  # or is arithmetic.
    buckets.UPPER_BOUND,  # What TensorFlow 2 does not have any more.
    buckets.LOWER_BOUNDS,
    buckets.QUANTILES,
    crosses.FINGERPRINT_CROSS,
    crosses.CROSS,
    engines.ENGINE,
    beams.GATHER_TREE,
    images.TRANSFORM,
    images.RESAMPLE,
    trees.BOOSTED_TREES,
    forests.FOREST,
    additive_trees.ADDITIVE_TREES,
    additive_trees.PARTITION,
    additive_trees.TREE_STATS,
    images.ADJUST,
    images.PERIODIC,
    components.COMPONENTS,
    bits.BITPACK,
    slices.REDUCE_SLICE,
    fused.FUSED,
    recurrent.RECURRENT,  # What only a GPU runs.
)

TABLE = by_op(RULES)
"""The rule of each op."""

RULED_OPS = frozenset(TABLE.rules) | temporaries.OPS
"""Every op that some rule, or the pass before them, looks at."""
