"""The honest naive way: a v1 Session reads every weight, tf.Variables take them, tf.saved_model.save writes them."""

from __future__ import annotations

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

v1 = tf.compat.v1

if __name__ == "__main__":
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], sys.argv[1])
        values = session.run({v.op.name: v for v in v1.global_variables()})
    module = tf.Module()
    module.all = [tf.Variable(value, name=name) for name, value in values.items()]
    tf.saved_model.save(module, sys.argv[2])
