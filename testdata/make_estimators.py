"""Models exported by tf.estimator, whose last TensorFlow is 2.15."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from common import MODELS, SEED, main, v1, variable
from tensorflow.python.feature_column import feature_column as old_columns

try:
    from tensorflow_estimator.python.estimator.export import export as estimator_export
except ImportError:
    # A status of 0: to skip is no failure.
    print(f"make_estimators.py: skipped, tf.estimator ended with TF 2.15, this is {tf.__version__}")
    raise SystemExit(0) from None

FEATURES = {
    "age": np.array([[20.0], [35.0], [50.0], [65.0]], np.float32),
    "size": np.array([[1.0, 0.5], [0.3, 0.7], [0.1, 0.9], [0.8, 0.2]], np.float32),
    "color": np.array([["red"], ["blue"], ["green"], ["red"]]),
}
CLASSES = np.array([[0], [1], [2], [1]])
VALUES = np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)


def _columns(*names, ref=False):
    """Feature columns; with `ref` those of TF 1.12 and before, whose variables are ref variables."""
    numeric, vocabulary = (
        (old_columns._numeric_column, old_columns._categorical_column_with_vocabulary_list)
        if ref
        else (tf.feature_column.numeric_column, tf.feature_column.categorical_column_with_vocabulary_list)
    )
    columns = {
        "age": numeric("age"),
        "size": numeric("size", shape=(2,)),
        "color": vocabulary("color", ["red", "green", "blue"], num_oov_buckets=1),
    }
    return [columns[name] for name in names]


def _config():
    return tf.estimator.RunConfig(model_dir="checkpoints", tf_random_seed=SEED, log_step_count_steps=None)


def _input_fn(labels, *names):
    # numpy_input_fn runs on queues; a dataset leaves none behind.
    return lambda: tf.data.Dataset.from_tensors(({name: FEATURES[name] for name in names}, labels)).repeat()


def _export(estimator, directory, columns, ref=False):
    spec = old_columns.make_parse_example_spec(columns) if ref else tf.feature_column.make_parse_example_spec(columns)
    receiver = tf.estimator.export.build_parsing_serving_input_receiver_fn(spec)
    _move(estimator.export_saved_model("export", receiver), directory)


def _move(exported, directory):
    MODELS.mkdir(exist_ok=True)
    pathlib.Path(exported.decode()).rename(directory)


def estimator_dnn_classifier(directory):
    """DNNClassifier over numbers: classify and predict signatures parse tf.Example, resource variables."""
    columns = _columns("age", "size")
    estimator = v1.estimator.DNNClassifier([4, 3], columns, n_classes=3, config=_config())
    estimator.train(_input_fn(CLASSES, "age", "size"), steps=3)
    _export(estimator, directory, columns)


def estimator_linear_regressor(directory):
    """LinearRegressor over numbers: regress and predict signatures parse tf.Example, resource variables."""
    columns = _columns("age", "size")
    estimator = v1.estimator.LinearRegressor(columns, config=_config())
    estimator.train(_input_fn(VALUES, "age", "size"), steps=3)
    _export(estimator, directory, columns)


def estimator_vocabulary_column(directory):
    """Binary LinearClassifier, vocabulary-list column (a table), string labels (another), ref variables."""
    columns = _columns("age", "color", ref=True)
    estimator = v1.estimator.LinearClassifier(columns, label_vocabulary=["no", "yes"], config=_config())
    labels = np.array([["no"], ["yes"], ["yes"], ["no"]])
    estimator.train(_input_fn(labels, "age", "color"), steps=3)
    _export(estimator, directory, columns, ref=True)


def _model_fn(features, labels, mode):
    w = v1.get_variable("w", [2, 3], initializer=v1.random_normal_initializer(seed=SEED), use_resource=False)
    b = variable("b", [3])
    logits = tf.matmul(features["size"], w) + b
    probabilities = tf.nn.softmax(logits)
    predictions = {"probabilities": probabilities, "class": tf.argmax(logits, 1)}
    outputs = {
        "serving_default": tf.estimator.export.ClassificationOutput(
            scores=probabilities,
            classes=tf.tile(tf.constant([["a", "b", "c"]]), [tf.shape(logits)[0], 1]),
        ),
        "value": tf.estimator.export.RegressionOutput(logits[:, 0]),
        "all": tf.estimator.export.PredictOutput(predictions),
    }
    loss = train_op = metrics = None
    if mode != tf.estimator.ModeKeys.PREDICT:
        loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
        metrics = {"accuracy": v1.metrics.accuracy(labels, tf.argmax(logits, 1)[:, None])}
    if mode == tf.estimator.ModeKeys.TRAIN:
        optimizer = v1.train.MomentumOptimizer(0.1, 0.9)
        train_op = optimizer.minimize(loss, v1.train.get_global_step())
    return tf.estimator.EstimatorSpec(
        mode,
        predictions,
        loss,
        train_op,
        eval_metric_ops=metrics,
        export_outputs=outputs,
    )


def _custom():
    estimator = tf.estimator.Estimator(_model_fn, config=_config())
    estimator.train(_input_fn(CLASSES, "size"), steps=3)
    return estimator


def estimator_custom(directory):
    """A custom model_fn with ClassificationOutput, RegressionOutput and PredictOutput."""
    _export(_custom(), directory, _columns("size"))


def estimator_all_modes(directory):
    """`experimental_export_all_saved_models`: {train}, {eval}, {serve}, supervised signatures, metrics."""
    modes = tf.estimator.ModeKeys
    spec = tf.feature_column.make_parse_example_spec(_columns("size"))

    def supervised():
        return estimator_export.build_raw_supervised_input_receiver_fn(
            {"size": v1.placeholder(tf.float32, [None, 2], name="size")},
            v1.placeholder(tf.int64, [None, 1], name="label"),
        )()

    receivers = {
        modes.TRAIN: supervised,
        modes.EVAL: supervised,
        modes.PREDICT: tf.estimator.export.build_parsing_serving_input_receiver_fn(spec),
    }
    _move(_custom().experimental_export_all_saved_models("export", receivers), directory)


if __name__ == "__main__":
    main(
        estimator_dnn_classifier,
        estimator_linear_regressor,
        estimator_vocabulary_column,
        estimator_custom,
        estimator_all_modes,
    )
