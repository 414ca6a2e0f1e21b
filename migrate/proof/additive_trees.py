"""Additive trees of tf.contrib.boosted_trees whose content is a constant, in terms of ops that TensorFlow 2 has.

Each is written from TF1's kernel: contrib/boosted_trees/kernels/prediction_ops.cc and training_ops.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.additive_features import Table
from migrate.proof.additive_splits import Counts, logits_of, nodes_of
from migrate.proof.parts import FLOAT, INT32, INT64, Parts, Tensor, dtype_list, dtypes
from migrate.proof.program import Flat
from migrate.proof.tree_walks import Walk, gathered, joined, numbers, serialized

_WHOLE_TREE = 1
"""LearnerConfig.GrowingMode in which a tree counts once it is finished."""
_OUTPUTS = {"GradientTreesPrediction": 2, "GradientTreesPredictionVerbose": 3}


def _predictions(parts: Parts) -> Flat:
    """From zero on, for each tree its weight times the leaf's logits (lib/models/multiple_additive_trees.cc).

    A logit that a leaf does not have adds nothing, as zero times a finite weight does. The second output has a column
    for each tree that dropout left out, the third one the number of the leaf in each tree.
    """
    node = parts.node
    counts = _counts(parts, 2)
    if counts is None or not {"learner_config", "reduce_dim", "apply_dropout", "apply_averaging"} <= set(node.attr):
        return parts.unknown("has other attributes or inputs")
    try:
        ensemble, config = _ensemble(parts), _config(node.attr["learner_config"].s)
        center = "center_bias" in node.attr and node.attr["center_bias"].b
        included = _included(ensemble, config, is_centered=center)
        if node.attr["apply_dropout"].b and config.learning_rate_tuner.WhichOneof("tuner") == "dropout":
            raise ValueError("trees are dropped")
        if len(included) < len(ensemble.trees) and _OUTPUTS[node.op] == 3:
            raise ValueError("the leaves of some trees are not written")
        width = config.num_classes - node.attr["reduce_dim"].b
        trees = [nodes_of(ensemble.trees[k], counts) for k in included]
        logits = [logits_of(ensemble.trees[k], nodes, width) for k, nodes in zip(included, trees, strict=True)]
        shares = _shares(ensemble, config, included) if node.attr["apply_averaging"].b else None
        walk = Walk([[each.children for each in nodes] for nodes in trees])
    except (DecodeError, ValueError) as error:
        return parts.unknown(f"reads trees that have no equation: {error}")
    table = Table(parts, counts, 2)
    rows = table.rows
    dropped = parts.constant("dropped", numbers(FLOAT, [], 2, 0), rows)
    if not trees:
        outputs = [_filled(parts, rows, width, FLOAT), dropped, _filled(parts, rows, 0, INT32)]
    else:
        every = [each for nodes in trees for each in nodes]
        ends = walk.leaves(parts, rows, table.holds(every))
        flat = [value for of_tree in logits for row in of_tree for value in row]
        values = parts.constant("values", numbers(FLOAT, flat, len(every), width), rows)
        count = len(included)
        weights = parts.constant(
            "weights", numbers(FLOAT, [ensemble.tree_weights[k] for k in included], count, 1), rows
        )
        if shares is not None:
            of, whole = (parts.constant("share", numbers(FLOAT, each, count, 1), rows) for each in shares)
            weights = parts.op("RealDiv", "mean", [parts.op("Mul", "part", [weights, of], T=FLOAT), whole], T=FLOAT)
        weighted = parts.op("Mul", "weighted", [weights, gathered(parts, "ends", values, ends, 0, FLOAT)], T=FLOAT)
        axis = parts.constant("axis", constants.int32(1), rows)
        sums = parts.op("Cumsum", "sums", [weighted, axis], T=FLOAT, Tidx=INT32)
        last = parts.constant("last", constants.int32(count - 1), rows)
        leaf = parts.constant("numbers", numbers(INT32, [each.number for each in every]), rows)
        outputs = [gathered(parts, "logits", sums, last, 1, FLOAT), dropped]
        if _OUTPUTS[node.op] == 3:
            outputs.append(gathered(parts, "leaves", leaf, ends, 0, INT32))
    return _together(parts, outputs[: _OUTPUTS[node.op]], [FLOAT, FLOAT, INT32])


def _partition(parts: Parts) -> Flat:
    """The leaf of the last tree while that grows, else 0 (lib/learner/common/partitioners/example_partitioner.cc)."""
    counts = _counts(parts, 1)
    if counts is None:
        return parts.unknown("has other attributes or inputs")
    try:
        ensemble = _ensemble(parts)
        is_finished = not ensemble.trees or _last(ensemble).is_finalized
        nodes = [] if is_finished or not ensemble.trees[-1].nodes else nodes_of(ensemble.trees[-1], counts)
        walk = Walk([[each.children for each in nodes]] if nodes else [])
    except (DecodeError, ValueError) as error:
        return parts.unknown(f"reads trees that have no equation: {error}")
    table = Table(parts, counts, 1)
    if not nodes:
        zero = parts.constant("root", constants.int32(0), table.rows)
        return parts.made(
            "Fill", "", [table.rows, zero], dtypes({"T": INT32, "index_type": INT32}), parts.node.controls
        )
    ends = walk.leaves(parts, table.rows, table.holds(nodes))
    dims = AttrValue()
    dims.list.i.append(1)
    one_each = parts.add("Squeeze", "one_each", [ends], {**dtypes({"T": INT32}), "squeeze_dims": dims}), 0
    leaf = parts.constant("numbers", numbers(INT32, [each.number for each in nodes]), table.rows)
    axis = parts.constant("axis", constants.int32(0), table.rows)
    attr = dtypes({"Tparams": INT32, "Tindices": INT32, "Taxis": INT32})
    return parts.made("GatherV2", "", [leaf, one_each, axis], attr, parts.node.controls)


def _stats(parts: Parts) -> Flat:
    """The numbers of trees and of layers: finished ones, the one that grows, and those that were tried.

    Another stamp than the resource's ends the process.
    """
    if len(parts.node.data) != 2:
        return parts.unknown("has other inputs")
    try:
        ensemble = _ensemble(parts)
        trees, layers = len(ensemble.trees), [each.num_layers_grown for each in ensemble.tree_metadata]
        finished = trees if not trees or _last(ensemble).is_finalized else trees - 1
    except (DecodeError, ValueError) as error:
        return parts.unknown(f"reads trees that have no equation: {error}")
    tried = ensemble.growing_metadata
    found = (
        finished,
        sum(layers),
        trees,
        layers[-1] if layers else 0,
        tried.num_trees_attempted,
        tried.num_layers_attempted,
    )
    values = [parts.constant("number", constants.made("int64", each), parts.node.data[1]) for each in found]
    return _together(parts, values, [INT64] * len(values))


def _counts(parts: Parts, first: int) -> Counts | None:
    """How many features of each kind a node takes, behind its first inputs."""
    names = [f"num_{kind}_features" for kind in ("dense_float", "sparse_float", "sparse_int")]
    found = Counts(*(parts.node.attr[name].i if name in parts.node.attr else 0 for name in names))
    inputs = first + found.dense + 3 * (found.floats + found.ids)
    return found if min(found) >= 0 and len(parts.node.data) == inputs > first else None


def _ensemble(parts: Parts) -> Any:
    from migrate.graph.tree_protos import DecisionTreeEnsembleConfig

    content = serialized(parts, parts.node.data[0])
    if content is None:
        raise ValueError("they are not known")
    return DecisionTreeEnsembleConfig.FromString(content)


def _config(text: bytes) -> Any:
    from migrate.graph.tree_protos import LearnerConfig

    found = LearnerConfig.FromString(text)
    if found.num_classes < 2:
        raise ValueError("there are fewer than two classes")
    return found


def _last(ensemble: Any) -> Any:
    if not ensemble.tree_metadata:
        raise ValueError("nothing says whether the last tree is finished")
    return ensemble.tree_metadata[-1]


def _included(ensemble: Any, config: Any, *, is_centered: bool) -> list[int]:
    """The trees that are added up (CalculateTreesToInclude)."""
    count, metadata = len(ensemble.trees), ensemble.tree_metadata
    if len(ensemble.tree_weights) < count or not all(math.isfinite(weight) for weight in ensemble.tree_weights):
        raise ValueError("a tree has no finite weight")
    if config.growing_mode != _WHOLE_TREE or not metadata:
        return list(range(count))
    if len(metadata) < count or (is_centered and count and not metadata[0].is_finalized):
        raise ValueError("whether the trees are finished is not said, or is taken in several ways")
    return [k for k in range(count) if metadata[k].is_finalized]


def _shares(ensemble: Any, config: Any, included: Sequence[int]) -> tuple[list[int], list[int]] | None:
    """For each tree in how many of the averaged ensembles it is, and how many there are; 1 and 1 where it is in all."""
    averaging, count = config.averaging_config, len(ensemble.trees)
    kind = averaging.WhichOneof("config")
    if kind is None:
        return None
    if kind == "average_last_n_trees":
        if not averaging.average_last_n_trees > 0:
            raise ValueError("no trees are averaged")
        (start,) = struct.unpack("<f", struct.pack("<f", count - averaging.average_last_n_trees))
    else:
        if not 0 < averaging.average_last_percent_trees <= 1:
            raise ValueError("no trees are averaged, or more than all")
        start = count * (1.0 - averaging.average_last_percent_trees)
    first = int(max(0.0, start))
    return [count - k if k >= first else 1 for k in included], [count - first if k >= first else 1 for k in included]


def _filled(parts: Parts, rows: Tensor, width: int, dtype: int) -> Tensor:
    """A matrix of zeros."""
    shape = joined(parts, "shape", [rows, parts.constant("width", constants.int32s(width), rows)], 0)
    zero = constants.made("float32", 0.0) if dtype == FLOAT else constants.int32(0)
    return parts.op("Fill", "filled", [shape, parts.constant("zero", zero, rows)], T=dtype, index_type=INT32)


def _together(parts: Parts, values: Sequence[Tensor], types: Sequence[int]) -> Flat:
    attr = {"T": dtype_list(types[: len(values)])}
    return parts.made("IdentityN", "", values, attr, parts.node.controls)


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {
    "GradientTreesPartitionExamples": _partition,
    "GradientTreesPrediction": _predictions,
    "GradientTreesPredictionVerbose": _predictions,
    "TreeEnsembleStats": _stats,
}
"""Ops that read additive trees -> what their kernels do."""
