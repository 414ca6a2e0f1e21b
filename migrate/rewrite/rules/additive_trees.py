"""The gradient boosted trees of tf.contrib.boosted_trees, which are known when a model is planned.

contrib/boosted_trees/kernels/prediction_ops.cc, lib/models/multiple_additive_trees.cc and lib/trees/decision_tree.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.additive_trees import Features, read_trees
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.feature_tables import FeatureTable
from migrate.rewrite.new_nodes import FLOAT, INT32, INT64, Edit
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope
from migrate.rewrite.tree_walks import leaves, looked_up, serialized, table, unsound

_WHOLE_TREE = 1
"""LearnerConfig.GrowingMode: trees that are not finished are left out."""


def _predictions(node: NodeDef, scope: Scope) -> Edit | Finding:
    """For each tree the leaf's logits times the tree's weight, added up tree after tree, from zero.

    A number that is at most the threshold leads to the left. A sparse feature that is missing leads where its split
    says, an id to the left where the example has it, or one of a set. Beside the predictions there is what dropout left
    out, which is nothing, and with GradientTreesPredictionVerbose the number of each tree's leaf.
    """
    is_verbose = node.op.endswith("Verbose")
    ensemble = _ensemble(node, scope)
    if isinstance(ensemble, str):
        return unsound(node, scope, ensemble)
    from migrate.graph.tree_protos import LearnerConfig  # Few models have trees.

    try:
        config = LearnerConfig.FromString(attribute(node, "learner_config").s)
    except DecodeError:
        return unsound(node, scope, "its learner_config cannot be parsed")
    wrong = _wrong(node, scope, ensemble, config)
    if wrong:
        return unsound(node, scope, wrong)
    included = _included(ensemble, config)
    features, width = _features(node), config.num_classes - attribute(node, "reduce_dim").b
    found = read_trees([ensemble.trees[each] for each in included], features, width)
    if isinstance(found, str):
        return unsound(node, scope, found)
    b = Builder(scope, node)
    given = FeatureTable(b, features, 2)
    beside = given.beside
    if found.trees:
        ends = leaves(b, found.trees, found.depth, given.count, beside, given.tests(found.nodes))
        flat = [number for logits in found.nodes.values for number in logits]
        values = table(b, "values", flat, FLOAT, beside, len(found.nodes.values), width)
        first, second = b.constant("first_axis", 0, beside), b.constant("second_axis", 1, beside)
        logits = looked_up(b, "leaves", values, ends, first, FLOAT)
        weights = _weights(b, node, ensemble, config, included, beside)
        sums = b.Cumsum(b.Mul(weights, logits, name="weighted", T=FLOAT), second, name="sums", T=FLOAT, Tidx=INT32)
        last = b.constant("last_tree", len(included) - 1, beside)
        predictions = looked_up(b, "predictions", sums, last, second, FLOAT)
    else:
        predictions = _filled(b, "predictions", given.count, width, 0.0, beside)
    outputs = [predictions, table(b, "dropped", [], FLOAT, beside, 2, 0)]
    if is_verbose and found.trees:
        numbers = table(b, "numbers", found.nodes.numbers, INT32, beside)
        outputs.append(looked_up(b, "leaf_index", numbers, ends, first, INT32))
    elif is_verbose:
        outputs.append(_filled(b, "leaf_index", given.count, 0, 0, beside))
    return b.edit(_identities(node, outputs, [FLOAT, FLOAT, INT32]))


def _partition(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The number of the leaf in the last tree, where that is not finished; else zero."""
    ensemble = _ensemble(node, scope)
    if isinstance(ensemble, str):
        return unsound(node, scope, ensemble)
    if ensemble.trees and not ensemble.tree_metadata:
        return unsound(node, scope, "nothing says whether its last tree is finished")
    features = _features(node)
    if not _fits(node, 1):
        return unsound(node, scope, "it has no features, or other ones than its attributes say")
    last = [] if not ensemble.trees or ensemble.tree_metadata[-1].is_finalized else [ensemble.trees[-1]]
    trees = [tree for tree in last if tree.nodes]
    found = read_trees(trees, features, 0)
    if isinstance(found, str):
        return unsound(node, scope, found)
    b = Builder(scope, node)
    given = FeatureTable(b, features, 1)
    beside = given.beside
    result = NodeDef(name=node.name, op="Fill")
    if not trees:
        result.input.extend([given.count, b.constant("root", 0, beside)])
        result.attr["T"].type = result.attr["index_type"].type = INT32
    else:
        ends = leaves(b, found.trees, found.depth, given.count, beside, given.tests(found.nodes))
        squeezed = b.node("Squeeze", [ends], "ends", T=INT32)
        b.nodes[-1].attr["squeeze_dims"].list.i.append(1)
        result.op = "GatherV2"
        result.input.extend([table(b, "numbers", found.nodes.numbers, INT32, beside), squeezed])
        result.input.append(b.constant("first_axis", 0, beside))
        for name in ("Tparams", "Tindices", "Taxis"):
            result.attr[name].type = INT32
    result.input.extend(name for name in node.input if name.startswith("^"))
    return b.edit(result)


def _stats(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The numbers of trees and layers: finished, being grown, and tried (kernels/training_ops.cc).

    The kernel ends the process where the token is not the resource's.
    """
    ensemble = _ensemble(node, scope)
    if isinstance(ensemble, str):
        return unsound(node, scope, ensemble)
    metadata = ensemble.tree_metadata
    if ensemble.trees and not metadata:
        return unsound(node, scope, "nothing says whether its last tree is finished")
    trees = len(ensemble.trees)
    b = Builder(scope, node)
    found = {
        "num_trees": trees if not trees or metadata[-1].is_finalized else trees - 1,
        "num_layers": sum(each.num_layers_grown for each in metadata),
        "active_tree": trees,
        "active_layer": metadata[-1].num_layers_grown if metadata else 0,
        "attempted_trees": ensemble.growing_metadata.num_trees_attempted,
        "attempted_layers": ensemble.growing_metadata.num_layers_attempted,
    }
    beside = producer(b.value(1))
    names = [b.constant(name, value, beside, dtype=INT64) for name, value in found.items()]
    return b.edit(_identities(node, names, [INT64] * len(names)))


def _ensemble(node: NodeDef, scope: Scope) -> Any:
    """The DecisionTreeEnsembleConfig that a node reads, or why it is not known."""
    content = serialized(scope, data_inputs(node)[0])
    if content is None:
        return "its trees are not known when the model is planned"
    from migrate.graph.tree_protos import DecisionTreeEnsembleConfig

    try:
        return DecisionTreeEnsembleConfig.FromString(content)
    except DecodeError:
        return "its trees cannot be parsed"


def _features(node: NodeDef) -> Features:
    return Features(
        *(attribute(node, f"num_{kind}_features").i for kind in ("dense_float", "sparse_float", "sparse_int"))
    )


def _fits(node: NodeDef, first: int) -> bool:
    """Whether the inputs from a position on are as many features as the attributes say, and some."""
    features = _features(node)
    count = features.dense + 3 * (features.floats + features.ids)
    return min(features.dense, features.floats, features.ids) >= 0 and first + count == len(data_inputs(node)) > first


def _wrong(node: NodeDef, scope: Scope, ensemble: Any, config: Any) -> str:
    """Why it is not known what a node gives; nothing where it is."""
    run, metadata = scope.aliases.run, ensemble.tree_metadata
    trees, weights = len(ensemble.trees), ensemble.tree_weights
    if not _fits(node, 2) or config.num_classes < 2:
        return "it has no features, other ones than its attributes say, or fewer than two classes"
    if attribute(node, "apply_dropout").b and config.learning_rate_tuner.WhichOneof("tuner") == "dropout":
        return "it leaves trees out at random, as in training"
    if len(weights) < trees or not all(map(math.isfinite, weights)):
        return "a tree has no weight, or one that is no finite number"
    if config.growing_mode == _WHOLE_TREE and metadata:
        if len(metadata) < trees:
            return "nothing says whether a tree is finished"
        if trees and attribute(node, "center_bias").b and not metadata[0].is_finalized:
            return "its bias is not finished, which versions of TensorFlow 1 take in different ways"
    averaging = config.averaging_config
    if attribute(node, "apply_averaging").b and not _is_mean(averaging):
        return "it averages no trees, or more than all"
    third = f"{node.name}:2"
    if node.op.endswith("Verbose"):
        return "" if len(_included(ensemble, config)) == trees else "nothing writes the leaves of unfinished trees"
    return "it has two outputs" if third in run.fetches or third in run.graph.consumers else ""


def _is_mean(averaging: Any) -> bool:
    """Whether the kernel takes this for an AveragingConfig."""
    kind = averaging.WhichOneof("config")
    if kind == "average_last_n_trees":
        return bool(averaging.average_last_n_trees > 0)
    return kind is None or bool(0 < averaging.average_last_percent_trees <= 1)


def _included(ensemble: Any, config: Any) -> Sequence[int]:
    """The trees that are added up (CalculateTreesToInclude)."""
    metadata = ensemble.tree_metadata
    every = range(len(ensemble.trees))
    if config.growing_mode != _WHOLE_TREE or not metadata:
        return every
    return [number for number in every if metadata[number].is_finalized]


def _weights(b: Builder, node: NodeDef, ensemble: Any, config: Any, included: Sequence[int], beside: str) -> str:
    """The weights of the trees, as a column: with averaging those of the mean of the last ensembles."""
    weights = [ensemble.tree_weights[each] for each in included]
    made = table(b, "weights", weights, FLOAT, beside, len(weights), 1)
    kind = config.averaging_config.WhichOneof("config")
    if kind is None or not attribute(node, "apply_averaging").b:
        return made
    count = len(ensemble.trees)
    start = _start(count, kind, getattr(config.averaging_config, kind))
    parts = [count - each if each >= start else 1 for each in included]
    wholes = [count - start if each >= start else 1 for each in included]
    part, whole = (
        table(b, name, values, FLOAT, beside, len(values), 1) for name, values in (("parts", parts), ("wholes", wholes))
    )
    return b.RealDiv(b.Mul(made, part, name="shares", T=FLOAT), whole, name="means", T=FLOAT)


def _start(count: int, kind: str, share: float) -> int:
    """The first tree that is in some of the averaged ensembles and not in all."""
    if kind == "average_last_percent_trees":
        return int(max(0.0, count * (1.0 - share)))
    (rest,) = struct.unpack("<f", struct.pack("<f", count - share))  # The kernel has it in single precision.
    return int(max(0.0, rest))


def _filled(b: Builder, name: str, rows: str, width: int, value: float, beside: str) -> str:
    """A matrix of one number."""
    sizes = [rows, b.constant(f"{name}_width", [width], beside), b.constant(f"{name}_axis", 0, beside)]
    shape = b.node("ConcatV2", sizes, f"{name}_shape", {"N": 2}, T=INT32, Tidx=INT32)
    dtype = FLOAT if isinstance(value, float) else INT32
    return b.Fill(shape, b.constant(f"{name}_value", value, beside), name=name, T=dtype, index_type=INT32)


def _identities(node: NodeDef, outputs: Sequence[str], dtypes: Sequence[int]) -> NodeDef:
    """The node that has the name of the one that is replaced."""
    result = NodeDef(name=node.name, op="IdentityN", input=outputs)
    result.input.extend(name for name in node.input if name.startswith("^"))
    result.attr["T"].list.type.extend(dtypes[: len(outputs)])
    return result


ADDITIVE_TREES = Rule(
    "additive_trees",
    {
        "GradientTreesPrediction": Op(fewest=3),
        "GradientTreesPredictionVerbose": Op(fewest=3),
    },
    _predictions,
)
PARTITION = Rule("partition", {"GradientTreesPartitionExamples": Op(fewest=2)}, _partition)
TREE_STATS = Rule("tree_stats", {"TreeEnsembleStats": Op(fewest=2)}, _stats)
