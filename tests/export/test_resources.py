"""Tables and other named resources of the source as objects of the new model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.errors import InputError  # noqa: E402 (starts TensorFlow)
from migrate.export.resources import Resource, resources  # noqa: E402
from migrate.graph.protos import NodeDef  # noqa: E402


def _run(*nodes):
    return SimpleNamespace(graph=SimpleNamespace(nodes={node.name: node for node in nodes}))


def _table(name="table", op="HashTableV2", inputs=(), **attributes):
    node = NodeDef(name=name, op=op, input=inputs)
    node.attr["key_dtype"].type, node.attr["value_dtype"].type = 7, 9
    for key, value in attributes.items():
        node.attr[key].s = value
    return node


def _constant(name, value):
    node = NodeDef(name=name, op="Const")
    node.attr["dtype"].type = 9
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int64))
    return node


def test_each_resource_is_there_once():
    found = resources([_run(_table(), NodeDef(name="n", op="NoOp")), _run(_table(), _table("other"))])
    assert len(found) == 2
    assert all(isinstance(resource, Resource) for resource in found.values())
    assert resources([_run(NodeDef(name="n", op="NoOp"))]) == {}


def test_a_table_is_made_empty_by_the_op_of_the_source():
    (table,) = resources([_run(_table(_class=b"internal"))]).values()
    assert tf.raw_ops.LookupTableSizeV2(table_handle=table.resource_handle).numpy() == 0
    tf.raw_ops.LookupTableImportV2(
        table_handle=table.resource_handle, keys=tf.constant(["a"]), values=tf.constant([3], tf.int64)
    )
    found = tf.raw_ops.LookupTableFindV2(
        table_handle=table.resource_handle, keys=tf.constant(["a"]), default_value=tf.constant(-1, tf.int64)
    )
    assert found.numpy().tolist() == [3]


def _dense(*inputs):
    node = NodeDef(name="dense", op="MutableDenseHashTableV2", input=inputs)
    node.attr["key_dtype"].type = node.attr["value_dtype"].type = 9
    node.attr["value_shape"].shape.SetInParent()
    node.attr["initial_num_buckets"].i = 8
    return node


def test_its_inputs_are_constants():
    graph = _run(_dense("empty", "deleted"), _constant("empty", -1), _constant("deleted", -2))
    (table,) = resources([graph]).values()
    assert tf.raw_ops.LookupTableSizeV2(table_handle=table.resource_handle).numpy() == 0
    computed = _run(_dense("empty", "deleted"), _constant("empty", -1), NodeDef(name="deleted", op="Neg"))
    with pytest.raises(InputError, match="'dense': its deleted_key comes from Neg 'deleted', not a constant"):
        resources([computed])
