"""The trees of tf.contrib.boosted_trees as nodes that compare a number of a column with a threshold.

A column is what one split looks at (contrib/boosted_trees/lib/trees/decision_tree.cc): a dense feature, a dimension of
a sparse one, or whether an example has some ids. What is missing, and what is no number, becomes a number that leads to
the side that the split says: -inf is at most every threshold, NaN at most none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

DENSE, LEVEL, LEFT, RIGHT, IDS = range(5)
"""A dense feature; one whose NaN goes to the left; a sparse one that is missing on the left, on the right; ids."""
Column = tuple[int, int, tuple[int, ...]]
"""The kind, which feature it is, and its dimension or the ids."""
_MOST = 1 << 20


class Counts(NamedTuple):
    """How many features there are of each kind."""

    dense: int
    floats: int
    ids: int


class Node(NamedTuple):
    """A node, or one of an oblivious tree for each way to it.

    Attributes:
      column: what it looks at; None for a leaf.
      threshold: what that is compared with.
      children: the nodes to the left and to the right.
      number: of a leaf, its place in the tree.
    """

    column: Column | None
    threshold: float
    children: tuple[int, int] | None
    number: int


def nodes_of(tree: Any, counts: Counts) -> list[Node]:
    """The nodes of a DecisionTreeConfig, the root first.

    Raises:
      ValueError: what the kernel does with the tree is not known.
    """
    ways = [(0, 0)]  # The node, and the numbers of the sides that oblivious splits led to, in binary.
    place = {ways[0]: 0}
    found = []
    for at, passed in ways:
        if at >= len(tree.nodes) or at < 0 or len(ways) > _MOST:
            raise ValueError("a node is missing, or there are too many")
        kind = tree.nodes[at].WhichOneof("node")
        if kind == "leaf":
            found.append(Node(None, 0.0, None, at + passed))
            continue
        if kind is None:
            raise ValueError("a node is empty")
        split = getattr(tree.nodes[at], kind)
        split = split.split if kind.startswith("sparse_float") else split
        column, threshold = _test(split, kind, counts)
        if kind.startswith("oblivious"):
            ends = [(at + 1, 2 * passed), (at + 1, 2 * passed + 1)]
        else:
            ends = [(split.left_id, passed), (split.right_id, passed)]
        for end in ends:
            if end not in place:
                place[end] = len(ways)
                ways.append(end)
        found.append(Node(column, threshold, (place[ends[0]], place[ends[1]]), 0))
    return found


def _test(split: Any, kind: str, counts: Counts) -> tuple[Column, float]:
    feature = split.feature_column
    if kind == "categorical_id_set_membership_binary_split":
        ids = list(split.feature_ids)
        if not ids or any(before > after for before, after in pairwise(ids)):
            raise ValueError("a search in ids that are not sorted may miss some")
        column = (IDS, feature, tuple(sorted(set(ids))))
    elif kind in ("categorical_id_binary_split", "oblivious_categorical_id_binary_split"):
        column = (IDS, feature, (split.feature_id,))
    elif kind == "dense_float_binary_split":
        column = (DENSE, feature, ())
    elif kind == "oblivious_dense_float_binary_split":
        column = (LEVEL, feature, ())
    elif kind == "sparse_float_binary_split_default_left":
        column = (LEFT, feature, (split.dimension_id,))
    else:
        column = (RIGHT, feature, (split.dimension_id,))
    of_kind = counts.ids if column[0] == IDS else counts.dense if column[0] in (DENSE, LEVEL) else counts.floats
    threshold = 0.0 if column[0] == IDS else split.threshold
    if not 0 <= feature < of_kind or (column[0] in (LEVEL, LEFT) and math.isnan(threshold)):
        raise ValueError("a split looks at nothing, or compares with what is no number")
    return column, threshold


def logits_of(tree: Any, nodes: Sequence[Node], width: int) -> list[list[float]]:
    """What each leaf adds to the logits; zeros for other nodes.

    Raises:
      ValueError: the number of a leaf is that of no leaf, or a leaf has other logits.
    """
    found = []
    for node in nodes:
        row = [0.0] * width
        if node.column is None:
            leaf = tree.nodes[node.number].leaf if node.number < len(tree.nodes) else None
            kind = None if leaf is None else leaf.WhichOneof("leaf")
            if leaf is None or kind is None:
                raise ValueError("a leaf is missing or empty")
            logits = leaf.sparse_vector if kind == "sparse_vector" else leaf.vector
            classes = list(logits.index) if kind == "sparse_vector" else list(range(len(logits.value)))
            if len(classes) != len(logits.value) or sorted(set(classes)) != sorted(classes):
                raise ValueError("a leaf has several logits for a class, or none")
            for number, value in zip(classes, logits.value, strict=True):
                if not 0 <= number < width:
                    raise ValueError("a leaf has a logit for a class that is not there")
                row[number] = value
        found.append(row)
    return found
