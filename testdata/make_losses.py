"""Models with calls that cost the process that makes them; `make` writes them where a test needs them."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable


def _lstm(directory, guarded):
    x = v1.placeholder(tf.float32, [None, None, 2], name="x")
    length = v1.placeholder(tf.int64, [], name="length")
    state = tf.zeros([tf.shape(x)[1], 3])
    longest = tf.minimum(length, tf.shape(x, tf.int64)[0]) if guarded else length
    w, b, zeros = tf.identity(variable("w", [5, 12])), tf.identity(variable("b", [12])), tf.zeros([3])
    found = tf.raw_ops.BlockLSTM(
        seq_len_max=longest, x=x, cs_prev=state, h_prev=state, w=w, wci=zeros, wcf=zeros, wco=zeros, b=b
    )
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x, "length": length}, {"h": found.h})})


def block_lstm(directory):
    """BlockLSTM, whose kernel ends the process (a CHECK) where `length` is larger than the time of `x`."""
    _lstm(directory, guarded=False)


def guarded_lstm(directory):
    """The same, with lengths that are no larger."""
    _lstm(directory, guarded=True)


def _queues(directory, waiting):
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    y = tf.matmul(x, variable("w", [3, 2]))
    outputs = dict.fromkeys(("queue", "staging_area", "staging_map"), tf.zeros([3]))
    if waiting:
        outputs["queue"] = tf.queue.FIFOQueue(4, [tf.float32], shapes=[[3]]).dequeue()
        (outputs["staging_area"],) = tf.raw_ops.Unstage(dtypes=[tf.float32])
        key = tf.constant(1, tf.int64)
        (outputs["staging_map"],) = tf.raw_ops.MapUnstage(key=key, indices=[0], dtypes=[tf.float32])
    with session() as sess:
        fill(sess)
        sums = {key: tf.ensure_shape(value + tf.reduce_sum(x), [3]) for key, value in outputs.items()}
        others = {key: signature({"x": x}, {"y": value}) for key, value in sums.items()}
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y}), **others})


def blocking(directory):
    """Signatures that wait for an element of an empty queue and of empty staging areas; and one that does not."""
    _queues(directory, waiting=True)


def not_blocking(directory):
    """The same signatures, none of which waits."""
    _queues(directory, waiting=False)


MAKERS = (block_lstm, guarded_lstm, blocking, not_blocking)


def make(directory, *names):
    """Makes some of the models, each in a directory of its name."""
    main(*(maker for maker in MAKERS if not names or maker.__name__ in names), folder=pathlib.Path(directory))
