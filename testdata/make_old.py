# -*- coding: utf-8 -*-
# ruff: noqa
# fmt: off
"""Small exports of old releases of TensorFlow 1: `python make_old.py MODEL DIRECTORY`, for Python 2.7 and 3.5 to 3.7.

`old/` has what TensorFlow 1.4.1, 1.8.0, 1.12.3 (Python 3.6) and 1.15.5 (Python 3.7) made of `scorer` (1.12.3 also of `buckets`), and beside each the
answers that `migrate/verify/legacy_recorder.py` recorded there. `make_old.sh` makes them all anew.
"""

from __future__ import absolute_import, division, print_function

import os
import sys

import numpy as np
import tensorflow as tf


def signature(inputs, outputs):
    build = tf.saved_model.utils.build_tensor_info
    return tf.saved_model.signature_def_utils.build_signature_def(
        dict((name, build(tensor)) for name, tensor in inputs.items()),
        dict((name, build(tensor)) for name, tensor in outputs.items()),
        "tensorflow/serving/predict",
    )


def save(session, directory, signatures, init_op=None):
    builder = tf.saved_model.builder.SavedModelBuilder(directory)
    builder.add_meta_graph_and_variables(
        session,
        ["serve"],
        signatures,
        assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
        legacy_init_op=init_op,
    )
    builder.save()


def scorer(directory):
    """A vocabulary, an embedding, batch normalization and a layer; one signature parses tf.Examples, one counts."""
    with open("words.txt", "w") as stream:
        stream.write("red\ngreen\nblue\n")
    random = np.random.RandomState(20)
    tokens = tf.placeholder(tf.string, [None], name="tokens")
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    table = tf.contrib.lookup.index_table_from_file("words.txt", num_oov_buckets=1)
    embedding = tf.get_variable("embedding", initializer=random.uniform(-1, 1, [4, 3]).astype(np.float32))
    w = tf.get_variable("w", initializer=random.uniform(-1, 1, [3, 4]).astype(np.float32))
    calls = tf.Variable(7, name="calls", dtype=tf.int64, trainable=False)

    def scores_of(ids, values, reuse):
        hidden = tf.layers.batch_normalization(tf.nn.embedding_lookup(embedding, ids) + values, name="norm", reuse=reuse)
        return tf.nn.softmax(tf.matmul(tf.tanh(hidden), w))

    scores = scores_of(table.lookup(tokens), x, None)
    best = tf.argmax(scores, 1)
    label = tf.gather(tf.constant(["a", "b", "c", "d"]), best)
    serialized = tf.placeholder(tf.string, [None], name="examples")
    parsed = tf.parse_example(
        serialized,
        {"token": tf.FixedLenFeature([], tf.string), "x": tf.FixedLenFeature([3], tf.float32)},
    )
    parsed_scores = scores_of(table.lookup(parsed["token"]), parsed["x"], True)
    count = tf.identity(tf.assign_add(calls, tf.ones([], tf.int64)))
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    with tf.Session(config=config) as session:
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            if "norm" in variable.op.name:
                session.run(variable.assign(random.uniform(0.5, 1.5, variable.get_shape().as_list())))
        save(
            session,
            directory,
            {
                "serving_default": signature({"tokens": tokens, "x": x}, {"scores": scores, "best": best, "label": label}),
                "examples": signature({"examples": serialized}, {"scores": parsed_scores}),
                "count": signature({}, {"calls": count}),
            },
            tf.tables_initializer(),
        )


def resampler(directory):
    """An op of tf.contrib, which no other process knows without its library."""
    from tensorflow.contrib.resampler import resampler as resample

    data = tf.placeholder(tf.float32, [1, 4, 4, 1], name="data")
    warp = tf.placeholder(tf.float32, [1, 2, 2], name="warp")
    with tf.Session() as session:
        save(session, directory, {"serving_default": signature({"data": data, "warp": warp}, {"y": resample(data, warp)})})


def buckets(directory):
    """An op of tf.contrib that TensorFlow 2 has not, and that is searches in sorted vectors there."""
    from tensorflow.contrib.boosted_trees.python.ops import quantile_ops

    x = tf.placeholder(tf.float32, [None], name="x")
    y = quantile_ops.bucketize_with_input_boundaries(x, boundaries=[-1.0, 0.0, 0.5])
    with tf.Session() as session:
        save(session, directory, {"serving_default": signature({"x": x}, {"y": y})})


def frozen(directory):
    """A GraphDef."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    tf.nn.relu(tf.matmul(x, tf.constant([[1.5], [-0.25], [3.0]])), name="y")
    os.makedirs(directory)
    with open(os.path.join(directory, "frozen.pb"), "wb") as stream:
        stream.write(tf.get_default_graph().as_graph_def().SerializeToString())


def checkpoint(directory):
    """A MetaGraphDef with its checkpoint, as tf.train.Saver writes them."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.Variable([[1.5], [-0.25], [3.0]], name="w")
    tf.nn.relu(tf.matmul(x, w), name="y")
    os.makedirs(directory)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, os.path.join(directory, "model.ckpt"))


if __name__ == "__main__":
    made, target = sys.argv[1], os.path.abspath(sys.argv[2])
    import shutil
    import tempfile

    work = tempfile.mkdtemp()
    os.chdir(work)
    tf.set_random_seed(20)
    {"scorer": scorer, "buckets": buckets, "resampler": resampler, "frozen": frozen, "checkpoint": checkpoint}[made](target)
    os.chdir("/")
    shutil.rmtree(work)
