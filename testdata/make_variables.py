"""Ref variables under stress: partitions, control flow, counters, aliasing, training."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from common import fill, main, save, session, set_value, signature, v1, variable


def partitioned(directory):
    """An embedding in three slices (4, 3 and 3 rows), looked up with "div", and a plain ref variable."""
    ids = v1.placeholder(tf.int64, [None], name="ids")
    embedding = v1.get_variable(
        "embedding",
        [10, 4],
        initializer=v1.zeros_initializer(),
        partitioner=v1.fixed_size_partitioner(3),
        use_resource=False,
    )
    plain = variable("plain", [4])
    vectors = v1.nn.embedding_lookup(embedding, ids, partition_strategy="div")
    whole = tf.convert_to_tensor(embedding)
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"ids": ids}, {"y": tf.multiply(vectors, plain, name="y")}),
                "whole": signature({}, {"embedding": whole}),
            },
        )


def while_loop(directory):
    """A v1 while loop that reads one ref variable outside (Enter) and one inside (RefEnter)."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    steps = v1.placeholder(tf.int32, [], name="steps")
    w = variable("w", [2, 2])
    b = variable("b", [2])

    def body(step, state):
        return step + 1, tf.tanh(tf.matmul(state, w) + b.read_value())

    _, y = v1.while_loop(lambda step, _: step < steps, body, [tf.constant(0), x])
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x, "steps": steps}, {"y": y})})


def cond(directory):
    """A v1 cond (Switch, Merge) that reads one of two ref variables, by RefSwitch."""
    first = v1.placeholder(tf.bool, [], name="first")
    a = variable("a", [3])
    b = variable("b", [3])
    y = v1.cond(first, a.read_value, lambda: b.read_value() * 2.0)
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"first": first}, {"y": y})})


def counter(directory):
    """Signatures that write: `incr` and `reset` give the ref of the write, `incr_by` a copy; `get` reads."""
    count = variable("count", [], tf.int64, trainable=False)
    by = v1.placeholder(tf.int64, [], name="by")
    one = tf.constant(1, tf.int64)
    signatures = {
        "incr": signature({}, {"count": v1.assign_add(count, one, name="incr")}),
        "incr_by": signature({"by": by}, {"count": tf.identity(v1.assign_add(count, by), name="incr_by")}),
        "get": signature({}, {"count": tf.identity(count, name="get")}),
        "reset": signature({}, {"count": v1.assign(count, tf.constant(0, tf.int64), name="reset")}),
    }
    with session() as sess:
        fill(sess)
        set_value(sess, count, 5)
        save(sess, directory, signatures)


def cond_counter(directory):
    """A signature that assigns to a ref variable inside one branch of a v1 cond."""
    count = variable("count", [], tf.int64, trainable=False)
    really = v1.placeholder(tf.bool, [], name="really")
    one = tf.constant(1, tf.int64)
    result = v1.cond(really, lambda: tf.identity(v1.assign_add(count, one)), lambda: tf.identity(count) * 100)
    with session() as sess:
        fill(sess)
        set_value(sess, count, 5)
        get = tf.identity(count, name="get")
        save(
            sess,
            directory,
            {
                "maybe_incr": signature({"really": really}, {"y": result}),
                "get": signature({}, {"count": get}),
            },
        )


def loop_counter(directory):
    """A signature that assigns to a ref variable inside the body of a v1 while loop."""
    count = variable("count", [], tf.int64, trainable=False)
    steps = v1.placeholder(tf.int64, [], name="steps")

    def body(step, total):
        return step + 1, total + v1.assign_add(count, step)

    zero = tf.constant(0, tf.int64)
    _, total = v1.while_loop(lambda step, _: step < steps, body, [zero, zero], parallel_iterations=1)
    with session() as sess:
        fill(sess)
        set_value(sess, count, 5)
        get = tf.identity(count, name="get")
        save(
            sess,
            directory,
            {"loop": signature({"steps": steps}, {"total": total}), "get": signature({}, {"count": get})},
        )


def alias(directory):
    """r = identity(v); w = assign_add(v, x) after r; y = 2 * r after w: in TF1 y sees the new value."""
    x = v1.placeholder(tf.float32, [2], name="x")
    v = variable("v", [2])
    r = tf.identity(v.read_value(), name="r")
    with tf.control_dependencies([r]):
        w = v1.assign_add(v, x, name="w")
    with tf.control_dependencies([w]):
        y = tf.multiply(2.0, r, name="y")
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"x": x}, {"y": y, "r": r, "w": w}),
                "y_only": signature({"x": x}, {"y": y}),
            },
        )


def _training(directory, optimizer):
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    y = v1.placeholder(tf.float32, [None, 1], name="y")
    w = variable("w", [2, 1])
    b = variable("b", [1])
    prediction = tf.add(tf.matmul(x, w), b, name="prediction")
    loss = tf.reduce_mean(tf.square(prediction - y))
    step = v1.train.get_or_create_global_step()
    with tf.control_dependencies([optimizer.minimize(loss, global_step=step)]):
        loss = tf.identity(loss, name="loss")
    with session() as sess:
        fill(sess)
        # A step makes the optimizer's slots differ from their initial values.
        sess.run(loss, {x: np.array([[1, 2], [3, 4]], np.float32), y: np.array([[1], [0]], np.float32)})
        save(
            sess,
            directory,
            {
                "train": signature({"x": x, "y": y}, {"loss": loss}),
                "predict": signature({"x": x}, {"prediction": prediction}),
            },
        )


def training(directory):
    """A signature that takes a GradientDescentOptimizer step and gives the loss, and one that predicts."""
    _training(directory, v1.train.GradientDescentOptimizer(0.1))


def training_adam(directory):
    """The same with AdamOptimizer: slots, beta powers, a global step."""
    _training(directory, v1.train.AdamOptimizer(0.1))


def uninitialized(directory):
    """A variable that no checkpoint holds: `remember` assigns it, `recall` fails until then."""
    x = v1.placeholder(tf.float32, [2], name="x")
    w = variable("w", [2])
    memory = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, name="memory")
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"x": x}, {"y": x * w.read_value()}),
                "remember": signature({"x": x}, {"y": tf.raw_ops.Assign(ref=memory, value=x) + 0.0}),
                "recall": signature({"x": x}, {"y": tf.identity(memory) * x}),
            },
        )


if __name__ == "__main__":
    main(
        partitioned,
        while_loop,
        cond,
        counter,
        cond_counter,
        loop_counter,
        alias,
        training,
        training_adam,
        uninitialized,
    )
