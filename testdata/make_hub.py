"""TF1 Hub modules, in the layout that hub.create_module_spec wrote (tensorflow_hub/native_module.py, up to 0.12)."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from common import fill, main, session, set_value, signature, v1, variable
from tensorflow.core.protobuf import saved_model_pb2


def _export(directory, module_fn, tag_sets, value):
    """Writes a MetaGraph for each tag set, without a SaverDef: TF Hub restores variables by their names."""
    pathlib.Path(directory, "variables").mkdir(parents=True)
    proto = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    for tags in tag_sets:
        with tf.Graph().as_default(), session() as sess:
            signatures = module_fn("train" in tags)
            meta_graph = v1.train.export_meta_graph(saver_def=None)
            meta_graph.ClearField("saver_def")
            meta_graph.meta_info_def.tags.extend(tags)
            for key, definition in signatures.items():
                meta_graph.signature_def[key].CopyFrom(definition)
            proto.meta_graphs.append(meta_graph)
            if not tags:
                fill(sess)
                value(sess)
                v1.train.Saver().save(
                    sess, f"{directory}/variables/variables", write_meta_graph=False, write_state=False
                )
    pathlib.Path(directory, "saved_model.pb").write_bytes(proto.SerializeToString(deterministic=True))
    pathlib.Path(directory, "tfhub_module.pb").write_bytes(b"\x08\x03")  # ModuleDef(format=FORMAT_V3)


def _average(moving, value):
    update = v1.assign_sub(moving, (moving - value) * 0.25, name=f"{moving.op.name}/update")
    v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)


def hub_module(directory):
    """A TF1 Hub module: tag sets {} and {train}, update ops, a regularisation loss, no saver."""

    def module_fn(training):
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        kernel = variable("dense/kernel", [3, 4])
        bias = variable("dense/bias", [4], use_resource=True)
        gamma, beta = variable("norm/gamma", [4]), variable("norm/beta", [4])
        mean = variable("norm/moving_mean", [4], trainable=False)
        variance = variable("norm/moving_variance", [4], trainable=False)
        loss = tf.multiply(0.125, tf.reduce_sum(tf.square(kernel)), name="dense/regularizer")
        v1.add_to_collection(v1.GraphKeys.REGULARIZATION_LOSSES, loss)
        hidden = tf.nn.bias_add(tf.matmul(x, kernel), bias, name="hidden")
        used = mean, variance
        if training:
            used = tf.nn.moments(hidden, [0])
            _average(mean, used[0])
            _average(variance, used[1])
        y = tf.tanh(tf.nn.batch_normalization(hidden, *used, beta, gamma, 1e-3), name="y")
        # Another signature, with an update op that needs its own placeholder.
        other = v1.placeholder(tf.float32, [None, 4], name="other")
        if training:
            _average(mean, tf.reduce_mean(other, 0))
        return {
            "default": signature({"default": x}, {"default": y}, None),
            "features": signature({"x": x}, {"hidden": hidden, "y": y}, None),
            "norm": signature({"other": other}, {"y": tf.add(other * gamma, beta, name="z")}, None),
        }

    def value(sess):
        for v in v1.global_variables():
            if "moving" in v.name:
                set_value(sess, v, [0.5, 1.0, 1.5, 2.0])

    _export(directory, module_fn, [(), ("train",)], value)


if __name__ == "__main__":
    main(hub_module)
