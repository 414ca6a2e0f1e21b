"""values.py: what fills a variable stands in the restore graph."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from migrate.export.values import value_of  # noqa: E402 (starts TensorFlow)
from migrate.graph.protos import MetaGraphDef, SaverDef  # noqa: E402
from migrate.plan.plan import make_plan  # noqa: E402
from migrate.plan.restore import Computed, FromCheckpoint  # noqa: E402


def _plan(tmp_path, restore, stored):
    """Plans a model whose only variable `v` is assigned `restore(prefix)`, from a checkpoint of `stored` tensors."""
    prefix = os.path.join(tmp_path, "variables")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(stored),
        shape_and_slices=[""] * len(stored),
        tensors=[tf.constant(value) for value in stored.values()],
    )
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [2], name="x")
        v = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, name="v")
        tf.raw_ops.Mul(x=v, y=x, name="y")
        name = v1.placeholder_with_default("model", [], name="filename")
        tf.raw_ops.Assign(ref=v, value=restore(name), name="restore_v")
        meta_graph = MetaGraphDef.FromString(v1.train.export_meta_graph(graph=graph).SerializeToString())
    meta_graph.saver_def.CopyFrom(
        SaverDef(filename_tensor_name="filename:0", restore_op_name="restore_v", version=SaverDef.V2)
    )
    definition = meta_graph.signature_def["s"]
    for infos, name in ((definition.inputs, "x"), (definition.outputs, "y")):
        infos[name].name = f"{name}:0"
        infos[name].dtype = tf.float32.as_datatype_enum
    return make_plan(meta_graph), prefix


def _read(name, key, dtype=tf.float32):
    return tf.raw_ops.RestoreV2(prefix=name, tensor_names=[key], shape_and_slices=[""], dtypes=[dtype])[0]


def test_a_renamed_key(tmp_path):
    plan, prefix = _plan(tmp_path, lambda name: _read(name, "other"), {"other": [1.5, 2.5], "v": [0.0, 0.0]})
    assert plan.variables[0].value == FromCheckpoint("other")
    np.testing.assert_array_equal(value_of(plan, plan.variables[0], prefix), [1.5, 2.5])


def test_a_slice(tmp_path):
    def restore(name):
        return tf.raw_ops.RestoreV2(prefix=name, tensor_names=["k"], shape_and_slices=["5 1,2"], dtypes=[tf.float32])[0]

    plan, prefix = _plan(tmp_path, restore, {"k": [0.0, 1.0, 2.0, 3.0, 4.0]})
    assert plan.variables[0].value == FromCheckpoint("k", "5 1,2")
    np.testing.assert_array_equal(value_of(plan, plan.variables[0], prefix), [1.0, 2.0])


def test_pure_ops_between_checkpoint_and_variable_are_run(tmp_path):
    def restore(name):
        parts = tf.concat([_read(name, "a"), tf.cast(_read(name, "b", tf.float64), tf.float32)], 0)
        return tf.reshape(parts, [2]) * 2.0

    plan, prefix = _plan(tmp_path, restore, {"a": np.float32([1.0]), "b": np.float64([3.0])})
    assert isinstance(plan.variables[0].value, Computed)
    assert plan.variables[0].value.reads == (FromCheckpoint("b"), FromCheckpoint("a"))
    np.testing.assert_array_equal(value_of(plan, plan.variables[0], prefix), [2.0, 6.0])
