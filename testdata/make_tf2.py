"""A model of TF2, which needs no migration."""

from __future__ import annotations

import tensorflow as tf
from common import main


class Affine(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.random.normal([3, 2], seed=1), name="w")
        self.b = tf.Variable(tf.ones([2]), name="b")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.nn.relu(x @ self.w + self.b)}


def tf2(directory):
    """A TF2 SavedModel: tf.Module, `tf.saved_model.save`."""
    module = Affine()
    tf.saved_model.save(module, directory, signatures=module.__call__)


if __name__ == "__main__":
    main(tf2, tf1=False)
