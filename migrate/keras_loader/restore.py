"""Restores a model of Keras 2 from a TensorFlow checkpoint, by object or by name, and leaves no weight out silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from migrate.checks.keras_weights import bare, outside_layers
from migrate.errors import InputError, first_few
from migrate.graph.protos import TrackableObjectGraph
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.keras_source import KerasSource

# What differs between the cell of Keras 2's RNN layers and TF1's: the name of the cell is in between or not.
_CELLS = ("lstm_cell", "gru_cell", "simple_rnn_cell")


def restore_objects(model: Any, source: KerasSource) -> None:
    """Restores a model from where it is in a checkpoint's object graph.

    Raises:
      InputError: it is not known where that is, or the checkpoint has weights of layers that the model has not.
      AssertionError: the checkpoint lacks a weight.
    """
    if source.root is None:
        raise InputError(f"{source.files.weights}: where the model is in it is not known")
    whole = model
    for name in reversed(source.root.split("/") if source.root else ()):
        whole = tf.train.Checkpoint(**{name: whole})
    if whole is model:
        model.load_weights(source.files.weights).assert_existing_objects_matched()
    else:
        whole.restore(source.files.weights).assert_existing_objects_matched()
    unused = _unused(whole, source)
    if unused:
        raise InputError(
            f"{source.files.weights}: {len(unused)} of its tensors are of no layer of the architecture "
            f"({first_few(bare(unused), 2)}), so it holds the weights of another one"
        )


def _unused(whole: Any, source: KerasSource) -> list[str]:
    """Tensors of layers of a checkpoint that were restored to nothing; Keras' `assert_consumed` asks for none."""
    reader = tf.train.load_checkpoint(source.files.weights)
    graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH_KEY))
    restored = tf.train.CheckpointView(source.files.weights).match(whole)
    left = {
        attribute.checkpoint_key
        for number, node in enumerate(graph.nodes)
        if number not in restored
        for attribute in node.attributes
    }
    told = {tensor.name for tensor in outside_layers(source)}
    return [tensor.name for tensor in source.weights if tensor.name in left - told]


def restore_names(variables: Mapping[str, tf.Variable], prefix: str) -> None:
    """Gives each weight the checkpoint's tensor of its name.

    Args:
      variables: the weights by name.
      prefix: of the checkpoint.

    Raises:
      InputError: a weight has no tensor, or one of another shape.
    """
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    values = []
    for name, variable in variables.items():
        key = next((k for k in (name, without_cell(name)) if k in shapes), None)
        if key is None:
            raise InputError(f"{prefix}: has no tensor {name!r}; it has {', '.join(sorted(shapes)[:8])}")
        if tuple(shapes[key]) != tuple(variable.shape):
            raise InputError(f"{prefix}: {key!r} has the shape {shapes[key]}, expected {variable.shape.as_list()}")
        values.append((variable, reader.get_tensor(key)))
    for variable, value in values:
        variable.assign(value)


def without_cell(name: str) -> str:
    """A weight's name as it is where the name of a recurrent layer's cell is not in it."""
    parts = [part for part in name.split("/") if part.rstrip("0123456789").rstrip("_") not in _CELLS]
    return "/".join(parts)
