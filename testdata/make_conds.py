"""Conds whose predicate no signature feeds: `is_training`, and a probability for dropout."""

from __future__ import annotations

import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable


def _normalized(x, is_training):
    """Subtracts the batch's mean while training, which moves the stored one; else the stored mean."""
    mean = variable("mean", [3], trainable=False)

    def batch_mean():
        found = tf.reduce_mean(x, 0)
        with tf.control_dependencies([v1.assign(mean, mean * 0.9 + found * 0.1)]):
            return tf.identity(found)

    return x - tf.cond(is_training, batch_mean, lambda: tf.identity(mean))


def unfed_training(directory):
    """No signature feeds `is_training` (a bool for conds) and `keep_prob` (for dropout): every call fails."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    is_training = v1.placeholder(tf.bool, [], name="is_training")
    keep_prob = v1.placeholder(tf.float32, name="keep_prob")
    hidden = _normalized(x, is_training) * variable("w", [3])
    y = tf.identity(v1.nn.dropout(hidden, keep_prob=keep_prob), name="y")
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def folded_conds(directory):
    """Conds on a placeholder with a default that one signature feeds and the other does not; a loop in a branch."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    is_training = v1.placeholder_with_default(False, [], name="is_training")
    w = variable("w", [3])
    steps = variable("steps", [], trainable=False)

    def looped():
        with tf.control_dependencies([v1.assign_add(steps, 1.0)]):
            return tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a * w), [0, tf.identity(x)])[1]

    z = tf.cond(is_training, looped, lambda: tf.cond(tf.logical_not(is_training), lambda: x * w, lambda: x))
    y = tf.identity(_normalized(z, is_training), name="y")
    with tf.control_dependencies([z]):
        seen = tf.add(steps, 0.0, name="seen")
    signatures = {
        "serving_default": signature({"x": x}, {"y": y}),
        "either": signature({"x": x, "is_training": is_training}, {"y": y, "steps": seen}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


if __name__ == "__main__":
    main(unfed_training, folded_conds)
