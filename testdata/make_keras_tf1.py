"""Keras files of TensorFlow 1.15's own Keras, in keras_tf1/, with what that Keras answers.

    python3.7 -m venv venv-tf115
    venv-tf115/bin/pip install tensorflow==1.15.5 'protobuf<3.21' 'h5py<3' pyyaml
    venv-tf115/bin/python testdata/make_keras_tf1.py              # all
    venv-tf115/bin/python testdata/make_keras_tf1.py trained      # one

Each directory holds a model and `golden.npz`: the data, what `predict` and `evaluate` of the model as it is loaded
from the file give, and the losses of three more steps of training. The program runs under Python 3.7.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

keras = tf.keras
MODELS = pathlib.Path(__file__).resolve().parent / "keras_tf1"
SEED = 20
IMAGES = np.random.RandomState(SEED).uniform(-1, 1, [8, 6, 6, 2]).astype("float32")
IDS = np.random.RandomState(SEED).randint(0, 7, [8, 3])
PAIRS = np.random.RandomState(SEED).uniform(-1, 1, [8, 2]).astype("float32")
STEPS = np.random.RandomState(SEED).uniform(-1, 1, [8, 4, 3]).astype("float32")
CLASSES = np.arange(8) % 3
VALUES = np.random.RandomState(SEED).uniform(-1, 1, [8, 1]).astype("float32")


def _filled(model):
    random = np.random.RandomState(SEED)
    values = []
    for weight in model.weights:
        low = 0.5 if "variance" in weight.name else -1.0
        values.append(random.uniform(low, 1.0, weight.shape.as_list()).astype("float32"))
    model.set_weights(values)
    return model


def _images():
    layers = keras.layers
    return _filled(
        keras.Sequential(
            [
                layers.Conv2D(3, 3, activation="relu", input_shape=[6, 6, 2], name="conv"),
                layers.BatchNormalization(name="normal"),
                layers.MaxPooling2D(name="pool"),
                layers.Flatten(name="flat"),
                layers.Dropout(0.25, name="drop"),
                layers.Dense(3, activation="softmax", name="scores"),
            ],
            name="images",
        )
    )


def _two_and_two():
    layers = keras.layers
    ids = keras.Input([3], dtype="int32", name="ids")
    x = keras.Input([2], name="x")
    pooled = layers.GlobalAveragePooling1D(name="pooled")(layers.Embedding(7, 4, name="table")(ids))
    joined = layers.Concatenate(name="joined")([pooled, x])
    hidden = layers.Dense(5, activation="relu", name="hidden")(joined)
    scores = layers.Dense(3, activation="softmax", name="scores")(hidden)
    value = layers.Dense(1, name="value", kernel_regularizer=keras.regularizers.l2(0.01))(hidden)
    return _filled(keras.Model([ids, x], [scores, value], name="two_and_two"))


def _recurrent():
    layers = keras.layers
    return _filled(
        keras.Sequential(
            [
                layers.LSTM(3, return_sequences=True, input_shape=[4, 3], name="first"),
                layers.GRU(2, name="second"),
                layers.Dense(1, name="value"),
            ],
            name="recurrent",
        )
    )


def _fit(model, data, epochs=1):
    return model.fit(*data, epochs=epochs, batch_size=8, shuffle=False, verbose=0).history["loss"]


def _golden(directory, model, data, compiled=True):
    """What the model, as it was loaded, answers."""
    predicted = model.predict(data[0], batch_size=8)
    answers = {f"out_{n}": v for n, v in enumerate(predicted if isinstance(predicted, list) else [predicted])}
    if compiled:
        answers["metrics"] = np.asarray(model.metrics_names)
        answers["evaluated"] = np.asarray(model.evaluate(*data, batch_size=8, verbose=0))
        answers["losses"] = np.asarray(_fit(model, data, 3))
    given = data[0] if isinstance(data[0], list) else [data[0]]
    wanted = data[1] if isinstance(data[1], list) else [data[1]]
    answers.update({f"in_{n}": v for n, v in enumerate(given)})
    answers.update({f"wanted_{n}": v for n, v in enumerate(wanted)})
    np.savez(str(directory / "golden.npz"), **answers)


def _saved(directory, model, data, trained):
    if trained:
        _fit(model, data, 2)
    model.save(str(directory / "model.h5"))
    keras.backend.clear_session()
    _golden(directory, keras.models.load_model(str(directory / "model.h5")), data)


def trained(directory):
    """HDF5, two inputs and outputs, compiled with Adam and trained."""
    model = _two_and_two()
    losses = ["sparse_categorical_crossentropy", "mse"]
    model.compile(keras.optimizers.Adam(0.01), losses, metrics={"scores": ["accuracy"], "value": ["mae"]})
    _saved(directory, model, ([IDS, PAIRS], [CLASSES, VALUES]), trained=True)


def untrained(directory):
    """HDF5, compiled with Adam and not trained."""
    model = _two_and_two()
    losses = ["sparse_categorical_crossentropy", "mse"]
    model.compile(keras.optimizers.Adam(0.01), losses, metrics={"scores": ["accuracy"], "value": ["mae"]})
    _saved(directory, model, ([IDS, PAIRS], [CLASSES, VALUES]), trained=False)


def weighted(directory):
    """HDF5, two outputs, with metrics that are objects and weighted ones: TF 1.x names these twice."""
    model = _two_and_two()
    scores, value = [keras.metrics.AUC(name="auc"), "accuracy"], [keras.metrics.MeanSquaredError(name="squared"), "mae"]
    model.compile(
        keras.optimizers.Adam(0.01),
        ["categorical_crossentropy", "mse"],
        metrics={"scores": scores, "value": ["mae"]},
        weighted_metrics={"value": value},
    )
    _saved(directory, model, ([IDS, PAIRS], [keras.utils.to_categorical(CLASSES), VALUES]), trained=True)


def momentum(directory):
    """HDF5, recurrent layers, compiled with SGD with momentum and trained."""
    model = _recurrent()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "mse", metrics=["mae"])
    _saved(directory, model, (STEPS, VALUES), trained=True)


def rmsprop(directory):
    """HDF5, recurrent layers, compiled with a centered RMSprop and trained."""
    model = _recurrent()
    model.compile(keras.optimizers.RMSprop(0.01, centered=True), "mse", metrics=["mae"])
    _saved(directory, model, (STEPS, VALUES), trained=True)


def yaml(directory):
    """YAML, with tuples as Python's own tag, and weights in HDF5."""
    model = _images()
    (directory / "model.yaml").write_text(model.to_yaml())
    model.save_weights(str(directory / "weights.h5"))
    _golden(directory, model, (IMAGES, CLASSES), compiled=False)


def checkpoints(directory):
    """JSON, with weights of three epochs as the guides' ModelCheckpoint callback names them; no file `checkpoint`."""
    model = _images()
    (directory / "model.json").write_text(model.to_json())
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    for epoch in (1, 2, 10):
        _fit(model, (IMAGES, CLASSES))
        model.save_weights(str(directory / f"cp-{epoch:04d}.ckpt"))
    (directory / "checkpoint").unlink()
    _golden(directory, model, (IMAGES, CLASSES), compiled=False)


def manager(directory):
    """JSON, with a directory of tf.train.CheckpointManager: the model is an attribute, its optimizer another one."""
    model = _two_and_two()
    (directory / "model.json").write_text(model.to_json())
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, ["sparse_categorical_crossentropy", "mse"])
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    saving = tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=3)
    data = ([IDS, PAIRS], [CLASSES, VALUES])
    with keras.backend.get_session().as_default():
        for _ in range(2):
            _fit(model, data)
            saving.save()
    _golden(directory, model, data, compiled=False)


def by_name(directory):
    """JSON, with a checkpoint by name of tf.train.Saver."""
    model = _two_and_two()
    (directory / "model.json").write_text(model.to_json())
    saver = tf.compat.v1.train.Saver(model.weights, save_relative_paths=True)
    saver.save(keras.backend.get_session(), str(directory / "model.ckpt"), write_meta_graph=False)
    _golden(directory, model, ([IDS, PAIRS], [CLASSES, VALUES]), compiled=False)


MAKERS = (trained, untrained, weighted, momentum, rmsprop, yaml, checkpoints, manager, by_name)


def main(names):
    """Makes the models that are named, or all."""
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    for make in MAKERS:
        if names and make.__name__ not in names:
            continue
        directory = MODELS / make.__name__
        shutil.rmtree(str(directory), ignore_errors=True)
        directory.mkdir(parents=True)
        keras.backend.clear_session()
        # Threads take sums in any order.
        session = tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1))
        keras.backend.set_session(session)
        tf.compat.v1.set_random_seed(SEED)
        make(directory)
        print(make.__name__, sum(f.stat().st_size for f in directory.iterdir()), "bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
