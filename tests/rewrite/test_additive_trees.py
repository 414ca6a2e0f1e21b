"""Trees of tf.contrib.boosted_trees as arrays; what is refused is in rules/additive_trees.txt as well."""

from __future__ import annotations

import math
from typing import Any

import pytest

from migrate.graph.tree_protos import DecisionTreeEnsembleConfig
from migrate.rewrite.additive_trees import DENSE, IDS, OBLIVIOUS, RIGHT, Ensemble, Features, read_trees

_ALL = Features(2, 2, 2)


def _tree() -> Any:
    return DecisionTreeEnsembleConfig().trees.add()


def _leaves(tree: Any, *values: float) -> None:
    for value in values:
        tree.nodes.add().leaf.vector.value.append(value)


def _read(tree: Any, width: int = 1) -> Ensemble | str:
    return read_trees([tree], _ALL, width)


def test_an_oblivious_split_is_there_for_each_node_of_its_level():
    tree = _tree()
    tree.nodes.add().oblivious_dense_float_binary_split.threshold = 0.5
    tree.nodes.add().oblivious_categorical_id_binary_split.feature_id = 3
    _leaves(tree, 0.0, 1.0, 2.0, 3.0)
    found = _read(tree)
    assert isinstance(found, Ensemble) and found.depth == 2
    assert found.nodes.columns[:3] == ((OBLIVIOUS, 0, ()), (IDS, 0, (3,)), (IDS, 0, (3,)))
    assert found.nodes.numbers[3:] == (2, 3, 4, 5)
    assert [values[0] for values in found.nodes.values[3:]] == [0.0, 1.0, 2.0, 3.0]


def test_a_leaf_of_few_classes_adds_nothing_to_the_others():
    tree = _tree()
    leaf = tree.nodes.add().leaf.sparse_vector
    leaf.index.append(2)
    leaf.value.append(0.5)
    found = _read(tree, 3)
    assert isinstance(found, Ensemble) and found.nodes.values == ((0.0, 0.0, 0.5),) and not found.depth


def test_children_may_be_shared_and_in_any_order():
    tree = _tree()
    split = tree.nodes.add().dense_float_binary_split
    split.left_id, split.right_id, split.feature_column = 2, 1, 1
    other = tree.nodes.add().sparse_float_binary_split_default_right.split
    other.left_id, other.right_id, other.dimension_id = 2, 2, 4
    _leaves(tree, 1.0)
    found = _read(tree)
    assert isinstance(found, Ensemble) and found.depth == 2
    assert [column for column in found.nodes.columns if column] == [(DENSE, 1, ()), (RIGHT, 0, (4,))]


def _cut(tree: Any) -> None:
    tree.nodes.add().oblivious_dense_float_binary_split.threshold = 0.5
    _leaves(tree, 1.0)


def _nan(tree: Any) -> None:
    split = tree.nodes.add().sparse_float_binary_split_default_left.split
    split.left_id, split.right_id, split.threshold = 1, 1, math.nan
    _leaves(tree, 1.0)


def _empty_set(tree: Any) -> None:
    split = tree.nodes.add().categorical_id_set_membership_binary_split
    split.left_id, split.right_id = 1, 1
    _leaves(tree, 1.0)


def _twice(tree: Any) -> None:
    leaf = tree.nodes.add().leaf.sparse_vector
    leaf.index.extend([0, 0])
    leaf.value.extend([1.0, 2.0])


@pytest.mark.parametrize("make", [lambda tree: None, lambda tree: tree.nodes.add(), _cut, _nan, _empty_set, _twice])
def test_what_the_kernel_does_with_other_trees_is_not_known(make):
    tree = _tree()
    make(tree)
    assert isinstance(_read(tree), str)
