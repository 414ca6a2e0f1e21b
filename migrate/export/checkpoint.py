"""Writes the new model's checkpoint: TensorFlow's part of it, and the index.

What could be taken over from the source as it lies (`weights.py`) is not read here. The rest (a V1 checkpoint, strings,
arithmetic in the restore graph, slices that no stored slice equals) goes through TensorFlow, a few tensors at a time,
into data files of its own, and so does the object graph.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from migrate.plan.records import Plan, VariablePlan
from migrate.plan.restore import Uninitialized
from migrate.sources.bundle import Entry, data_file, index_file, read_bundle, write_index
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY

_GROUP_BYTES = 1 << 26
"""Tensors that go through memory are written when there are so many bytes of them: a data file's worth. A tensor that
is larger has a data file for itself."""


def write_checkpoint(
    plan: Plan,
    keys: Mapping[str, str],
    object_graph: bytes,
    destination: str,
    taken: Mapping[str, Entry],
    value: Callable[[VariablePlan], tf.Tensor],
) -> int:
    """Writes a checkpoint with the values of a plan's variables, except for the data files that are taken over.

    Args:
      plan: says what fills which variable.
      keys: checkpoint key of each variable that has a value in the new model, by identity.
      object_graph: the new model's serialized TrackableObjectGraph.
      destination: prefix of the new checkpoint.
      taken: see `weights.Weights`.
      value: gives the value of a variable that is not taken over.

    Returns:
      How many data files the checkpoint has; those that are taken over are the first of them.
    """
    first = 1 + max((entry.shard for entry in taken.values()), default=-1)
    rest = [v for v in plan.variables if v.identity not in taken and not isinstance(v.value, Uninitialized)]
    groups = list(_written(rest, keys, object_graph, value, destination))
    count = first + len(groups)
    entries = [dataclasses.replace(entry, key=keys[identity], slices=()) for identity, entry in taken.items()]
    for number, (prefix, written) in enumerate(groups, first):
        os.rename(data_file(prefix, 0, 1), data_file(destination, number, count))
        os.remove(index_file(prefix))
        entries.extend(dataclasses.replace(entry, shard=number) for entry in written)
    write_index(destination, entries, count)
    return count


def _written(
    variables: Sequence[VariablePlan],
    keys: Mapping[str, str],
    object_graph: bytes,
    value: Callable[[VariablePlan], tf.Tensor],
    destination: str,
) -> Iterator[tuple[str, list[Entry]]]:
    """Writes values through TensorFlow, at most `_GROUP_BYTES` or one tensor at a time, each group a bundle of its own.

    Yields:
      The bundle's prefix and its entries.
    """
    names = [OBJECT_GRAPH_KEY]
    tensors = [tf.constant(object_graph)]
    size = 0
    number = 0

    def flush() -> tuple[str, list[Entry]]:
        prefix = f"{destination}.part{number}"
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
        return prefix, list(read_bundle(prefix).entries.values())

    for variable in variables:
        if names and size + _expected_bytes(variable) > _GROUP_BYTES:
            yield flush()
            names, tensors, size, number = [], [], 0, number + 1
        tensor = value(variable)
        names.append(keys[variable.identity])
        tensors.append(tensor)
        size += _bytes(tensor)
        del tensor  # Else it would still be held while the next one is read.
        if size >= _GROUP_BYTES:
            yield flush()
            names, tensors, size, number = [], [], 0, number + 1
    if names:
        yield flush()


def _expected_bytes(variable: VariablePlan) -> int:
    """What a variable's value takes as its shape has it; 0 where that says nothing."""
    count = tf.TensorShape(variable.shape).num_elements()
    return 0 if count is None else count * tf.dtypes.as_dtype(variable.dtype).size


def _bytes(tensor: tf.Tensor) -> int:
    """What a tensor takes in memory; of strings also what they hold."""
    held = int(tf.reduce_sum(tf.strings.length(tensor))) if tensor.dtype == tf.string else 0
    return int(tensor.shape.num_elements()) * int(tensor.dtype.size) + held
