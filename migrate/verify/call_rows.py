"""Rows of inputs, dense or sparse: how many there are, some of them, those of several values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from migrate.verify.calls import Call, SparseValue, Value


def row_count(value: Value) -> int:
    """How many rows a value has.

    Example:
      >>> row_count(np.zeros((3, 2)))
      3
    """
    return int(value.dense_shape[0]) if isinstance(value, SparseValue) else value.shape[0]


def row_size(value: Value, rows: int) -> int:
    """Values of one row."""
    return (len(value.values) if isinstance(value, SparseValue) else value.size) // max(1, rows)


def inner_shapes(call: Call, names: Iterable[str]) -> list[tuple[int, ...]]:
    """The shapes of the rows of some inputs."""
    found = []
    for name in names:
        value = call.inputs[name]
        found.append(tuple(value.dense_shape[1:].tolist()) if isinstance(value, SparseValue) else value.shape[1:])
    return found


def joined_rows(values: Sequence[Value]) -> Value:
    """The rows of several values, one after the other."""
    dense = [value for value in values if not isinstance(value, SparseValue)]
    if dense:
        return np.concatenate(dense)
    sparse = [value for value in values if isinstance(value, SparseValue)]
    start, indices = 0, []
    for value in sparse:
        moved = value.indices.copy()
        moved[:, 0] += start
        indices.append(moved)
        start += int(value.dense_shape[0])
    shape = sparse[0].dense_shape.copy()
    shape[0] = start
    return SparseValue(np.concatenate(indices), np.concatenate([value.values for value in sparse]), shape)


def rows_between(value: Value, first: int, end: int) -> Value:
    """The rows from one to before another one.

    Example:
      >>> rows_between(np.array([1, 2, 3]), 1, 3)
      array([2, 3])
    """
    if not isinstance(value, SparseValue):
        return value[first:end]
    numbers = value.indices[:, 0].astype(np.int64)
    (kept,) = np.nonzero((numbers >= first) & (numbers < end))
    indices, shape = value.indices[kept], value.dense_shape.copy()
    indices[:, 0] = numbers[kept] - first
    shape[0] = end - first
    return SparseValue(indices, value.values[kept], shape)


def repeated_rows(value: Value, rows: int) -> Value:
    """So many rows of a value, from the first one on, again and again.

    Example:
      >>> repeated_rows(np.array([1, 2, 3]), 5)
      array([1, 2, 3, 1, 2])
    """
    if not isinstance(value, SparseValue):
        return value[np.arange(rows) % len(value)] if len(value) else np.zeros((rows, *value.shape[1:]), value.dtype)
    total = int(value.dense_shape[0])
    indices, kept = [], []
    for row in range(rows if total else 0):
        (places,) = np.nonzero(value.indices[:, 0] == row % total)
        moved = value.indices[places].copy()
        moved[:, 0] = row
        indices.append(moved)
        kept.append(value.values[places])
    shape = value.dense_shape.copy()
    shape[0] = rows
    return SparseValue(
        np.concatenate(indices) if indices else value.indices[:0],
        np.concatenate(kept) if kept else value.values[:0],
        shape,
    )
