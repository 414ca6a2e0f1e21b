"""Plain models: one graph or several, text, warm-up requests, both kinds of variable, Keras."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable
from tensorflow.core.framework import tensor_pb2


def _dense():
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w = variable("w", [3, 2])
    b = variable("b", [2])
    return x, tf.nn.relu(tf.matmul(x, w) + b, name="y")


def simple_save(directory):
    """`simple_save` of y = relu(x @ w + b), two ref variables."""
    x, y = _dense()
    with session() as sess:
        fill(sess)
        v1.saved_model.simple_save(sess, directory, inputs={"x": x}, outputs={"y": y})


def multi_tags(directory):
    """Three MetaGraphs over one checkpoint: tag sets {serve}, {serve, gpu} and {train}, which trains."""
    builder = v1.saved_model.Builder(directory)
    with tf.Graph().as_default(), session() as sess:
        x, y = _dense()
        fill(sess)
        builder.add_meta_graph_and_variables(sess, ["serve"], {"serving_default": signature({"x": x}, {"y": y})})
    with tf.Graph().as_default():
        x, y = _dense()
        builder.add_meta_graph(["serve", "gpu"], {"serving_default": signature({"x": x}, {"y": y * 2.0})})
    with tf.Graph().as_default():
        x, y = _dense()
        label = v1.placeholder(tf.float32, [None, 2], name="label")
        loss = tf.reduce_mean(tf.square(y - label))
        with tf.control_dependencies([v1.train.GradientDescentOptimizer(0.1).minimize(loss)]):
            loss = tf.identity(loss, name="loss")
        builder.add_meta_graph(["train"], {"train": signature({"x": x, "label": label}, {"loss": loss})})
    builder.save()


def pbtxt(directory):
    """`simple_save`'s model, saved as text."""
    x, y = _dense()
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})}, as_text=True)


def mixed_variables(directory):
    """Ref and resource variables in one graph."""
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    ref = variable("ref", [3, 4])
    resource = variable("resource", [4, 2], use_resource=True)
    y = tf.matmul(tf.tanh(tf.matmul(x, ref)), resource, name="y")
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def keras_v1(directory):
    """tf_keras's Dense and BatchNormalization, `simple_save` from the Keras session: resource variables."""
    import tf_keras
    from tf_keras.src import backend  # set_session is in no public module of tf_keras

    sess = session()
    backend.set_session(sess)
    inputs = tf_keras.Input([4])
    hidden = tf_keras.layers.Dense(5, activation="relu")(inputs)
    hidden = tf_keras.layers.BatchNormalization()(hidden)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(2, activation="softmax")(hidden))
    random = np.random.RandomState(0)
    model.set_weights([random.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    v1.saved_model.simple_save(
        sess, directory, inputs={"features": model.input}, outputs={"probabilities": model.output}
    )
    sess.close()


def _field(number, payload):
    """One length-delimited field of a protocol buffer."""
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def warmup(directory):
    """`simple_save`'s model with two PredictionLogs in `assets.extra/tf_serving_warmup_requests`."""
    simple_save(directory)
    requests = pathlib.Path(directory, "assets.extra", "tf_serving_warmup_requests")
    requests.parent.mkdir()
    with tf.io.TFRecordWriter(str(requests)) as writer:
        for rows in (1, 2):
            tensor = tensor_pb2.TensorProto(dtype=1, float_val=[0.5] * 3 * rows)
            tensor.tensor_shape.dim.add(size=rows)
            tensor.tensor_shape.dim.add(size=3)
            # The protos of TF Serving's API by hand: PredictionLog.predict_log (6) . request (1), which has
            # model_spec (1; in it name 1 and signature_name 3) and the map inputs (2).
            # https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/prediction_log.proto
            model_spec = _field(1, b"warmup") + _field(3, b"serving_default")
            entry = _field(1, b"x") + _field(2, tensor.SerializeToString())
            writer.write(_field(6, _field(1, _field(1, model_spec) + _field(2, entry))))


if __name__ == "__main__":
    main(simple_save, multi_tags, pbtxt, mixed_variables, keras_v1, warmup)
