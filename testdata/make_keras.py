"""Keras files of every form, in keras/: with TensorFlow 2.15 those of tf_keras, with a later one those of Keras 3.

    python testdata/make_keras.py              # all that the installed TensorFlow is to make
    python testdata/make_keras.py functional   # one

Weights are trained a step or drawn from a seed, so that no initializer gives them by accident. `keras_layers.py` has
the custom layer, for `--custom_objects=keras_layers:Scale`.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import h5py
import keras
import keras_layers
import numpy as np
import tensorflow as tf
import tf_keras

MODELS = pathlib.Path(__file__).resolve().parent / "keras"
SEED = 20


def _fill(model):
    random = np.random.RandomState(SEED)
    for weight in model.weights:
        low = 0.5 if "variance" in weight.name else -1.0
        weight.assign(random.uniform(low, 1.0, weight.shape).astype("float32"))
    return model


def _two_and_two(k):
    """Two inputs, one of them looked up; two outputs; batch normalization."""
    ids = k.Input([3], dtype="int32", name="ids")
    x = k.Input([2], name="x")
    table = k.layers.Embedding(7, 4, name="table")(ids)
    pooled = k.layers.GlobalAveragePooling1D(name="pooled")(table)
    joined = k.layers.Concatenate(name="joined")([pooled, x])
    normal = k.layers.BatchNormalization(name="normal")(k.layers.Dense(5, "relu", name="hidden")(joined))
    scores = k.layers.Dense(3, "softmax", name="scores")(normal)
    value = k.layers.Dense(1, name="value", kernel_regularizer=k.regularizers.L2(0.01))(normal)
    return k.Model([ids, x], [scores, value], name="two_and_two")


def _trained(k, model, optimizer):
    model = _fill(model)
    model.compile(optimizer, loss=["categorical_crossentropy", "mse"])
    random = np.random.RandomState(SEED)
    data = [random.randint(0, 7, [8, 3]), random.uniform(size=[8, 2]).astype("float32")]
    model.fit(data, [np.eye(3, dtype="float32")[random.randint(0, 3, 8)], random.uniform(size=[8, 1])], verbose=0)
    return model


def _sequential(k, name="sequential"):
    layers = [k.Input([4], name="features"), k.layers.Dense(3, "tanh", name="hidden"), k.layers.Dropout(0.5)]
    return k.Sequential([*layers, k.layers.Dense(2, name="scores")], name=name)


def _edit(path, **attributes):
    """Sets attributes of an HDF5 file, in its root and in the group of its weights."""
    with h5py.File(path, "r+") as file:
        for name, value in attributes.items():
            for holder in (file, file["model_weights"]):
                if name in holder.attrs:
                    holder.attrs[name] = value


def functional(directory):
    """HDF5 by tf_keras: two inputs, two outputs, batch normalization, Adam after a step."""
    _trained(tf_keras, _two_and_two(tf_keras), tf_keras.optimizers.Adam(0.01)).save(directory / "model.h5")


def old_adam(directory):
    """HDF5 as tf.keras of TensorFlow 2.4 wrote it: Adam's slots in another order (patched after saving)."""
    model = _trained(tf_keras, _two_and_two(tf_keras), tf_keras.optimizers.legacy.Adam(0.01))
    model.save(directory / "model.h5")
    with h5py.File(directory / "model.h5", "r+") as file:
        training = json.loads(file.attrs["training_config"])
        described = training["optimizer_config"]
        described["config"].pop("is_legacy_optimizer", None)
        training["optimizer_config"] = {"class_name": described["class_name"], "config": described["config"]}
        file.attrs["training_config"] = json.dumps(training)
    _edit(directory / "model.h5", keras_version="2.4.0")


def recurrent(directory):
    """HDF5 by tf_keras: a masked bidirectional GRU and a stateful LSTM with a fixed batch."""
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Masking(0.0, batch_input_shape=[2, 4, 3], name="masking"),
            layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both"),
            layers.LSTM(2, stateful=True, name="memory"),
        ]
    )
    _fill(model).save(directory / "model.h5")


def custom(directory):
    """HDF5 by tf_keras with a layer of the user's, keras_layers.Scale."""
    model = tf_keras.Sequential([tf_keras.Input([3], name="x"), keras_layers.Scale(name="scale")])
    _fill(model).save(directory / "model.h5")


def marshalled(directory):
    """HDF5 by tf_keras with a Lambda layer around a Python lambda: bytecode."""
    model = tf_keras.Sequential([tf_keras.Input([3], name="x"), tf_keras.layers.Lambda(lambda x: x * 2, name="twice")])
    model.save(directory / "model.h5")


def weights_alone(directory):
    """HDF5 by tf_keras: weights without an architecture."""
    _fill(_sequential(tf_keras)).save_weights(directory / "weights.h5")


def theano(directory):
    """HDF5 that says it was trained on Theano, with a convolution (patched after saving)."""
    layers = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input([4, 4, 1], name="x"), layers.Conv2D(2, 3, name="conv")])
    _fill(model).save(directory / "model.h5")
    _edit(directory / "model.h5", backend="theano", keras_version="2.0.5")


def keras_1(directory):
    """HDF5 in the words of Keras 1 (written by hand): Dense with output_dim."""
    dense = {"name": "dense_1", "output_dim": 2, "init": "glorot_uniform", "activation": "linear", "bias": True}
    config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": dense}]}
    dense["batch_input_shape"] = [None, 3]
    with h5py.File(directory / "model.h5", "w") as file:
        file.attrs["keras_version"] = "1.1.0"
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense_1"]
        layer = group.create_group("dense_1")
        layer.attrs["weight_names"] = [b"dense_1_W:0", b"dense_1_b:0"]
        layer["dense_1_W:0"] = np.ones([3, 2], "float32")
        layer["dense_1_b:0"] = np.ones([2], "float32")


def archive_2(directory):
    """`.keras` archive by tf_keras, Adam after a step."""
    _trained(tf_keras, _two_and_two(tf_keras), tf_keras.optimizers.Adam(0.01)).save(directory / "model.keras")


def archive_3(directory):
    """`.keras` archive by Keras 3: two inputs, two outputs, Adam after a step."""
    _trained(keras, _two_and_two(keras), keras.optimizers.Adam(0.01)).save(directory / "model.keras")


def recurrent_3(directory):
    """`.keras` archive by Keras 3: a bidirectional GRU, an LSTM, an op between layers."""
    x = keras.Input([4, 3], name="x")
    both = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="both")(x)
    model = keras.Model(x, keras.ops.tanh(keras.layers.LSTM(2, name="memory")(both)) + 1.0)
    _fill(model).save(directory / "model.keras")


def dict_3(directory):
    """`.keras` archive by Keras 3 with a dict of inputs and a dict of outputs, and names that Python cannot have."""
    given = {"class": keras.Input([2], name="class"), "a/b": keras.Input([2], name="a_b")}
    total = keras.layers.Add(name="total")(list(given.values()))
    outputs = {"sum": total, "dense": keras.layers.Dense(2, name="dense")(total)}
    _fill(keras.Model(given, outputs)).save(directory / "model.keras")


def hdf5_3(directory):
    """HDF5 by Keras 3."""
    _fill(_sequential(keras)).save(directory / "model.h5")


def json_hdf5(directory):
    """JSON and HDF5 weights by tf_keras."""
    model = _fill(_sequential(tf_keras))
    (directory / "model.json").write_text(model.to_json())
    model.save_weights(directory / "model.h5")


def json_3(directory):
    """JSON and `.weights.h5` by Keras 3."""
    model = _fill(_sequential(keras))
    (directory / "model.json").write_text(model.to_json())
    model.save_weights(directory / "model.weights.h5")


def json_objects(directory):
    """JSON by tf_keras and an object-based checkpoint, from Model.save_weights."""
    model = _fill(_sequential(tf_keras))
    (directory / "model.json").write_text(model.to_json())
    model.save_weights(directory / "weights")


def json_names(directory):
    """JSON by tf_keras and a name-based checkpoint, as tf.train.Saver writes it from a Keras session."""
    model = _fill(_sequential(tf_keras))
    (directory / "model.json").write_text(model.to_json())
    values = {weight.name.partition(":")[0]: weight.numpy() for weight in model.weights}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [tf.compat.v1.get_variable(name, initializer=value) for name, value in values.items()]
        session.run(tf.compat.v1.global_variables_initializer())
        # Else the file `checkpoint` has the path of the machine that made it.
        saver = tf.compat.v1.train.Saver(variables, save_relative_paths=True)
        saver.save(session, str(directory / "model.ckpt"), write_meta_graph=False)


def saved_model(directory):
    """A Keras SavedModel (keras_metadata.pb) by tf_keras."""
    _fill(_sequential(tf_keras)).save(directory, save_format="tf")


def tf_ops(directory):
    """HDF5 by tf_keras: functions of TensorFlow between layers, which become TFOpLambda and SlicingOpLambda."""
    x = tf_keras.Input([4, 4, 3], name="x")
    bigger = tf.image.resize(2.0 * tf.nn.relu(x) + 1.0, [6, 6])
    halves = tf.concat([bigger[:, :3], tf.reverse(bigger[:, 3:], [1])], axis=-1)
    flat = tf.reshape(tf.transpose(halves, [0, 2, 1, 3]), [-1, 108])
    mean = tf_keras.backend.mean(flat, axis=-1, keepdims=True)
    chosen = tf.where(flat > mean, flat, tf.zeros_like(flat))
    scores = tf_keras.layers.Dense(3, name="scores")(tf.math.l2_normalize(chosen, axis=-1))
    words = tf.strings.join(["class ", tf.strings.as_string(tf.argmax(scores, -1))])
    _fill(tf_keras.Model(x, [tf.reduce_sum(scores * scores, -1), words, scores])).save(directory / "model.h5")


def op_layers(directory):
    """HDF5 with the op layers of TensorFlow 2.0 to 2.3, each of which holds a NodeDef (written by hand)."""
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    def op(name, op, inputs, constants, **attributes):
        node = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            node.attr[key].type = value
        return TensorFlowOpLayer(node.SerializeToString(), name, constants)

    x = tf_keras.Input([4], name="x")
    added = op("AddV2", "AddV2", ["x", "AddV2/y"], {1: np.float32(1.5)}, T=1)(x)
    shaped = op("Reshape", "Reshape", ["AddV2", "Reshape/shape"], {1: np.int32([-1, 2, 2])}, T=1, Tshape=3)(added)
    dense = tf_keras.layers.Dense(2, name="dense")(shaped)
    total = op("AddV2_1", "AddV2", ["Reshape", "dense/BiasAdd"], None, T=1)([shaped, dense])
    _fill(tf_keras.Model(x, total)).save(directory / "model.h5")
    _edit(directory / "model.h5", keras_version="2.4.0")


BY_TF_KERAS = (
    *(
        functional,
        old_adam,
        recurrent,
        custom,
        marshalled,
        weights_alone,
        theano,
        keras_1,
        archive_2,
        json_hdf5,
        tf_ops,
    ),
    *(json_objects, json_names, saved_model, op_layers),
)
BY_KERAS_3 = (archive_3, recurrent_3, dict_3, hdf5_3, json_3)


def main():
    chosen = sys.argv[1:]
    for maker in BY_KERAS_3 if keras.__version__.startswith("3.") else BY_TF_KERAS:
        if chosen and maker.__name__ not in chosen:
            continue
        directory = MODELS / maker.__name__
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        tf_keras.backend.clear_session()
        keras.backend.clear_session()
        tf.random.set_seed(SEED)
        maker(directory)
        print(maker.__name__, flush=True)


if __name__ == "__main__":
    main()
