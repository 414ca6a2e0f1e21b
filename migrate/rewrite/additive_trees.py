"""Additive trees of tf.contrib.boosted_trees as arrays: each node has a column of one table, and a threshold.

A test holds where the column's number is at most the threshold. What a column holds depends on the kind of the split:

- DENSE: a dense feature;
- OBLIVIOUS: a dense feature of an oblivious split, which takes what is no number to the left: -inf instead of NaN;
- LEFT, RIGHT: a dimension of a sparse feature, and where an example has none -inf or NaN: to the left, to the right;
- IDS: 0 where some id of an example is in a set, and more than 0 where none is.

An oblivious split is one for all nodes of its level. The trees here have it once for each of these nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.rewrite.tree_walks import DEEPEST, Tree

DENSE, OBLIVIOUS, LEFT, RIGHT, IDS = "dense", "oblivious", "left", "right", "ids"
Column = tuple[str, int, tuple[int, ...]]
"""The kind, the number of the feature among its kind, and the dimension or the ids."""
_MOST_NODES = 1 << 20
"""Of one tree, once each oblivious split is there for each node of its level."""


@frozen
class Nodes:
    """What is told of the nodes of all trees, in their order.

    Attributes:
      columns: what a node tests; None for a leaf.
      thresholds: what the column's number is compared with.
      numbers: of each leaf, its own number in its tree.
      values: of each leaf its logits; of others zeros.
    """

    columns: Sequence[Column | None]
    thresholds: Sequence[float]
    numbers: Sequence[int]
    values: Sequence[Sequence[float]]


@frozen
class Ensemble:
    """Trees that were looked over.

    Attributes:
      trees: the trees.
      depth: the most steps down.
      nodes: their nodes.
    """

    trees: Sequence[Tree]
    depth: int
    nodes: Nodes


@frozen
class Features:
    """How many features a node takes.

    Attributes:
      dense: matrices of numbers.
      floats: sparse numbers.
      ids: sparse ids.
    """

    dense: int
    floats: int
    ids: int


def read_trees(trees: Sequence[Any], features: Features, width: int) -> Ensemble | str:
    """Trees as arrays, or what is wrong with them: what the kernel does with that is not defined.

    Args:
      trees: DecisionTreeConfigs.
      features: how many there are.
      width: logits of a leaf; 0 where nobody asks for them.
    """
    reader = _Reader(features, width)
    for number, tree in enumerate(trees):
        wrong = reader.add(tree)
        if wrong:
            return f"tree {number}: {wrong}"
    nodes = Nodes(tuple(reader.columns), tuple(reader.thresholds), tuple(reader.numbers), tuple(reader.values))
    return Ensemble(tuple(reader.trees), reader.depth, nodes)


class _Reader:
    def __init__(self, features: Features, width: int) -> None:
        self._counts: Mapping[str, int] = {
            DENSE: features.dense,
            OBLIVIOUS: features.dense,
            LEFT: features.floats,
            RIGHT: features.floats,
            IDS: features.ids,
        }
        self._width = width
        self.trees: list[Tree] = []
        self.depth = 0
        self.columns: list[Column | None] = []
        self.thresholds: list[float] = []
        self.numbers: list[int] = []
        self.values: list[Sequence[float]] = []

    def add(self, tree: Any) -> str:
        """Appends a tree; gives what is wrong with it."""
        left: list[int | None] = []
        right: list[int | None] = []
        places = {(0, 0): 0}  # A node of the tree, and how its oblivious splits went -> its place here.
        states = [(0, 0)]
        for state in states:
            number, path = state
            if not 0 <= number < len(tree.nodes):
                return f"node {number} is not there"
            node = tree.nodes[number]
            kind = node.WhichOneof("node")
            if kind == "leaf":
                wrong = self._leaf(tree, number + path)
                left.append(None)
                right.append(None)
            else:
                wrong, children = self._split(node, kind, number, path)
                for child, side in zip(children, (left, right), strict=False):
                    if child not in places:
                        places[child] = len(states)
                        states.append(child)
                    side.append(places[child])
            if wrong:
                return f"node {number} {wrong}"
            if len(states) > _MOST_NODES:
                return f"it has more than {_MOST_NODES} nodes"
        self.trees.append(Tree(left, right))
        steps = self.trees[-1].depth()
        if steps is None or steps > DEEPEST:
            return "it leads in a circle, or is too deep"
        self.depth = max(self.depth, steps)
        return ""

    def _leaf(self, tree: Any, number: int) -> str:
        if number >= len(tree.nodes) or tree.nodes[number].WhichOneof("node") != "leaf":
            return "leads beyond the leaves of an oblivious tree"
        values = [0.0] * self._width
        if self._width:
            leaf = tree.nodes[number].leaf
            kind = leaf.WhichOneof("leaf")
            if kind is None:
                return "has no logits"
            found = getattr(leaf, kind)
            places = found.index if kind == "sparse_vector" else range(len(found.value))
            if len(places) != len(found.value) or len(set(places)) < len(places):
                return "has several logits for one class, or none"
            for place, value in zip(places, found.value, strict=True):
                if not 0 <= place < self._width:
                    return f"has a logit for class {place} of {self._width}"
                values[place] = value
        self._append(None, 0.0, number, values)
        return ""

    def _split(self, node: Any, kind: str | None, number: int, path: int) -> tuple[str, Sequence[tuple[int, int]]]:
        if kind is None:
            return "is no leaf and no split", ()
        split = getattr(node, kind)
        if kind.startswith("sparse_float"):
            split = split.split
        threshold, what = (0.0, IDS) if "categorical" in kind else (split.threshold, _FLOATS[kind])
        detail = _detail(split, kind)
        if not 0 <= split.feature_column < self._counts[what]:
            return "tests a feature that is not there", ()
        if detail is None or (what in (OBLIVIOUS, LEFT) and math.isnan(threshold)):
            return "has a threshold that is no number, or a set of ids that is empty or not sorted", ()
        self._append((what, split.feature_column, detail), threshold, 0, [0.0] * self._width)
        if kind.startswith("oblivious"):
            return "", ((number + 1, path * 2), (number + 1, path * 2 + 1))
        return "", ((split.left_id, path), (split.right_id, path))

    def _append(self, column: Column | None, threshold: float, number: int, values: Sequence[float]) -> None:
        self.columns.append(column)
        self.thresholds.append(threshold)
        self.numbers.append(number)
        self.values.append(tuple(values))


_FLOATS = {
    "dense_float_binary_split": DENSE,
    "oblivious_dense_float_binary_split": OBLIVIOUS,
    "sparse_float_binary_split_default_left": LEFT,
    "sparse_float_binary_split_default_right": RIGHT,
}


def _detail(split: Any, kind: str) -> tuple[int, ...] | None:
    """What else a column depends on; None where the kernel's search would not find what is there."""
    if kind == "categorical_id_set_membership_binary_split":
        ids = tuple(split.feature_ids)
        # std::binary_search finds what is in a sorted list.
        return tuple(dict.fromkeys(ids)) if ids and list(ids) == sorted(ids) else None
    if "categorical" in kind:
        return (split.feature_id,)
    return (split.dimension_id,) if kind.startswith("sparse_float") else ()
