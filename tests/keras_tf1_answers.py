"""Compares converted models of testdata/keras_tf1 with what TF 1.15's own Keras answered: a program for a child.

python keras_tf1_answers.py SOURCES NEW [NAME...]
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import tensorflow as tf
import tf_keras

# Other kernels than TF 1.15's sum in another order; float32 has 1.2e-7.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def _given(golden, kind):
    arrays = [golden[key] for key in sorted(golden) if key.startswith(f"{kind}_")]
    return arrays if len(arrays) > 1 else arrays[0]


def _check_training(golden, path):
    data = _given(golden, "in"), _given(golden, "wanted")
    model = tf_keras.models.load_model(path)
    found = model.evaluate(*data, batch_size=8, verbose=0)
    assert model.metrics_names == list(golden["metrics"]), model.metrics_names
    np.testing.assert_allclose(found, golden["evaluated"], **CLOSE)
    tf.train.Checkpoint(model).restore(f"{path}/variables/variables")
    losses = model.fit(*data, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, golden["losses"], **CLOSE)


def main(sources, new, names):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    for name in names:
        golden = np.load(pathlib.Path(sources) / name / "golden.npz")
        path = str(pathlib.Path(new) / name)
        expected = _given(golden, "out")
        expected = expected if isinstance(expected, list) else [expected]
        given = _given(golden, "in")
        given = given if isinstance(given, list) else [given]
        serve = tf.saved_model.load(path).signatures["serving_default"]
        (_, specs) = serve.structured_input_signature
        arguments = zip(sorted(specs), given, strict=True)  # Each model's inputs are in the order of their names.
        found = serve(**{key: tf.constant(value, specs[key].dtype) for key, value in arguments})
        assert len(found) == len(expected)
        for (key, value), golden_value in zip(sorted(found.items()), expected, strict=True):
            np.testing.assert_allclose(value, golden_value, err_msg=f"{name}: {key}", **CLOSE)
        if "metrics" in golden:
            _check_training(golden, path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
