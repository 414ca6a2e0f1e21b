"""Canned estimators of trees in dead_ops/, and what TensorFlow 1.15's own kernels answer; see make_dead_ops.py.

venv-tf115/bin/python testdata/make_trees.py                 # all
venv-tf115/bin/python testdata/make_trees.py boosted_by_hand # one
"""

from __future__ import annotations

import shutil
import sys
import tempfile

import make_dead_ops as dead_ops
import numpy as np
import tensorflow as tf
from tensorflow.contrib.tensor_forest.client import random_forest
from tensorflow.contrib.tensor_forest.python import tensor_forest
from tensorflow.core.kernels.boosted_trees import boosted_trees_pb2
from tensorflow.python.ops import boosted_trees_ops

v1 = tf.compat.v1
_ROWS = 60


def _features(rows, seed=0):
    random = np.random.RandomState(seed)
    return {
        "age": random.uniform(0, 90, [rows, 1]).astype(np.float32),
        "size": random.normal(size=[rows, 2]).astype(np.float32),
        "color": random.choice([b"red", b"green", b"blue"], [rows, 1]),
    }


def _labels(features):
    color = features["color"] == b"red"
    return (features["age"] > 40) ^ color | (features["size"][:, :1] > 1)


def _columns():
    column = tf.feature_column
    return [
        column.numeric_column("age"),
        column.numeric_column("size", shape=[2]),
        column.bucketized_column(column.numeric_column("age"), [20.0, 40.0, 60.0]),
        column.indicator_column(column.categorical_column_with_vocabulary_list("color", ["red", "green", "blue"])),
    ]


def _receiver(names):
    every = {
        "age": v1.placeholder(tf.float32, [None, 1], "age"),
        "size": v1.placeholder(tf.float32, [None, 2], "size"),
        "color": v1.placeholder(tf.string, [None, 1], "color"),
    }
    given = {name: every[name] for name in names}
    return tf.estimator.export.ServingInputReceiver(given, given)


def _trained(estimator, labels):
    features = _features(_ROWS)
    estimator.train(lambda: tf.data.Dataset.from_tensors((features, labels(features))).repeat(), max_steps=100)
    return estimator


def boosted_classifier(folder):
    """BoostedTreesClassifier over numbers, buckets and indicators, pruned, with its bias."""
    return _trained(
        tf.estimator.BoostedTreesClassifier(
            _columns(), 1, folder, n_trees=12, max_depth=4, center_bias=True, pruning_mode="post", tree_complexity=0.01
        ),
        _labels,
    )


def boosted_regressor(folder):
    """BoostedTreesRegressor over numbers alone."""
    return _trained(
        tf.estimator.BoostedTreesRegressor(_columns()[:3], 1, folder, n_trees=7, max_depth=3, learning_rate=0.3),
        lambda features: np.float32(_labels(features)) * 3 + features["size"][:, 1:],
    )


def _forest(folder, regression):
    params = tensor_forest.ForestHParams(
        num_classes=1 if regression else 3,
        num_features=3,
        num_trees=4,
        max_nodes=60,
        regression=regression,
        split_after_samples=5,
        min_split_samples=2,
        split_finish_name="basic",
    ).fill()
    estimator = random_forest.CoreTensorForestEstimator(
        params, model_dir=folder, head=None if not regression else tf.estimator.RegressionHead()
    )
    features = _features(_ROWS)
    features.pop("color")
    labels = features["size"][:, :1] * 3 + (features["age"] > 40)
    labels = labels.astype(np.float32) if regression else np.int32(np.clip(labels, 0, 2))
    data = {name: np.tile(rows, [20, 1]) for name, rows in features.items()}
    estimator.train(
        v1.estimator.inputs.numpy_input_fn(data, np.tile(labels, [20, 1])[:, 0], 32, 10, shuffle=False), max_steps=200
    )
    return estimator


def forest_classifier(folder):
    """Random forest of tf.contrib, three classes."""
    return _forest(folder, False)


def forest_regressor(folder):
    """Random forest of tf.contrib, of numbers."""
    return _forest(folder, True)


def _calls(names):
    edges = {
        "age": [[np.nan], [np.inf], [-np.inf], [0.0], [-0.0], [20.0], [40.0], [60.0], [1e-40]],
        "size": [[np.nan, 0], [0, np.nan], [np.inf, -np.inf]] * 3,
        "color": [[b"red"], [b""], [b"violet"]] * 3,
    }
    dtypes = {"age": np.float32, "size": np.float32, "color": object}
    none = {name: np.zeros([0, len(rows[0])]) for name, rows in edges.items()}
    given = (_features(200, 1), _features(1, 2), edges, none)
    return [{name: np.array(call[name]).astype(dtypes[name]) for name in names} for call in given]


def _estimator(maker, names, directory):
    """Exports a trained estimator whose input is some of the features."""
    with tempfile.TemporaryDirectory() as folder:
        exported = maker(folder + "/checkpoints").export_saved_model(folder + "/export", lambda: _receiver(names))
        shutil.copytree(exported.decode(), str(directory))
    return _calls(names)


def _saved(inputs, outputs, creates, directory):
    with v1.Session() as session:
        session.run([*creates, v1.global_variables_initializer()])
        v1.saved_model.simple_save(session, str(directory), inputs, outputs)


def _split(tree, kind, left, right, **attributes):
    node = getattr(tree.nodes.add(), kind)
    for name, value in dict(attributes, left_id=left, right_id=right).items():
        setattr(node, name, value)


def boosted_by_hand(directory):
    """BoostedTreesPredict of leaves that are vectors, of splits that are categorical, of one tree, and of none."""
    some, one, none = (boosted_trees_pb2.TreeEnsemble() for _ in range(3))
    for weight in (0.1, 1e-3, 7.0, -0.3, 1.0):
        tree = some.trees.add()
        some.tree_weights.append(weight)
        _split(tree, "bucketized_split", 2, 1, feature_id=2, threshold=1)
        _split(tree, "categorical_split", 3, 4, feature_id=0, value=-1)
        tree.nodes.add().leaf.vector.value.extend([1e-8, -0.0, 3e38])
        _split(tree, "bucketized_split", 5, 6, feature_id=0, threshold=-3)
        tree.nodes.add().leaf.vector.value.extend([0.1, 1e-45, -3e38])
        tree.nodes.add().leaf.vector.value.extend([1e8, 1e-38, np.inf])
        tree.nodes.add().leaf.vector.value.extend([-1e8, 2.0 / 3, np.nan])
    some.trees.add().nodes.add().leaf.vector.value.extend([-0.0, -0.0, 1.0])
    some.tree_weights.append(1.0)
    one.trees.add().nodes.add().leaf.scalar = -0.0
    one.tree_weights.append(2.0)
    names = ("a", "b", "c")
    with tf.Graph().as_default():
        inputs = {name: v1.placeholder(tf.int32, [None], name) for name in names}
        outputs, creates = {}, []
        for name, ensemble, width in (("some", some, 3), ("one", one, 1), ("none", none, 2)):
            made = boosted_trees_ops.TreeEnsemble(name, serialized_proto=ensemble.SerializeToString())
            creates.append(made.initializer)
            outputs["of_" + name] = boosted_trees_ops.predict(made.resource_handle, [inputs[n] for n in names], width)
        _saved(inputs, outputs, creates, directory)
    random = np.random.RandomState(3)
    calls = [{name: random.randint(-4, 4, [rows]).astype(np.int32) for name in names} for rows in (300, 1, 0)]
    calls.append({name: np.int32([-(2**31), 2**31 - 1, 0, -1, 1, -3, -2]) for name in names})
    return calls


MAKERS = {
    "boosted_classifier": lambda directory: _estimator(boosted_classifier, ("age", "size", "color"), directory),
    "boosted_regressor": lambda directory: _estimator(boosted_regressor, ("age", "size"), directory),
    "boosted_by_hand": boosted_by_hand,
    "forest_classifier": lambda directory: _estimator(forest_classifier, ("age", "size"), directory),
    "forest_regressor": lambda directory: _estimator(forest_regressor, ("age", "size"), directory),
}


def _make(name):
    directory = dead_ops.MODELS / name
    shutil.rmtree(str(directory), ignore_errors=True)
    dead_ops.answer(directory, MAKERS[name](directory))


if __name__ == "__main__":
    for each in MAKERS:
        if not sys.argv[1:] or each in sys.argv[1:]:
            _make(each)
