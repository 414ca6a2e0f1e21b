"""Gradient boosted trees of tf.contrib.boosted_trees in dead_ops/, and what TensorFlow 1.15's own kernels answer.

    python3.6 -m venv venv-tf114
    venv-tf114/bin/pip install -U 'pip<22'
    venv-tf114/bin/pip install tensorflow==1.14.0 'numpy<1.17' 'protobuf<3.20'
    venv-tf114/bin/python testdata/make_additive_trees.py     # trains and writes the models
    venv-tf115/bin/python testdata/make_additive_trees.py     # answers; see make_dead_ops.py

The package of TensorFlow 1.15 has the kernels and no estimators; that of 1.14 is the last one with estimators. With
names as arguments these models alone are made.
"""

import os
import pathlib
import shutil
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import resources

v1 = tf.compat.v1
MODELS = pathlib.Path(__file__).resolve().parent / "dead_ops"
_ROWS = 80


def _features(rows, seed):
    """Numbers of which some are missing (NaN), two dense ones in one matrix, and words."""
    random = np.random.RandomState(seed)
    weight = random.normal(size=[rows, 1]).astype(np.float32)
    weight[random.uniform(size=[rows, 1]) < 0.4] = np.nan
    return {
        "age": random.uniform(0, 90, [rows, 1]).astype(np.float32),
        "size": random.normal(size=[rows, 2]).astype(np.float32),
        "weight": weight,
        "color": random.choice([b"red", b"green", b"blue", b""], [rows, 2], p=[0.3, 0.3, 0.2, 0.2]),
    }


def _labels(given):
    red = (given["color"] == b"red").any(axis=1, keepdims=True)
    heavy = np.nan_to_num(given["weight"]) > 0.3
    return (given["age"] > 40) * 1 + red * 1 + (heavy & (given["size"][:, :1] > 0)) * 1


def _sparse(given):
    """Features as the trees take them: what is missing is in no sparse tensor."""
    weight, color = given["weight"], given["color"]
    present, named = tf.where(~v1.is_nan(weight)), tf.where(tf.not_equal(color, ""))
    return {
        "age": given["age"],
        "size": given["size"],
        "weight": tf.SparseTensor(present, tf.gather_nd(weight, present), tf.shape(weight, out_type=tf.int64)),
        "color": tf.SparseTensor(
            named,
            v1.string_to_hash_bucket_fast(tf.gather_nd(color, named), 50),
            tf.shape(color, out_type=tf.int64),
        ),
    }


def _placeholders():
    return {
        "age": v1.placeholder(tf.float32, [None, 1], "age"),
        "size": v1.placeholder(tf.float32, [None, 2], "size"),
        "weight": v1.placeholder(tf.float32, [None, 1], "weight"),
        "color": v1.placeholder(tf.string, [None, 2], "color"),
    }


def _config(**fields):
    from tensorflow.contrib.boosted_trees.proto import learner_pb2

    config = learner_pb2.LearnerConfig(**fields)
    config.regularization.l2 = 1.0 / _ROWS
    config.constraints.max_tree_depth = 3
    return config


def _input(labels, dense=False):
    def function():
        given = _features(_ROWS, 0)
        made = tf.data.Dataset.from_tensors((given, labels(given))).repeat()
        features, label = v1.data.make_one_shot_iterator(made).get_next()
        features = {name: features[name] for name in features if not dense or name != "weight"}
        made = _sparse(dict(features, weight=tf.constant(given["weight"])))
        return {name: made[name] for name in features}, label

    return function


def _serving():
    from tensorflow.contrib.learn.python.learn.utils import input_fn_utils

    given = _placeholders()
    return input_fn_utils.InputFnOps(_sparse(given), None, given)


def gradient_classifier(folder):
    """Two classes, with a bias, layer by layer; sparse numbers and ids. Its op gives the leaves, too."""
    from tensorflow.contrib.boosted_trees.estimator_batch import estimator

    config = _config()
    config.learning_rate_tuner.fixed.learning_rate = 0.3
    made = estimator.GradientBoostedDecisionTreeClassifier(
        config, _ROWS, num_trees=6, center_bias=True, model_dir=folder, output_leaf_index=True
    )
    made.fit(input_fn=_input(lambda given: (_labels(given) > 1).astype(np.int32)), steps=60)
    return made.export_savedmodel(folder + "/export", _serving)


def gradient_classes(folder):
    """Three classes with a tree for each in turn, whole trees, with dropout and averaging."""
    from tensorflow.contrib.boosted_trees.estimator_batch import estimator
    from tensorflow.contrib.boosted_trees.proto import learner_pb2

    config = _config(
        multi_class_strategy=learner_pb2.LearnerConfig.TREE_PER_CLASS,
        growing_mode=learner_pb2.LearnerConfig.WHOLE_TREE,
    )
    config.learning_rate_tuner.dropout.dropout_probability = 0.3
    config.learning_rate_tuner.dropout.learning_rate = 0.5
    config.averaging_config.average_last_percent_trees = 0.5
    made = estimator.GradientBoostedDecisionTreeClassifier(
        config, _ROWS, n_classes=3, num_trees=7, center_bias=False, model_dir=folder
    )
    made.fit(input_fn=_input(lambda given: np.minimum(_labels(given), 2).astype(np.int32)), steps=40)
    return made.export_savedmodel(folder + "/export", _serving)


def gradient_vectors(folder):
    """Three classes with vectors in the leaves."""
    from tensorflow.contrib.boosted_trees.estimator_batch import estimator
    from tensorflow.contrib.boosted_trees.proto import learner_pb2

    config = _config(multi_class_strategy=learner_pb2.LearnerConfig.DIAGONAL_HESSIAN)
    made = estimator.GradientBoostedDecisionTreeClassifier(
        config, _ROWS, n_classes=3, num_trees=4, center_bias=False, model_dir=folder
    )
    made.fit(input_fn=_input(lambda given: np.minimum(_labels(given), 2).astype(np.int32)), steps=40)
    return made.export_savedmodel(folder + "/export", _serving)


def gradient_regressor(folder):
    """The estimator on tf.estimator, with oblivious trees over dense numbers and ids."""
    from tensorflow.contrib.boosted_trees.estimator_batch import estimator
    from tensorflow.contrib.boosted_trees.proto import learner_pb2

    config = _config(
        num_classes=2,
        weak_learner_type=learner_pb2.LearnerConfig.OBLIVIOUS_DECISION_TREE,
        pruning_mode=learner_pb2.LearnerConfig.PRE_PRUNE,
    )
    config.learning_rate_tuner.fixed.learning_rate = 0.5
    made = estimator.CoreGradientBoostedDecisionTreeEstimator(
        config, _ROWS, tf.contrib.estimator.regression_head(), num_trees=5, center_bias=False, model_dir=folder
    )
    made.train(_input(lambda given: _labels(given).astype(np.float32) + given["size"][:, 1:], dense=True), steps=40)

    def serving():
        given = _placeholders()
        del given["weight"]
        made = _sparse(dict(given, weight=tf.zeros([0, 1])))
        return tf.estimator.export.ServingInputReceiver({name: made[name] for name in given}, given)

    return made.export_saved_model(folder + "/export", serving)


def _calls(names):
    edges = {
        "age": [[np.nan], [np.inf], [-np.inf], [0.0], [-0.0], [1e-40]],
        "size": [[np.nan, 0], [0, np.nan], [np.inf, -np.inf]] * 2,
        "weight": [[np.nan], [np.inf], [-np.inf], [0.0], [1e-40], [3e38]],
        "color": [
            [b"red", b"red"],
            [b"", b""],
            [b"", b"blue"],
            [b"violet", b"green"],
            [b"red", b""],
            [b"blue", b"red"],
        ],
    }
    none = {name: np.zeros([0, len(rows[0])]) for name, rows in edges.items()}
    dtypes = {"color": object}
    calls = []
    for given in (_features(150, 1), _features(1, 2), edges, none):
        calls.append({name: np.array(given[name]).astype(dtypes.get(name, np.float32)) for name in names})
    return calls


def _trees(growing=True):
    """Trees with every kind of split and leaf, of five weights; the last one is not finished."""
    from tensorflow.contrib.boosted_trees.proto import tree_config_pb2

    ensemble = tree_config_pb2.DecisionTreeEnsembleConfig()

    def leaf(tree, **logits):
        found = tree.nodes.add().leaf
        if "index" in logits:
            found.sparse_vector.index.extend(logits["index"])
            found.sparse_vector.value.extend(logits["value"])
        else:
            found.vector.value.extend(logits["value"])

    def split(tree, kind, left=0, right=0, **fields):
        made = getattr(tree.nodes.add(), kind)
        made = made.split if kind.startswith("sparse") else made
        if not kind.startswith("oblivious"):
            made.left_id, made.right_id = left, right
        for name, value in fields.items():
            if name == "feature_ids":
                made.feature_ids.extend(value)
            else:
                setattr(made, name, value)

    def add(weight, finalized=True):
        ensemble.tree_weights.append(weight)
        ensemble.tree_metadata.add(is_finalized=finalized, num_layers_grown=2)
        return ensemble.trees.add()

    tree = add(0.1)
    split(tree, "dense_float_binary_split", 1, 2, feature_column=1, threshold=0.5)
    split(tree, "sparse_float_binary_split_default_left", 3, 4, feature_column=0, threshold=-1.0)
    split(tree, "sparse_float_binary_split_default_right", 5, 6, feature_column=1, threshold=0.25, dimension_id=2)
    leaf(tree, value=[1e-8, -0.0, 3e38])
    leaf(tree, index=[2, 0], value=[0.1, -1e8])
    leaf(tree, value=[-0.25])
    leaf(tree, index=[], value=[])
    tree = add(1e-3)
    split(tree, "categorical_id_binary_split", 1, 2, feature_column=0, feature_id=-7)
    leaf(tree, value=[np.inf, 1e-45, 2.0 / 3])
    split(tree, "categorical_id_set_membership_binary_split", 3, 4, feature_column=1, feature_ids=[-5, 0, 0, 3, 2**62])
    leaf(tree, value=[np.nan, 7, 0.3])
    split(tree, "sparse_float_binary_split_default_left", 5, 6, feature_column=1, threshold=0.0, dimension_id=1)
    leaf(tree, value=[1, 2, 3])
    leaf(tree, value=[4, 5, 6])
    tree = add(-7.0)
    split(tree, "oblivious_dense_float_binary_split", feature_column=0, threshold=0.0)
    split(tree, "oblivious_categorical_id_binary_split", feature_column=1, feature_id=3)
    split(tree, "oblivious_dense_float_binary_split", feature_column=1, threshold=np.inf)
    for number in range(8):
        leaf(tree, value=[number, number / 3.0, -number])
    tree = add(3.0)
    leaf(tree, index=[1], value=[-0.0])
    tree = add(1.0, finalized=not growing)
    split(tree, "dense_float_binary_split", 2, 1, feature_column=0, threshold=-np.inf)
    leaf(tree, value=[0.5, 0.5, 0.5])
    split(tree, "sparse_float_binary_split_default_right", 4, 3, feature_column=0, threshold=np.inf)
    leaf(tree, index=[1], value=[1e-38])
    leaf(tree, index=[0, 1, 2], value=[1, 1e-40, -3e38])
    ensemble.growing_metadata.num_trees_attempted = 9
    ensemble.growing_metadata.num_layers_attempted = 2**33
    return ensemble


def _by_hand():
    """Inputs and outputs: predictions of several ensembles in several ways."""
    from tensorflow.contrib.boosted_trees.proto import learner_pb2, tree_config_pb2
    from tensorflow.contrib.boosted_trees.python.ops import model_ops, prediction_ops, training_ops

    names = ("dense_0", "dense_1")
    dense = [v1.placeholder(tf.float32, None, name) for name in names]
    inputs = {each.op.name: each for each in dense}
    sparse = {}
    for kind, dtype in (("floats", tf.float32), ("ids", tf.int64)):
        for part, of in (("indices", tf.int64), ("values", dtype), ("shape", tf.int64)):
            made = [v1.placeholder(of, None, "_".join([kind, part, str(number)])) for number in range(2)]
            inputs.update((each.op.name, each) for each in made)
            sparse[kind, part] = made
    given = [dense, *(sparse[kind, part] for kind in ("floats", "ids") for part in ("indices", "values", "shape"))]
    whole = learner_pb2.LearnerConfig.WHOLE_TREE
    plain = learner_pb2.LearnerConfig(num_classes=3)
    last_trees = learner_pb2.LearnerConfig(num_classes=3, growing_mode=whole)
    last_trees.averaging_config.average_last_n_trees = 3.0
    share = learner_pb2.LearnerConfig(num_classes=4)
    share.averaging_config.average_last_percent_trees = 0.5
    share.learning_rate_tuner.dropout.dropout_probability = 0.5
    ensembles = {
        "growing": _trees(),
        "finished": _trees(growing=False),
        "none": tree_config_pb2.DecisionTreeEnsembleConfig(),
    }
    outputs = {}
    for name, ensemble in ensembles.items():
        handle = model_ops.tree_ensemble_variable(5, ensemble.SerializeToString(), name)
        ways = {"plain": (plain, False), "last": (last_trees, False), "share": (share, True)}
        for way, (config, reduce_dim) in ways.items():
            options = {
                "learner_config": config.SerializeToString(),
                "apply_dropout": False,
                "apply_averaging": True,
                "center_bias": way == "last",
                "reduce_dim": reduce_dim,
            }
            found = prediction_ops.gradient_trees_prediction(handle, 0, *given, use_locking=True, **options)
            outputs["_".join([name, way])], outputs["_".join([name, way, "dropped"])] = found
            if way == "plain":
                found = prediction_ops.gradient_trees_prediction_verbose(handle, 0, *given, **options)
                outputs[name + "_leaves"] = found.leaf_index
        outputs[name + "_partition"] = prediction_ops.gradient_trees_partition_examples(handle, *given)
        stamp = model_ops.tree_ensemble_stamp_token(handle)
        outputs[name + "_stamp"] = tf.identity(stamp)
        stats = training_ops.tree_ensemble_stats(handle, stamp)._asdict()
        outputs.update(("_".join([name, key]), value) for key, value in stats.items())
    return inputs, outputs


def _table(random, rows, columns, dtype):
    """A sparse tensor with some entries, the first ones of them twice."""
    some = np.argwhere(random.uniform(size=[rows, columns]) < 0.5)
    some = np.concatenate([some, some[:2]])
    some = some[np.argsort(some[:, 0], kind="stable")]
    if dtype == np.float32:
        values = random.choice([-np.inf, -1.0, -0.5, 0.0, 1e-40, 0.25, 0.5, np.inf, np.nan], [len(some)])
    else:
        values = random.choice([-7, -5, 0, 1, 3, 4, 2**62, -(2**62)], [len(some)])
    return {"indices": some.astype(np.int64), "values": values.astype(dtype), "shape": np.int64([rows, columns])}


def _calls_by_hand():
    random = np.random.RandomState(5)

    def call(rows, **changed):
        numbers = [-np.inf, -1.0, -1e-40, -0.0, 0.0, 1e-40, 0.5, 0.75, np.inf, np.nan]
        given = {"dense_" + str(k): random.choice(numbers, [rows, 1]).astype(np.float32) for k in range(2)}
        for kind, dtype in (("floats", np.float32), ("ids", np.int64)):
            for number, columns in ((0, 1), (1, 4)):
                made = _table(random, rows, columns, dtype)
                given.update(("_".join([kind, part, str(number)]), value) for part, value in made.items())
        given.update(changed)
        return given

    nothing = {"floats_indices_0": np.zeros([0, 2], np.int64), "floats_values_0": np.zeros([0], np.float32)}
    outside = {
        "floats_indices_0": np.int64([[-1, 0], [0, 9], [3, 0], [3, 0], [8, 0], [2**40, 0]]),
        "floats_values_0": np.float32([1, -2, -3, 4, 5, 6]),
        "ids_indices_1": np.int64([[-3, 0], [-1, 1], [0, 9], [2, -1], [8, 0], [8, 1]]),
        "ids_values_1": np.int64([3, 3, 3, 0, 3, 3]),
    }
    wide = {"floats_indices_1": np.int64([[0, 2**32 + 2], [1, 2], [1, 1], [2, -1], [2, 1]])}
    wide["floats_values_1"] = np.float32([0.25, np.nan, -1, 0, 7])
    calls = [call(120), call(1), call(0), call(8, **nothing), call(8, **outside), call(8, **wide)]
    # What the kernel refuses: another number of rows, or of columns, and no matrix.
    calls += [
        call(8, dense_1=np.zeros([7, 1], np.float32)),
        call(8, dense_0=np.zeros([8, 2], np.float32)),
        call(8, dense_1=np.zeros([8], np.float32)),
        call(8, floats_shape_0=np.int64([7, 1])),
        call(8, ids_shape_1=np.int64([8, 1, 1])),
        call(8, floats_values_1=np.zeros([3], np.float32)),
        call(8, ids_indices_0=np.zeros([8, 3], np.int64)),
    ]
    return calls


def gradient_by_hand(folder):
    """Every kind of split and of leaf, with missing entries and what is at the thresholds."""
    path = folder + "/export"
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, outputs = _by_hand()
        resources.initialize_resources(resources.shared_resources()).run()
        v1.saved_model.simple_save(session, path, inputs, outputs)
    return path.encode()


_ALL = ("age", "size", "weight", "color")
MAKERS = {
    gradient_classifier: lambda: _calls(_ALL),
    gradient_classes: lambda: _calls(_ALL),
    gradient_vectors: lambda: _calls(_ALL),
    gradient_regressor: lambda: _calls(("age", "size", "color")),
    gradient_by_hand: _calls_by_hand,
}


def _train(maker, directory):
    with tempfile.TemporaryDirectory() as folder:
        exported = maker(folder)
        shutil.copytree(exported.decode(), str(directory))


if __name__ == "__main__":
    tf.compat.v1.logging.set_verbosity("ERROR")
    trains = tf.__version__.startswith("1.14")
    for maker, calls in MAKERS.items():
        if sys.argv[1:] and maker.__name__ not in sys.argv[1:]:
            continue
        directory = MODELS / maker.__name__
        if trains:
            shutil.rmtree(str(directory), ignore_errors=True)
            _train(maker, directory)
        else:
            import make_dead_ops

            make_dead_ops.answer(directory, calls())
