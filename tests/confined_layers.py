"""A layer of the user's that writes a file and calls somebody whenever it is called; imported by children alone."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import sys

import numpy as np
import tf_keras


class Writer(tf_keras.layers.Layer):
    """Writes where its config says."""

    def __init__(self, path="", port=0, **rest):
        super().__init__(**rest)
        self.path, self.port = path, port

    def get_config(self):
        return {**super().get_config(), "path": self.path, "port": self.port}

    def call(self, inputs):
        with contextlib.suppress(OSError):
            pathlib.Path(self.path).write_text("x")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port))
        return inputs * 2


if __name__ == "__main__":
    given = tf_keras.Input((2,))
    model = tf_keras.Model(given, Writer(path=sys.argv[2], port=int(sys.argv[3]))(given))
    model.compute_output_shape((1, 2))
    assert np.asarray(model(np.ones((1, 2)))).shape == (1, 2)
    tf_keras.models.save_model(model, sys.argv[1], save_format="h5")
    pathlib.Path(sys.argv[2]).unlink()
