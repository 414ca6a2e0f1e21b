"""Ops that draw random numbers from a state of their own, so that two calls differ."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.checks.subject import Subject
from migrate.graph.nodes import Located, by_op, labels, show_counts
from migrate.graph.protos import NodeDef
from migrate.records import Finding, Severity

RANDOM_OPS = frozenset(
    {
        # core/ops/random_ops.cc, stateful_random_ops.cc, candidate_sampling_ops.cc
        *(
            "Multinomial",
            "NonDeterministicInts",
            "ParameterizedTruncatedNormal",
            "RandomGamma",
            "RandomPoisson",
        ),
        *("RandomPoissonV2", "RandomShuffle", "RandomStandardNormal", "RandomUniform", "RandomUniformInt"),
        *("TruncatedNormal", "RngReadAndSkip", "RngSkip", "StatefulRandomBinomial", "StatefulStandardNormal"),
        *("StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniform", "StatefulUniformFullInt"),
        *("StatefulUniformInt", "FixedUnigramCandidateSampler", "LearnedUnigramCandidateSampler"),
        *("LogUniformCandidateSampler", "ThreadUnsafeUnigramCandidateSampler", "UniformCandidateSampler"),
        # image_ops.cc, data_flow_ops.cc, dataset_ops.cc, word2vec_ops.cc
        *("RandomCrop", "SampleDistortedBoundingBox", "SampleDistortedBoundingBoxV2"),
        *("RandomShuffleQueue", "RandomShuffleQueueV2", "AnonymousRandomSeedGenerator"),
        *("AnonymousSeedGenerator", "ExperimentalRandomDataset", "RandomDataset", "RandomDatasetV2"),
        *("ShuffleAndRepeatDataset", "ShuffleAndRepeatDatasetV2", "ShuffleDataset", "ShuffleDatasetV2"),
        *("ShuffleDatasetV3", "NegTrain", "Skipgram"),
    }
)

_RANDOM_POOLING = frozenset({"FractionalAvgPool", "FractionalMaxPool"})
"""core/ops/nn_ops.cc: a new pooling region a call, unless `deterministic`."""

_MAY_BE_RANDOM = RANDOM_OPS | _RANDOM_POOLING


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_random_ops`."""
    return find_random_ops(subject.located)


def find_random_ops(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds nodes whose output differs from call to call. A seed fixes the series of calls, not each call.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One note, `random-op`, or nothing. Stateless random ops are functions of their inputs, no finding.
    """
    found = [located for located in nodes if located.node.op in _MAY_BE_RANDOM and _is_random(located.node)]
    if not found:
        return ()
    counts = {op: len(group) for op, group in by_op(found).items()}
    return (
        Finding(
            "random-op",
            Severity.NOTE,
            f"The model draws random numbers when it is called: {show_counts(counts)}.",
            labels(found),
            "Both models draw from the same seeds when they are compared; where that is not possible, values are not.",
        ),
    )


def _is_random(node: NodeDef) -> bool:
    if node.op in _RANDOM_POOLING:
        return not ("deterministic" in node.attr and node.attr["deterministic"].b)
    return True
