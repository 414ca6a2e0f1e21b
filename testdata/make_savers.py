"""Checkpoints whose keys are not the variables' names, that cover some variables, or lie in shards."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from common import fill, main, save, session, set_value, signature, v1, variable


def renaming_saver(directory):
    """A Saver that renames: key `b` holds variable `a`, `a` holds `b`, `old/scope/c` holds `c`."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    a = variable("a", [3])
    b = variable("b", [3])
    c = variable("c", [])
    y = tf.add(x * a + b, c, name="y")
    with session() as sess:
        fill(sess)
        saver = v1.train.Saver({"b": a, "a": b, "old/scope/c": c})
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})}, saver=saver)


def moving_average(directory):
    """Saver(ema.variables_to_restore()): the key `w/ExponentialMovingAverage` fills the variable `w`."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w = variable("w", [3, 1])
    y = tf.matmul(x, w, name="y")
    average = tf.train.ExponentialMovingAverage(0.9)
    with session() as sess:
        fill(sess)
        saver = v1.train.Saver(average.variables_to_restore())
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})}, saver=saver)


def subset_saver(directory):
    """The Saver covers `w`; `main_op` initialises the local variable `scale`, and a signature writes it."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w = variable("w", [3])
    scale = v1.get_variable(
        "scale",
        initializer=tf.constant([2.0, 3.0, 4.0]),
        collections=[v1.GraphKeys.LOCAL_VARIABLES],
        trainable=False,
        use_resource=False,
    )
    factor = v1.placeholder(tf.float32, [], name="factor")
    rescale = tf.identity(v1.assign(scale, scale * factor), name="rescale")
    init_op = v1.local_variables_initializer()
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"x": x}, {"y": tf.multiply(x * w, scale, name="y")}),
                "rescale": signature({"factor": factor}, {"scale": rescale}),
            },
            saver=v1.train.Saver([w]),
            main_op=init_op,
        )


def _on_two_cpus(directory, clear_devices):
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    with tf.device("/cpu:0"):
        a = variable("a", [3, 3])
        count = variable("count", [], tf.int32, trainable=False)
    with tf.device("/cpu:1"):
        b = variable("b", [3])
        y = tf.multiply(tf.matmul(x, a) + b, tf.cast(count, tf.float32), name="y")
    with session(cpus=2) as sess:
        fill(sess)
        set_value(sess, count, np.int32(3))
        save(
            sess,
            directory,
            {"serving_default": signature({"x": x}, {"y": y})},
            saver=v1.train.Saver(sharded=True),
            clear_devices=clear_devices,
        )


def sharded(directory):
    """Saver(sharded=True) over two devices: two data shards; devices cleared."""
    _on_two_cpus(directory, clear_devices=True)


def pinned(directory):
    """The same, devices kept: some nodes sit on /device:CPU:1 (two CPU devices, or soft placement)."""
    _on_two_cpus(directory, clear_devices=False)


if __name__ == "__main__":
    main(renaming_saver, moving_average, subset_saver, sharded, pinned)
