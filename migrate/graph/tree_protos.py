"""Proto classes of decision trees: TensorFlow 2's wheel has none of them.

Each message has the fields that a prediction looks at, with the names and numbers of the .proto file that it is from; a
parser skips all others. The classes are in a pool of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import message_factory

from migrate.graph.message_pools import Fields, message_pool

_BOOSTED: Mapping[str, Fields] = {
    "TreeEnsemble": ((1, "trees", "Tree", "repeated"), (2, "tree_weights", "float", "repeated")),
    "Tree": ((1, "nodes", "Node", "repeated"),),
    "Node": (
        (1, "leaf", "Leaf", "kind"),
        (2, "bucketized_split", "BucketizedSplit", "kind"),
        (3, "categorical_split", "CategoricalSplit", "kind"),
        (4, "dense_split", "DenseSplit", "kind"),
    ),
    "Leaf": ((1, "vector", "Vector", "kind"), (2, "sparse_vector", "SparseVector", "kind"), (3, "scalar", "float", "")),
    "Vector": ((1, "value", "float", "repeated"),),
    "SparseVector": ((1, "index", "int32", "repeated"), (2, "value", "float", "repeated")),
    "BucketizedSplit": (
        (1, "feature_id", "int32", ""),
        (2, "threshold", "int32", ""),
        (3, "left_id", "int32", ""),
        (4, "right_id", "int32", ""),
        (5, "dimension_id", "int32", ""),
    ),
    "CategoricalSplit": (
        (1, "feature_id", "int32", ""),
        (2, "value", "int32", ""),
        (3, "left_id", "int32", ""),
        (4, "right_id", "int32", ""),
        (5, "dimension_id", "int32", ""),
    ),
    "DenseSplit": ((1, "feature_id", "int32", ""),),
}
"""core/kernels/boosted_trees/boosted_trees.proto."""

_FOREST: Mapping[str, Fields] = {
    "Model": (
        (1, "decision_tree", "DecisionTree", "kind"),
        (2, "ensemble", "Ensemble", "kind"),
        (3, "custom_model", "Any", "kind"),
    ),
    "Ensemble": (),
    "Any": ((1, "type_url", "string", ""),),
    "DecisionTree": ((1, "nodes", "TreeNode", "repeated"),),
    "TreeNode": (
        (1, "node_id", "Int32Value", ""),
        (4, "binary_node", "BinaryNode", "kind"),
        (5, "leaf", "Leaf", "kind"),
        (6, "custom_node_type", "Any", "kind"),
    ),
    "BinaryNode": (
        (1, "left_child_id", "Int32Value", ""),
        (2, "right_child_id", "Int32Value", ""),
        (4, "inequality_left_child_test", "InequalityTest", "kind"),
        (5, "custom_left_child_test", "Any", "kind"),
    ),
    "InequalityTest": (
        (1, "feature_id", "FeatureId", "kind"),
        (2, "type", "int32", ""),
        (3, "threshold", "Value", ""),
        (4, "oblique", "Any", "kind"),
    ),
    "FeatureId": ((1, "id", "StringValue", ""),),
    "Leaf": ((1, "vector", "Vector", "kind"), (2, "sparse_vector", "SparseVector", "kind")),
    "Vector": ((1, "value", "Value", "repeated"),),
    "SparseVector": ((1, "sparse_value", "SparseValueEntry", "repeated"),),
    "SparseValueEntry": ((1, "key", "int64", ""), (2, "value", "Value", "")),
    "Value": (
        (1, "float_value", "float", "kind"),
        (2, "double_value", "double", "kind"),
        (3, "int32_value", "int32", "kind"),
        (4, "int64_value", "int64", "kind"),
        (5, "custom_value", "Any", "kind"),
    ),
    "Int32Value": ((1, "value", "int32", ""),),
    "StringValue": ((1, "value", "string", ""),),
    "TensorForestParams": (
        (1, "leaf_type", "int32", ""),
        (8, "is_regression", "bool", ""),
        (12, "num_outputs", "int32", ""),
        (23, "inference_tree_paths", "bool", ""),
    ),
}
"""contrib/decision_trees/proto/generic_tree_model.proto and contrib/tensor_forest/proto/tensor_forest_params.proto.

A map is entries, of which the last of a key counts; an enum is a number."""

_ADDITIVE: Mapping[str, Fields] = {
    "DecisionTreeEnsembleConfig": (
        (1, "trees", "DecisionTreeConfig", "repeated"),
        (2, "tree_weights", "float", "repeated"),
        (3, "tree_metadata", "DecisionTreeMetadata", "repeated"),
        (4, "growing_metadata", "GrowingMetadata", ""),
    ),
    "DecisionTreeConfig": ((1, "nodes", "TreeNode", "repeated"),),
    "DecisionTreeMetadata": ((2, "num_layers_grown", "int32", ""), (3, "is_finalized", "bool", "")),
    "GrowingMetadata": ((1, "num_trees_attempted", "int64", ""), (2, "num_layers_attempted", "int64", "")),
    "TreeNode": (
        (1, "leaf", "Leaf", "node"),
        (2, "dense_float_binary_split", "FloatSplit", "node"),
        (3, "sparse_float_binary_split_default_left", "SparseFloatSplit", "node"),
        (4, "sparse_float_binary_split_default_right", "SparseFloatSplit", "node"),
        (5, "categorical_id_binary_split", "IdSplit", "node"),
        (6, "categorical_id_set_membership_binary_split", "IdSetSplit", "node"),
        (7, "oblivious_dense_float_binary_split", "FloatSplit", "node"),
        (8, "oblivious_categorical_id_binary_split", "IdSplit", "node"),
    ),
    "Leaf": ((1, "vector", "Vector", "leaf"), (2, "sparse_vector", "SparseVector", "leaf")),
    "Vector": ((1, "value", "float", "repeated"),),
    "SparseVector": ((1, "index", "int32", "repeated"), (2, "value", "float", "repeated")),
    "FloatSplit": (
        (1, "feature_column", "int32", ""),
        (2, "threshold", "float", ""),
        (3, "left_id", "int32", ""),
        (4, "right_id", "int32", ""),
        (5, "dimension_id", "int32", ""),
    ),
    "SparseFloatSplit": ((1, "split", "FloatSplit", ""),),
    "IdSplit": (
        (1, "feature_column", "int32", ""),
        (2, "feature_id", "int64", ""),
        (3, "left_id", "int32", ""),
        (4, "right_id", "int32", ""),
    ),
    "IdSetSplit": (
        (1, "feature_column", "int32", ""),
        (2, "feature_ids", "int64", "repeated"),
        (3, "left_id", "int32", ""),
        (4, "right_id", "int32", ""),
    ),
    "LearnerConfig": (
        (1, "num_classes", "int32", ""),
        (6, "learning_rate_tuner", "LearningRateConfig", ""),
        (9, "growing_mode", "int32", ""),
        (11, "averaging_config", "AveragingConfig", ""),
    ),
    "LearningRateConfig": (
        (1, "fixed", "Nothing", "tuner"),
        (2, "dropout", "Nothing", "tuner"),
        (3, "line_search", "Nothing", "tuner"),
    ),
    "Nothing": (),
    "AveragingConfig": (
        (1, "average_last_n_trees", "float", "config"),
        (2, "average_last_percent_trees", "float", "config"),
    ),
}
"""contrib/boosted_trees/proto/tree_config.proto and learner.proto, as TensorFlow 1.15 has them.

Messages with the same fields, or with some of them, are one message here."""


def _class(pool: Any, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


TreeEnsemble = _class(message_pool("boosted_trees", _BOOSTED), "boosted_trees.TreeEnsemble")
"""The trees of BoostedTreesPredict."""
_FOREST_POOL = message_pool("decision_trees", _FOREST)
DecisionTreeModel = _class(_FOREST_POOL, "decision_trees.Model")
"""The tree of TreePredictionsV4."""
TensorForestParams = _class(_FOREST_POOL, "decision_trees.TensorForestParams")
"""What an attribute of TreePredictionsV4 holds."""
_ADDITIVE_POOL = message_pool("additive_trees", _ADDITIVE)
DecisionTreeEnsembleConfig = _class(_ADDITIVE_POOL, "additive_trees.DecisionTreeEnsembleConfig")
"""The trees of GradientTreesPrediction."""
LearnerConfig = _class(_ADDITIVE_POOL, "additive_trees.LearnerConfig")
"""What an attribute of GradientTreesPrediction holds."""
