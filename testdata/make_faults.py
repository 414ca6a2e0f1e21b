"""Models that harm the process that runs them, in faults/: each is convertible, and each call ends badly."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable

FAULTS = pathlib.Path(__file__).resolve().parent / "faults"


def abort(directory):
    """An op that aborts the process from inside TensorFlow."""
    x = v1.placeholder(tf.float32, [None], name="x")
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="aborted on purpose")]):
        y = x * variable("w", [])
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def endless_loop(directory):
    """A while loop that never ends."""
    x = v1.placeholder(tf.float32, [None], name="x")
    w = variable("w", [])
    v1.disable_control_flow_v2()
    y = v1.while_loop(lambda y: tf.reduce_all(tf.equal(y, y)), lambda y: y * w, [x])
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def memory(directory):
    """A call that takes eight gigabytes, a bit at a time."""
    x = v1.placeholder(tf.float32, [None], name="x")
    w = variable("w", [])
    grown = tf.zeros([1]) + w
    for _ in range(31):
        grown = tf.concat([grown, grown], 0)
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": x + tf.reduce_max(grown)})})


if __name__ == "__main__":
    main(abort, endless_loop, memory, folder=FAULTS)
