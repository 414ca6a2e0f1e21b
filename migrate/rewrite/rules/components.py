"""ImageConnectedComponents of tf.contrib.image: pixels that are neighbours and have the same value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from migrate.graph.graph import attribute, control_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.loop_builder import SHORT, LoopBuilder
from migrate.rewrite.new_nodes import BOOL, INT32, INT64, Edit, new_node
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

Tensors = Mapping[str, str]


def _components(node: NodeDef, scope: Scope) -> Edit:
    """1 + the number of the pixel that is its component's root, and 0 for a pixel that is zero.

    contrib/image/kernels/segmentation_ops.h: blocks of 2, 4, 8, .. pixels are each put together of four. First the
    pixels on both sides of the vertical seam are joined, from the top down, then those of the horizontal one, from the
    left. Of two roots the one with the lower rank stays one, and of two with one rank the second, whose rank rises. No
    block touches another, so the n-th pairs of all blocks are joined in one step.
    """
    b = Builder(scope, node, T=INT64)
    dtype = attribute(node, "dtype").type
    images = b.shaped(b.value(0), "images", dtype, [-1] * 3)
    beside = producer(images)
    zero, one, two = (b.constant(f"n{k}", k, beside, dtype=INT64) for k in range(3))
    vector, stack = b.constant("vector", [-1], beside), b.constant("stack", [-1, 1, 1], beside)
    shape = b.Shape(images, T=dtype, out_type=INT64)
    sizes = b.node("Unpack", [shape], "sizes", {"num": 3})
    pages, height, width = sizes, f"{sizes}:1", f"{sizes}:2"
    flat = b.Reshape(images, vector, name="flat", T=dtype, Tshape=INT32)
    is_some = b.NotEqual(flat, b.ZerosLike(flat, name="nothing", T=dtype), name="is_some", T=dtype)
    count = b.Size(images, T=dtype, out_type=INT64)
    own = b.Range(zero, count, one, name="own", Tidx=INT64)
    plane = b.Mul(height, width, name="plane")
    starts = b.Mul(b.Range(zero, pages, one, name="numbers", Tidx=INT64), plane, name="places")
    side = b.Minimum(b.Maximum(height, width, name="longest"), count, name="side")
    fixed = {
        "flat": (flat, dtype),
        "some": (is_some, BOOL),
        "own": (own, INT64),
        "height": (height, INT64),
        "width": (width, INT64),
        "starts": (b.Reshape(starts, stack, name="starts", T=INT64, Tshape=INT32), INT64),
        "end": (b.Mul(side, two, name="end"), INT64),
    }
    loop = LoopBuilder(b, f"{node.name}/sizes", [f"^{name}" for name in control_inputs(node)], SHORT)
    inside = loop.constants(fixed)
    first = {"size": two, "roots": own, "ranks": b.ZerosLike(own, name="ranks")}
    merged = loop.merged({name: (tensor, INT64) for name, tensor in first.items()})
    state = loop.inside(b.Less(merged["size"], inside["end"], name="is_left"))
    roots = loop.left(_doubled(b, node, inside, dtype, state), ["roots"])["roots"]
    numbers = b.SelectV2(is_some, b.AddV2(roots, one, name="number"), zero, name="numbered")
    last = NodeDef(name=node.name, op="Reshape", input=[numbers, shape])
    last.input.extend(name for name in node.input if name.startswith("^"))
    last.attr["T"].type = last.attr["Tshape"].type = INT64
    return b.edit(last)


def _doubled(b: Builder, node: NodeDef, fixed: Tensors, dtype: int, state: Tensors) -> Tensors:
    """The state after all blocks of one size are made of smaller ones."""
    size, roots, ranks = state["size"], state["roots"], state["ranks"]
    zero, two = (b.constant(f"size_{k}", k, size, dtype=INT64) for k in (0, 2))
    axis, last = b.constant("axis", 0, size), b.constant("last", -1, size)
    pairs, steps = _pairs(b, fixed, size, axis, last)
    values = [b.rows(word, fixed["flat"], at, axis, dtype) for word, at in zip(("pixel", "next"), pairs, strict=True)]
    is_same = b.Equal(*values, name="is_same", T=dtype)
    conditions = [b.rows("is_pixel", fixed["some"], pairs[0], axis, BOOL), is_same]
    both = b.add(new_node("LogicalAnd", b.name("both"), conditions))
    row = b.constant("row", [-1], size)
    kept = b.Reshape(b.Where(both, name="where", T=BOOL), row, name="kept", T=INT64, Tshape=INT32)
    # In the order of their steps: the least first, that is the largest of what is below zero.
    keys = b.Neg(b.rows("steps", steps, kept, axis), name="keys")
    count = b.Size(kept, name="kept_count", T=INT64, out_type=INT32)
    sorted_keys = b.node("TopKV2", [keys, count], "sorted_keys")
    b.nodes[-1].attr["sorted"].b = True
    order = b.GatherV2(kept, f"{sorted_keys}:1", axis, name="order", Tparams=INT64, Tindices=INT32, Taxis=INT32)
    groups = b.node("UniqueWithCounts", [sorted_keys], "groups", T=INT64, out_idx=INT64)
    counts = f"{groups}:2"
    begins = new_node("Cumsum", b.name("begins"), [counts, axis], T=INT64, Tidx=INT32)
    begins.attr["exclusive"].b = True
    b.add(begins)
    ends = [b.rows(f"root_{k}", roots, b.rows(f"at_{k}", at, order, axis), axis) for k, at in enumerate(pairs)]
    every = b.node("ConcatV2", [*ends, axis], "every", {"N": 2}, T=INT64, Tidx=INT32)
    known = b.node("Unique", [every], "known", T=INT64, out_idx=INT64)
    two_rows = b.constant("two_rows", [2, -1], size)
    numbers = b.Reshape(f"{known}:1", two_rows, name="known_numbers", T=INT64, Tshape=INT32)
    ends_known = b.node("Unpack", [numbers], "ends", {"num": 2})
    nobody = b.Size(known, name="nobody", T=INT64, out_type=INT64)
    one = b.constant("size_1", 1, size, dtype=INT64)
    slots = b.Range(zero, b.AddV2(nobody, one, name="slot_count"), one, name="slots", Tidx=INT64)
    inner = {
        "first": (ends_known, INT64),
        "second": (f"{ends_known}:1", INT64),
        "begins": (begins.name, INT64),
        "counts": (counts, INT64),
        "slots": (slots, INT64),
        "nobody": (nobody, INT64),
        "groups": (b.Size(counts, name="group_count", T=INT64, out_type=INT64), INT64),
    }
    loop = LoopBuilder(b, f"{node.name}/steps", [], dataclasses.replace(SHORT, prefix="in_"))
    inside = loop.constants(inner)
    spare = b.constant("spare", [0], size, dtype=INT64)
    given = [b.rows("known_ranks", ranks, known, axis), spare, axis]
    first = {
        "group": zero,
        "trees": b.Range(zero, nobody, one, name="trees", Tidx=INT64),
        "heights": b.node("ConcatV2", given, "heights", {"N": 2}, T=INT64, Tidx=INT32),
    }
    merged = loop.merged({name: (tensor, INT64) for name, tensor in first.items()})
    now = loop.inside(b.Less(merged["group"], inside["groups"], name="in_is_left"))
    left = loop.left(_joined(b, inside, now), ["trees", "heights"])
    trees, heights = left["trees"], left["heights"]
    rows = b.ExpandDims(known, last, name="known_rows", T=INT64, Tdim=INT32)
    moved = b.TensorScatterUpdate(
        fixed["own"], rows, b.rows("parents", known, trees, axis), name="moved", T=INT64, Tindices=INT64
    )
    start = b.constant("start", [0], size, dtype=INT64)
    some = b.Slice(
        heights,
        start,
        b.ExpandDims(nobody, axis, name="known_size", T=INT64, Tdim=INT32),
        name="some",
        T=INT64,
        Index=INT64,
    )
    return {
        "size": b.Mul(size, two, name="double"),
        "roots": b.rows("next_roots", moved, roots, axis),
        "ranks": b.TensorScatterUpdate(ranks, rows, some, name="next_ranks", T=INT64, Tindices=INT64),
    }


def _pairs(b: Builder, fixed: Tensors, size: str, axis: str, last: str) -> tuple[Sequence[str], str]:
    """The pixels on this and on that side of all seams, and the step of each pair."""
    zero, one, two = (b.constant(f"pair_{k}", k, size, dtype=INT64) for k in range(3))
    row = b.constant("pair_row", [-1], size)
    height, width = fixed["height"], fixed["width"]
    before = b.Sub(b.FloorDiv(size, two, name="half"), one, name="before")

    def seams(name: str, length: str) -> str:
        limit = b.Maximum(before, b.Sub(length, one, name=f"{name}_end"), name=f"{name}_limit")
        return b.Range(before, limit, size, name=name, Tidx=INT64)

    def pixels(name: str, lines: str, columns: str) -> str:
        line = b.ExpandDims(b.Mul(lines, width, name=f"{name}_line"), last, name=f"{name}_lines", T=INT64, Tdim=INT32)
        page = b.AddV2(line, columns, name=f"{name}_page")
        return b.Reshape(b.AddV2(page, fixed["starts"], name=f"{name}_all"), row, name=name, T=INT64, Tshape=INT32)

    beside = pixels("beside", b.Range(zero, height, one, name="every_line", Tidx=INT64), seams("columns", width))
    above = pixels("above", seams("lines", height), b.Range(zero, width, one, name="every_column", Tidx=INT64))
    line = b.FloorMod(b.FloorDiv(beside, width, name="beside_number"), height, name="beside_line_number")
    steps = [
        b.FloorMod(line, size, name="beside_step"),
        b.AddV2(
            b.FloorMod(b.FloorMod(above, width, name="above_column"), size, name="above_place"), size, name="above_step"
        ),
    ]
    first = [beside, above]
    second = [b.AddV2(beside, one, name="right"), b.AddV2(above, width, name="below")]
    joined = [
        b.node("ConcatV2", [*parts, axis], name, {"N": 2}, T=INT64, Tidx=INT32)
        for name, parts in (("here", first), ("there", second), ("every_step", steps))
    ]
    return joined[:2], joined[2]


def _joined(b: Builder, fixed: Tensors, state: Tensors) -> Tensors:
    """The trees after one step: of each block a pair, or none."""
    group, trees, heights = state["group"], state["trees"], state["heights"]
    axis, last = b.constant("in_axis", 0, group), b.constant("in_last", -1, group)
    one = b.constant("in_1", 1, group, dtype=INT64)
    part = [
        b.ExpandDims(b.rows(f"in_{name}", fixed[name], group, axis), axis, name=f"in_{name}_row", T=INT64, Tdim=INT32)
        for name in ("begins", "counts")
    ]
    first, second = (
        b.rows(f"{name}_root", trees, b.Slice(fixed[name], *part, name=f"{name}_part", T=INT64, Index=INT64), axis)
        for name in ("first", "second")
    )
    lower = b.Less(
        b.rows("first_rank", heights, first, axis), b.rows("second_rank", heights, second, axis), name="is_lower"
    )
    is_apart = b.NotEqual(first, second, name="is_apart")
    parent, child = (
        b.SelectV2(is_apart, b.SelectV2(lower, *two, name=name), fixed["nobody"], name=f"{name}_or_none")
        for name, two in (("parent", (first, second)), ("child", (second, first)))
    )
    parents, children = (
        b.ExpandDims(tensor, last, name=f"{name}_rows", T=INT64, Tdim=INT32)
        for name, tensor in (("parent", parent), ("child", child))
    )
    is_not = b.add(new_node("LogicalNot", b.name("is_not_lower"), [lower]))
    rises = b.Cast(is_not, name="rises", SrcT=BOOL, DstT=INT64)
    moved = b.TensorScatterUpdate(fixed["slots"], children, parent, name="in_moved", T=INT64, Tindices=INT64)
    return {
        "group": b.AddV2(group, one, name="next_group"),
        "trees": b.rows("next_trees", moved, trees, axis),
        "heights": b.TensorScatterAdd(heights, parents, rises, name="next_heights", T=INT64, Tindices=INT64),
    }


COMPONENTS = Rule("components", {"ImageConnectedComponents": Op()}, _components)
