"""What is looked up when a model is planned: resources whose content is in the checkpoint, and networks of cuDNN."""

from __future__ import annotations

from collections.abc import Callable

from migrate.frozen import frozen
from migrate.graph.op_table import NETWORKS
from migrate.graph.protos import TensorProto

Read = Callable[[str], TensorProto]
"""Gives a tensor of the checkpoint by its key; raises InputError."""


@frozen
class Kind:
    """One kind of resource.

    Attributes:
      handle: op that makes a handle.
      creates: op that makes the resource, where there is none yet.
      fills: op that the restore op runs to fill it.
      first: position of the first input of these that is content; 0 where it is not looked at.
      reads: ops that a call may run with the handle.
      stamps: op that a call may run for the stamp, which is the input before the content; empty where there is none.
    """

    handle: str
    creates: str
    fills: str
    first: int = 0
    reads: tuple[str, ...] = ()
    stamps: str = ""


STREAM = "BoostedTreesQuantileStreamResource"
RESOURCES = {
    kind.handle: kind
    for kind in (
        Kind(
            "BoostedTreesEnsembleResourceHandleOp",
            "BoostedTreesCreateEnsemble",
            "BoostedTreesDeserializeEnsemble",
            2,
            ("BoostedTreesPredict",),
        ),
        Kind(
            "DecisionTreeEnsembleResourceHandleOp",
            "CreateTreeEnsembleVariable",
            "TreeEnsembleDeserialize",
            2,
            (
                "GradientTreesPrediction",
                "GradientTreesPredictionVerbose",
                "GradientTreesPartitionExamples",
                "TreeEnsembleStats",
            ),
            "TreeEnsembleStampToken",
        ),
        Kind("DecisionTreeResourceHandleOp", "CreateTreeVariable", "TreeDeserialize", 1, ("TreePredictionsV4",)),
        Kind("FertileStatsResourceHandleOp", "CreateFertileStatsVariable", "FertileStatsDeserialize"),
        Kind(
            f"{STREAM}HandleOp",
            "BoostedTreesCreateQuantileStreamResource",
            f"{STREAM}Deserialize",
            1,
            (f"{STREAM}GetBucketBoundaries",),
        ),
    )
}
"""Every kind, by the op that makes its handles."""

READ_WHEN_PLANNING = frozenset(
    {op for kind in RESOURCES.values() for op in (kind.handle, kind.creates, kind.fills, kind.stamps) if op}
    | {op for kind in RESOURCES.values() if kind.handle.startswith(STREAM) for op in kind.reads}
)
"""Ops of which no node is left in a planned graph."""

VECTOR_MAKERS = {"CudnnRNNCanonicalToParams": "num_params"}
"""Ops that make a vector of canonical weights, with the attribute that says how many there are of these. The second
version makes those of networks with projections, which have no living form."""
ON_GPU_ALONE = NETWORKS | VECTOR_MAKERS.keys()
"""Ops that have a living form, and a kernel for a GPU alone in each TensorFlow."""
