"""Signatures that TF1 serves and that TF2's exporter or loader trips over."""

from __future__ import annotations

import tensorflow as tf
from common import edited, fill, main, save, session, signature, v1, variable


def odd_names(directory):
    """Odd names, two names on one placeholder, defaults, a fed intermediate, an output that is an input."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    other = v1.placeholder(tf.float32, [None, 2], name="other")
    w = variable("w", [2])
    hidden = tf.multiply(x, w, name="hidden")
    y = tf.tanh(hidden, name="y")
    optional = v1.placeholder_with_default(tf.constant(3.0), [], name="optional")
    keys = ("image/encoded", "class", "1st", "with space", "out:0", "self", "Upper-Case.dot", "naïve")
    odd = {key: v1.placeholder(tf.float32, [None], name=f"odd_{n}") for n, key in enumerate(keys)}
    odd_outputs = {key: tf.multiply(value, w[0] + n, name=f"out_{n}") for n, (key, value) in enumerate(odd.items())}
    signatures = {
        "serving_default": signature({"x": x}, {"y": y}),
        "odd_inputs": signature(odd, {"sum": tf.add_n(list(odd_outputs.values()), name="sum")}),
        "odd_outputs": signature({"value": odd["class"]}, {key: odd["class"] + n for n, key in enumerate(keys)}),
        "default_input_alternative:None": signature({"x": x}, {"y": y}),
        "two_names": signature({"x": x, "same_x": x, "other": other}, {"y": tf.subtract(y, other, name="diff")}),
        "default_value": signature({"x": x, "optional": optional}, {"y": y * optional}),
        "fed_intermediate": signature({"hidden": hidden}, {"y": y}),
        "input_is_output": signature({"x": x}, {"x": x, "y": y}),
        "two_names_out": signature({"x": x}, {"y": y, "same_y": y}),
        # The ref tensor itself, w:0.
        "ref_output": signature({"x": x}, {"w": w.op.outputs[0], "y": y}),
        "no_inputs": signature({}, {"twice": tf.multiply(w, 2.0, name="twice")}),
        "custom_method": signature({"x": x}, {"y": y}, "example.org/embed"),
        "empty_method": signature({"x": x}, {"y": y}, ""),
        "no_method": signature({"x": x}, {"y": y}, None),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def tensor_names(directory):
    """Second outputs fetched and fed, one tensor of two signatures, nodes named as the exporter's own."""
    x = v1.placeholder(tf.float32, [None, 4], name="StatefulPartitionedCall")
    w = variable("w", [4, 4])
    low, high = tf.split(tf.matmul(x, w, name="NoOp"), 2, axis=1, name="halves")
    columns = tf.unstack(x, axis=1, name="columns")
    scores = tf.tanh(low, name="saver_filename")
    total = tf.add(columns[1] * 3.0, columns[3], name="total")
    steps = variable("steps", [], trainable=False)
    counted = v1.assign_add(steps, 1.0, name="counted")
    with tf.control_dependencies([counted]):
        seen = tf.reduce_sum(x, name="seen")
    signatures = {
        "serving_default": signature({"x": x}, {"scores": scores, "high": high}),
        "low": signature({"x": x}, {"low": low, "high": high}),
        "scores": signature({"x": x}, {"scores": scores}),
        "columns": signature({"second": columns[1], "fourth": columns[3]}, {"total": total}),
        "weights": signature({}, {"w": w.op.outputs[0]}),
        "count": signature({"x": x}, {"seen": seen, "plain": tf.reduce_sum(x, name="plain")}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def sparse_signature(directory):
    """A coo_sparse input, and a coo_sparse output."""
    sparse = v1.sparse_placeholder(tf.float32, [None, 4], name="sparse")
    w = variable("w", [4, 2])
    scale = variable("scale", [])
    scaled = tf.SparseTensor(sparse.indices, sparse.values * scale, sparse.dense_shape)
    signatures = {
        "serving_default": signature({"features": sparse}, {"y": tf.sparse.sparse_dense_matmul(sparse, w)}),
        "sparse_output": signature({"features": sparse}, {"scaled": scaled}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def unfed_placeholder(directory):
    """`good` is sound; `bad` needs a placeholder that it does not feed (it fails in TF1, too)."""
    x = v1.placeholder(tf.float32, [None], name="x")
    forgotten = v1.placeholder(tf.float32, [], name="forgotten")
    w = variable("w", [])
    signatures = {
        "good": signature({"x": x}, {"y": tf.multiply(x, w, name="good_y")}),
        "bad": signature({"x": x}, {"y": tf.multiply(x * w, forgotten, name="bad_y")}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def refused_pyfunc(directory):
    """A py_func in the signature: its Python function does not exist in any other process."""
    x = v1.placeholder(tf.float32, [2], name="x")
    w = variable("w", [2])
    y = v1.py_func(lambda value: value + 1, [x * w], tf.float32, name="python")
    y.set_shape([2])
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def _plain(directory):
    """A tiny sound model for the ones below to spoil."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    w = variable("w", [2, 3])
    y = tf.nn.relu(tf.matmul(x, w, name="product"), name="y")
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def unknown_op(directory):
    """The op of node `y` is MyCustomOp (patched after saving): no TensorFlow has it."""
    _plain(directory)
    with edited(directory) as proto:
        (meta_graph,) = proto.meta_graphs
        (node,) = [node for node in meta_graph.graph_def.node if node.name == "y"]
        node.op = "MyCustomOp"
        meta_graph.meta_info_def.stripped_op_list.op.add(name="MyCustomOp")


def stale_output_shapes(directory):
    """`_output_shapes` of two nodes contradict the ops (patched): loads once the attribute is stripped."""
    _plain(directory)
    with edited(directory) as proto:
        (meta_graph,) = proto.meta_graphs
        for node in meta_graph.graph_def.node:
            if node.name in ("product", "y"):
                (shape,) = node.attr["_output_shapes"].list.shape
                shape.dim[1].size = 7


def odd_version(directory):
    """`tensorflow_version` is "0.12.head" (patched), which the version parser of TF 2 rejects."""
    _plain(directory)
    with edited(directory) as proto:
        (meta_graph,) = proto.meta_graphs
        meta_graph.meta_info_def.tensorflow_version = "0.12.head"


def two_init_ops(directory):
    """Two entries in the collection `legacy_init_op`: both must run. TF's loaders refuse it."""
    x = v1.placeholder(tf.float32, [2], name="x")
    w = variable("w", [2])
    local = {"collections": [v1.GraphKeys.LOCAL_VARIABLES], "trainable": False}
    first = variable("first", [2], **local)
    second = variable("second", [2], **local)
    for v, value in ((first, [1.5, 2.5]), (second, [10.0, 20.0])):
        v1.add_to_collection("legacy_init_op", v1.assign(v, value, name=f"init_{v.op.name}").op)
    y = tf.add(x * w * first, second, name="y")
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, {"y": y})})


def wrong_tensor_info(directory):
    """TensorInfo of input `x` says int32 and has no shape (patched); the placeholder is float32 [?, 2]."""
    _plain(directory)
    with edited(directory) as proto:
        info = proto.meta_graphs[0].signature_def["serving_default"].inputs["x"]
        info.dtype = tf.int32.as_datatype_enum
        info.ClearField("tensor_shape")


if __name__ == "__main__":
    main(
        odd_names,
        tensor_names,
        sparse_signature,
        unfed_placeholder,
        refused_pyfunc,
        unknown_op,
        stale_output_shapes,
        odd_version,
        two_init_ops,
        wrong_tensor_info,
    )
