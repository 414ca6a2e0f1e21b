"""What Keras itself predicts from the files of testdata/keras, or what the new models answer: a program for a child.

    python keras_answers.py source|new DIRECTORY ANSWERS.pickle

The files are loaded by Keras' own public functions, not by this project's; `Model.predict` answers, with the graph
optimiser off on both sides and one thread to an op, so that the same kernels run in the same order.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testdata"))

import numpy as np
import tensorflow as tf

RANDOM = np.random.RandomState(7)
IDS = RANDOM.randint(0, 7, [5, 3]).astype("int32")
PAIRS = RANDOM.uniform(-2, 2, [5, 2]).astype("float32")
FOURS = RANDOM.uniform(-2, 2, [5, 4]).astype("float32")
STEPS = RANDOM.uniform(-2, 2, [2, 4, 3]).astype("float32")
STEPS[0, 2:] = 0.0  # masked
IMAGES = RANDOM.uniform(-2, 2, [5, 4, 4, 3]).astype("float32")
# By model: its inputs by name, and the names of its outputs in Keras' order.
CALLS = {
    **dict.fromkeys(
        ("functional", "old_adam", "archive_2", "archive_3"), ({"ids": IDS, "x": PAIRS}, ("scores", "value"))
    ),
    "recurrent": ({"masking_input": STEPS}, ("memory",)),
    "recurrent_3": ({"x": STEPS}, ("add",)),
    "dict_3": ({"class": PAIRS, "a/b": PAIRS[::-1]}, ("dense", "sum")),
    "tf_ops": ({"x": IMAGES}, ("tf.math.reduce_sum", "tf.strings.join", "scores")),
    "op_layers": ({"x": FOURS}, ("tf_op_layer_AddV2_1",)),
    "custom": ({"x": FOURS[:, :3]}, ("scale",)),
    **dict.fromkeys(
        ("json_hdf5", "json_objects", "json_names", "json_3", "hdf5_3"), ({"features": FOURS}, ("scores",))
    ),
}


def _model(path):
    import keras
    import keras_layers
    import tf_keras

    package = keras if path.name.endswith("_3") else tf_keras
    for name in ("model.h5", "model.keras"):
        if (path / name).exists() and not (path / "model.json").exists():
            given = {"Scale": keras_layers.Scale}
            return package.models.load_model(path / name, custom_objects=given, compile=False)
    model = package.models.model_from_json((path / "model.json").read_text())
    if path.name == "json_names":
        reader = tf.train.load_checkpoint(str(path / "model.ckpt"))
        model.set_weights([reader.get_tensor(weight.name.partition(":")[0]) for weight in model.weights])
    else:
        files = {"json_hdf5": "model.h5", "json_objects": "weights", "json_3": "model.weights.h5"}
        model.load_weights(str(path / files[path.name]))
    return model


def _predicted(path):
    inputs, names = CALLS[path.name]
    model = _model(path)
    given = inputs if path.name == "dict_3" else list(inputs.values())
    found = model.predict(given if len(inputs) > 1 else given[0], batch_size=5 if len(STEPS) != 2 else None, verbose=0)
    if isinstance(found, dict):
        return {name: found[name] for name in names}
    return dict(zip(names, found if isinstance(found, list) else [found], strict=True))


def _answered(path):
    inputs, _ = CALLS[path.name]
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    arguments = {"class": "input_class", "a/b": "a_b"}
    found = function(**{arguments.get(name, name): tf.constant(value) for name, value in inputs.items()})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        again = session.run({name: info.name for name, info in signature.outputs.items()}, feeds)
    return {"tf2": {name: value.numpy() for name, value in found.items()}, "session": again}


def main(way, directory, file):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    answers = {}
    for path in sorted(pathlib.Path(directory).iterdir()):
        if path.name in CALLS and (way == "new" or int(tf.__version__.split(".")[1]) > 15 or path.name[-2:] != "_3"):
            answers[path.name] = _predicted(path) if way == "source" else _answered(path)
    pathlib.Path(file).write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
