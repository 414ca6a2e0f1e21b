"""Ops of tf.contrib and of canned estimators that put numbers into buckets, as searches in sorted vectors.

UpperBound and LowerBound search each row with std::upper_bound and std::lower_bound (searchsorted_op.cc), as these ops'
kernels do, so that NaN and infinity meet the same comparisons.
"""

from __future__ import annotations

from itertools import pairwise

from migrate.graph.constant_numbers import numbers
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import FLOAT, INT32, STRING, Edit, new_node, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_SAME_VALUES = frozenset({"ExpandDims", "Identity", "Reshape", "Snapshot", "Squeeze", "StopGradient"})
"""What gives the values of its first input, in their order."""


def _upper_bound(node: NodeDef, scope: Scope) -> Edit:
    """How many boundaries are not above each value (contrib/boosted_trees/kernels/quantile_ops.cc).

    The kernel takes values and boundaries of any shape, casts the boundaries to the values' dtype, and fails where they
    are not sorted then.
    """
    b = Builder(scope, node)
    dtype = attribute(node, "T").type
    values, given = b.value(0), b.value(1)
    row = b.constant("row", [1, -1], producer(given))
    boundaries = b.Reshape(given, row, name="boundaries", T=FLOAT, Tshape=INT32)
    if dtype != FLOAT:
        boundaries = b.Cast(boundaries, name="cast", SrcT=FLOAT, DstT=dtype)
    if not _is_sorted(scope, data_inputs(node)[1]):
        boundaries = b.Identity(boundaries, f"^{_assert_sorted(b, boundaries, dtype)}", name="sorted", T=dtype)
    flat = b.Reshape(values, row, name="values", T=dtype, Tshape=INT32)
    found = b.UpperBound(boundaries, flat, T=dtype, out_type=INT32)
    shape = b.Shape(values, T=dtype, out_type=INT32)
    last = replaced(node, "Reshape", [found, shape])
    last.attr["T"].type = INT32
    last.attr["Tshape"].type = INT32
    return b.edit(last)


def _lower_bounds(node: NodeDef, scope: Scope) -> Edit:
    """For each feature, how many boundaries are below each value, and the last bucket above all of them.

    The kernel (core/kernels/boosted_trees/quantile_ops.cc) gives zeros where a feature has no boundaries, and does not
    look whether they are sorted.
    """
    b = Builder(scope, node)
    features = len(data_inputs(node)) // 2
    buckets = []
    for number in range(features):
        values, boundaries = b.value(number), b.value(features + number)
        axis = b.constant(f"axis_{number}", 0, producer(boundaries))
        searched = b.ExpandDims(boundaries, axis, name=f"boundaries_{number}", T=FLOAT, Tdim=INT32)
        rows = b.ExpandDims(values, axis, name=f"values_{number}", T=FLOAT, Tdim=INT32)
        found = b.LowerBound(searched, rows, name=f"found_{number}", T=FLOAT, out_type=INT32)
        size = b.Size(boundaries, name=f"size_{number}", T=FLOAT, out_type=INT32)
        one = b.constant(f"one_{number}", 1, producer(boundaries))
        # One boundary's bucket is 0 and so is that of none, where `last` is -1.
        last = b.Sub(size, one, name=f"last_{number}", T=INT32)
        clipped = b.Maximum(
            b.Minimum(found, last, name=f"clipped_{number}", T=INT32), axis, name=f"least_{number}", T=INT32
        )
        squeezed = new_node("Squeeze", scope.unique(f"{node.name}/bucket_{number}"), [clipped], T=INT32)
        squeezed.attr["squeeze_dims"].list.i.append(0)
        b.nodes.append(squeezed)
        buckets.append(squeezed.name)
    last_node = replaced(node, "IdentityN", buckets)
    last_node.attr.pop("num_features", None)
    last_node.attr["T"].list.type.extend([INT32] * features)
    return b.edit(last_node)


def _assert_sorted(b: Builder, row: str, dtype: int) -> str:
    """The node that fails, as the kernel does, where an element of a row is below the one before it."""
    before = _part(b, row, "before", dtype, [0, 0], [0, -1], begin_mask=3, end_mask=1)
    after = _part(b, row, "after", dtype, [0, 1], [0, 0], begin_mask=1, end_mask=3)
    axes = b.constant("axes", [0, 1], producer(row))
    falls = b.Any(b.Less(after, before, name="below", T=dtype), axes, name="falls", Tidx=INT32)
    check = new_node(
        "Assert",
        b.name("check"),
        [b.LogicalNot(falls, name="rises"), b.constant("message", b"Expected sorted boundaries", producer(row))],
    )
    check.attr["T"].list.type.append(STRING)
    check.attr["summarize"].i = 3
    return b.add(check)


def _part(b: Builder, row: str, name: str, dtype: int, begin: list[int], end: list[int], **masks: int) -> str:
    at = [
        b.constant(f"{name}_{key}", value, producer(row))
        for key, value in (("begin", begin), ("end", end), ("step", [1, 1]))
    ]
    node = new_node("StridedSlice", b.name(name), [row, *at], T=dtype, Index=INT32)
    for key, mask in masks.items():
        node.attr[key].i = mask
    return b.add(node)


def _is_sorted(scope: Scope, tensor: str) -> bool:
    """Whether a tensor is known to be a constant whose elements rise."""
    nodes = scope.aliases.run.graph.nodes
    node = nodes.get(producer(tensor))
    while node is not None and node.op in _SAME_VALUES:
        node = nodes.get(producer(data_inputs(node)[0]))
    if node is None or node.op != "Const":
        return False
    values = numbers(attribute(node, "value").tensor)
    return values is not None and not any(second < first for first, second in pairwise(values))


UPPER_BOUND = Rule("upper_bound", {"BucketizeWithInputBoundaries": Op(fewest=2)}, _upper_bound)
LOWER_BOUNDS = Rule("lower_bounds", {"BoostedTreesBucketize": Op(fewest=2)}, _lower_bounds)
