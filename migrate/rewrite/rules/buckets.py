"""Ops of tf.contrib and of canned estimators that put numbers into buckets, as searches in sorted vectors.

UpperBound and LowerBound search each row with std::upper_bound and std::lower_bound (searchsorted_op.cc), as these ops'
kernels do, so that NaN and infinity meet the same comparisons.
"""

from __future__ import annotations

from itertools import pairwise

from migrate.graph.constant_numbers import numbers
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import FLOAT, INT32, INT64, STRING, Edit, new_node, replaced
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


def _quantiles(node: NodeDef, scope: Scope) -> Edit | Finding:
    """For each feature the bucket of each value, as BoostedTreesBucketize has it, and beside it the value's dimension.

    contrib/boosted_trees/kernels/quantile_ops.cc, QuantizeFeatures: a dense value has dimension 0, a sparse one that of
    its index, in 32 bits. There are as many values as the tensor has rows. Without buckets the kernel ends the process.
    """
    dense, sparse = (attribute(node, f"num_{kind}_features").i for kind in ("dense", "sparse"))
    first = dense + sparse
    given = len(data_inputs(node))
    if min(dense, sparse) < 0 or not first or given != 2 * first + sparse:
        message = f"{scope.aliases.run.key}: Quantiles {node.name!r} has {given} inputs; its attributes say other ones"
        return refusal("graph-broken", message, (node.name,))
    b = Builder(scope, node)
    outputs = []
    for number in range(first):
        name = f"feature_{number}"
        values, buckets = b.value(number), b.value(first + number)
        beside = producer(buckets)
        start, one = b.constant(f"{name}_start", [0], beside), b.constant(f"{name}_one", [1], beside)
        row, axis = b.constant(f"{name}_row", [-1], beside), b.constant(f"{name}_axis", 0, beside)
        if number in (0, dense):  # Of the other buckets the kernel takes what they have.
            boundaries = b.shaped(buckets, f"{name}_buckets", FLOAT, [-1])
        else:
            boundaries = b.Reshape(buckets, row, name=f"{name}_buckets", T=FLOAT, Tshape=INT32)
        shape = b.Shape(values, name=f"{name}_shape", T=FLOAT, out_type=INT32)
        count = b.Slice(shape, start, one, name=f"{name}_count", T=INT32, Index=INT32)
        flat = b.Reshape(values, row, name=f"{name}_flat", T=FLOAT, Tshape=INT32)
        taken = b.Slice(flat, start, count, name=f"{name}_values", T=FLOAT, Index=INT32)
        size = b.Shape(boundaries, name=f"{name}_size", T=FLOAT, out_type=INT32)
        enough = b.GreaterEqual(
            size, b.Minimum(count, one, name=f"{name}_some", T=INT32), name=f"{name}_enough", T=INT32
        )
        check = b.all_hold(f"{name}_check", enough, b"Got empty buckets")
        searched = b.ExpandDims(boundaries, axis, f"^{check}", name=f"{name}_searched", T=FLOAT, Tdim=INT32)
        asked = b.ExpandDims(taken, axis, name=f"{name}_asked", T=FLOAT, Tdim=INT32)
        found = b.node(
            "Squeeze",
            [b.LowerBound(searched, asked, name=f"{name}_bounds", T=FLOAT, out_type=INT32)],
            f"{name}_found",
            T=INT32,
        )
        b.nodes[-1].attr["squeeze_dims"].list.i.append(0)
        last = b.Sub(size, one, name=f"{name}_last", T=INT32)
        bucket = b.Minimum(found, last, name=f"{name}_bucket", T=INT32)
        if number < dense:
            dimension = b.ZerosLike(bucket, name=f"{name}_dimension", T=INT32)
        else:
            dimension = _dimension(b, b.value(2 * first + number - dense), count, name)
        outputs.append(b.node("Pack", [bucket, dimension], name, {"N": 2, "axis": 1}, T=INT32))
    result = NodeDef(name=node.name, op="IdentityN", input=outputs)
    result.input.extend(name for name in node.input if name.startswith("^"))
    result.attr["T"].list.type.extend([INT32] * first)
    return b.edit(result)


def _dimension(b: Builder, indices: str, count: str, name: str) -> str:
    """The second column of some indices, in 32 bits."""
    matrix = b.shaped(indices, f"{name}_indices", INT64, [-1, -1])
    one, start = b.constant(f"{name}_column", 1, producer(indices)), b.constant(f"{name}_first", [0], producer(indices))
    column = b.GatherV2(matrix, one, one, name=f"{name}_dimensions", Tparams=INT64, Tindices=INT32, Taxis=INT32)
    some = b.Slice(column, start, count, name=f"{name}_long", T=INT64, Index=INT32)
    return b.Cast(some, name=f"{name}_dimension", SrcT=INT64, DstT=INT32)


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
QUANTILES = Rule("quantiles", {"Quantiles": Op(fewest=2)}, _quantiles)
