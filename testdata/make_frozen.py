"""Models whose weights were frozen into constants."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from common import SEED, main, save, session, signature, v1, variable


def _batch_norm(x, name, fused):
    size = x.shape[-1]
    gamma, beta = variable(f"{name}/gamma", [size]), variable(f"{name}/beta", [size])
    mean = variable(f"{name}/moving_mean", [size], trainable=False)
    variance = variable(f"{name}/moving_variance", [size], trainable=False)
    if fused:
        return v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, is_training=False, name=f"{name}/fused")[0]
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3, name=f"{name}/batchnorm")


def constant_weights(directory):
    """A frozen graph: convolutions, both batch normalisations, biases, an embedding; a loop with a weight inside."""
    image = v1.placeholder(tf.float32, [None, 6, 6, 3], name="image")
    ids = v1.placeholder(tf.int64, [None, 2], name="ids")
    x = tf.nn.conv2d(image, variable("conv/kernel", [3, 3, 3, 4]), 1, "SAME", name="conv/product")
    x = tf.nn.relu(tf.nn.bias_add(x, variable("conv/bias", [4]), name="conv/sum"))
    x = _batch_norm(x, "fused", True)
    x = tf.nn.depthwise_conv2d(x, variable("depthwise/kernel", [3, 3, 4, 1]), [1, 1, 1, 1], "VALID")
    x = tf.reduce_mean(x, [1, 2], name="pooled")
    embedded = tf.reduce_mean(tf.gather(variable("embedding", [5, 4]), ids), 1)
    x = tf.concat([_batch_norm(x, "plain", False), embedded], 1)
    scores = tf.add(tf.matmul(x, variable("dense/kernel", [8, 3])), variable("dense/bias", [3]), name="scores")
    features = v1.placeholder(tf.float32, [None, 4], name="features")
    inside = variable("inside", [4, 4])
    state = v1.while_loop(lambda n, _: n < 3, lambda n, s: (n + 1, tf.tanh(tf.matmul(s, inside))), (0, features))[1]
    looped = tf.identity(state, name="looped")
    random = np.random.RandomState(SEED)
    with session() as sess:
        for v in v1.global_variables():
            low = 0.5 if "variance" in v.name else -1
            value = random.uniform(low, 1, v.shape.as_list()).astype(np.float32)
            sess.run(v.initializer, {v.initializer.inputs[1]: value})
        frozen = v1.graph_util.convert_variables_to_constants(sess, sess.graph_def, [scores.op.name, looped.op.name])
    with tf.Graph().as_default() as graph, session() as sess:
        tf.import_graph_def(frozen, name="")

        def found(name):
            return graph.get_tensor_by_name(name + ":0")

        signatures = {
            "serving_default": signature({"image": found("image"), "ids": found("ids")}, {"scores": found("scores")}),
            "loop": signature({"features": found("features")}, {"state": found("looped")}),
        }
        save(sess, directory, signatures)


if __name__ == "__main__":
    main(constant_weights)
