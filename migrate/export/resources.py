"""Tables, queues and other named resources of the source as objects of the new model."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from migrate.errors import InputError
from migrate.graph.graph import data_inputs, split
from migrate.graph.protos import AttrValue, NodeDef
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.engine import Rewritten


class Resource(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
    """One named resource, made by the op that made it in the source and empty until the init op fills it.

    It has no `_destroy_resource`: TensorFlow's exporter copies a loaded resource, and the copy would destroy the table
    of the original when it is collected.
    """

    def __init__(self, node: NodeDef, inputs: Mapping[str, tf.Tensor]) -> None:
        super().__init__()
        self._node = node
        self._inputs = inputs

    def _create_resource(self) -> tf.Tensor:
        attributes = {key: _python_value(value) for key, value in self._node.attr.items() if not key.startswith("_")}
        # In a function or a graph the name is what tells resources apart; a Session used the node's own.
        attributes["shared_name"] = attributes.get("shared_name") or self._node.name
        inputs = {name: tf.constant(value) for name, value in self._inputs.items()}
        make = getattr(tf.raw_ops, self._node.op)
        # What TensorFlow infers from the inputs is no argument.
        taken = inspect.signature(make).parameters
        return make(**inputs, **{key: value for key, value in attributes.items() if key in taken})


def resources(runs: Iterable[Rewritten]) -> dict[str, Resource]:
    """The resources that some runs use, by identity.

    Raises:
      InputError: an input of such an op is no constant.
    """
    found: dict[str, Resource] = {}
    for run in runs:
        nodes = run.graph.nodes
        for node in nodes.values():
            if node.op in ops.NAMED_RESOURCES and identity(node) not in found:
                found[identity(node)] = Resource(node, _inputs(node, nodes))
    return found


def _inputs(node: NodeDef, nodes: Mapping[str, NodeDef]) -> dict[str, Any]:
    names = _INPUTS.get(node.op, ())
    values = {}
    for name, tensor in zip(names, data_inputs(node), strict=True):
        source = nodes[split(tensor)[0]]
        if source.op != "Const":
            raise InputError(
                f"{node.op} {node.name!r}: its {name} comes from {source.op} {source.name!r}, not a constant"
            )
        values[name] = tf.make_ndarray(source.attr["value"].tensor)
    return values


_INPUTS = {"MutableDenseHashTableV2": ("empty_key", "deleted_key")}


def _python_value(value: AttrValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "type":
        return tf.dtypes.as_dtype(value.type)
    if kind == "shape":
        return tf.TensorShape(value.shape)
    if kind == "list":
        return (
            [tf.dtypes.as_dtype(t) for t in value.list.type]
            or [tf.TensorShape(s) for s in value.list.shape]
            or list(value.list.i)
        )
    return getattr(value, kind or "s")
