"""ReduceSliceSum, ReduceSliceProd, ReduceSliceMax and ReduceSliceMin of tf.contrib.reduce_slice_ops."""

from __future__ import annotations

import math

from migrate.graph.dtypes import dtype_name, dtype_value
from migrate.graph.graph import attribute, control_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.loop_builder import LoopBuilder
from migrate.rewrite.new_nodes import BOOL, INT32, INT64, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_BFLOAT16 = dtype_value("bfloat16")
_FLOATS = frozenset(map(dtype_value, ("float16", "float32", "float64")))
_LIMITS = {
    dtype_value(name): (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, bits in (("int8", 8), ("int16", 16), ("int32", 32), ("int64", 64))
} | {dtype_value(name): (0, 2**bits - 1) for name, bits in (("uint8", 8), ("uint16", 16))}
"""The least and the largest number of each integer dtype that has a kernel."""
_COMPLEX = frozenset(map(dtype_value, ("complex64", "complex128")))
_ORDERED = frozenset({*_FLOATS, *_LIMITS, _BFLOAT16})


def _reduce_slice(node: NodeDef, scope: Scope) -> Edit | Finding:
    """Range after range what the elements of an axis from its begin up to its end give: sum, product, most or least.

    contrib/reduce_slice_ops/kernels/reduce_slice_ops.cc. The k-th range is indices[k], or of a vector from indices[k]
    to indices[k + 1]; an end behind the axis is the axis's. Elements are taken one after another, beginning with 0, 1,
    the lowest and the highest value, and of two the second where not the first one is greater (less). Before its axis
    the kernel reads what is there in memory, which is an error here.
    """
    dtype = attribute(node, "T").type
    ordered = node.op in ("ReduceSliceMax", "ReduceSliceMin")
    if dtype not in _ORDERED and (ordered or dtype not in _COMPLEX):
        name = dtype_name(dtype)
        message = f"{scope.aliases.run.key}: {node.op} {node.name!r} is of {name}, for which TensorFlow 1 has no kernel"
        return refusal("op-without-kernel", message, (node.name,), "cast its data to a dtype that has one, as float32")
    b = Builder(scope, node, T=INT64)
    data, indices, axis = (b.value(number) for number in range(3))
    beside = producer(data)
    zero, along, first = (
        b.constant("zero", 0, beside, dtype=INT64),
        b.constant("along", 0, beside),
        _row(b, "first", 0, beside),
    )
    shape = b.Shape(data, T=dtype, out_type=INT64)
    here = b.Reshape(axis, _row(b, "one", 1, beside), name="axis", T=INT64, Tshape=INT32)
    place = b.Cast(here, name="place", SrcT=INT64, DstT=INT32)
    behind = b.AddV2(place, _row(b, "next", 1, beside), name="behind", T=INT32)
    before = b.Slice(shape, first, place, name="before", T=INT64, Index=INT32)
    after = b.Slice(shape, behind, _row(b, "rest", -1, beside), name="after", T=INT64, Index=INT32)
    parts = ("outer", before), ("length", b.rows("lengths", shape, here, along)), ("inner", after)
    outer, length, inner = (b.Prod(part, first, name=name, T=INT64, Tidx=INT32) for name, part in parts)
    form = b.node("Pack", [outer, length, inner], "form", {"N": 3})
    table = b.Reshape(data, form, name="table", T=dtype, Tshape=INT64)
    ranges, begins, ends = _ranges(b, indices, attribute(node, "Tindices").type, beside)
    ends = b.Minimum(ends, length, name="kept_ends")
    result = b.node("Pack", [outer, ranges, inner], "result_form", {"N": 3})
    empty = b.Fill(result, _start(b, node.op, dtype, beside), name="empty", T=dtype, index_type=INT64)
    sizes = b.Sub(ends, begins, name="sizes")
    longest = b.Max(sizes, first, name="longest", T=INT64, Tidx=INT32)
    loop = LoopBuilder(b, f"{node.name}/steps", [f"^{name}" for name in control_inputs(node)])
    fixed = loop.constants(
        {"table": (table, dtype), "begins": (begins, INT64), "ends": (ends, INT64), "longest": (longest, INT64)}
    )
    merged = loop.merged({"step": (zero, INT64), "found": (empty, dtype)})
    now = loop.inside(b.Less(merged["step"], fixed["longest"], name="is_left"))
    step, found = now["step"], now["found"]
    at = b.AddV2(fixed["begins"], step, name="at")
    is_in = b.Less(at, fixed["ends"], name="is_in")
    across = b.constant("across", 1, step)
    kept = b.SelectV2(is_in, at, b.constant("nowhere", 0, step, dtype=INT64), name="kept")
    taken = b.GatherV2(fixed["table"], kept, across, name="taken", Tparams=dtype, Tindices=INT64, Taxis=INT32)
    wide = b.ExpandDims(is_in, across, name="is_in_wide", T=BOOL, Tdim=INT32)
    both = _both(b, node.op, found, taken, dtype)
    left = loop.left(
        {
            "step": b.AddV2(step, b.constant("one_more", 1, step, dtype=INT64), name="step_next"),
            "found": b.SelectV2(wide, both, found, name="found_next", T=dtype),
        }
    )
    middle = b.ExpandDims(ranges, along, name="middle", T=INT64, Tdim=INT32)
    parts_of_shape = [before, middle, after, along]
    wanted = b.node("ConcatV2", parts_of_shape, "wanted", {"N": 3}, T=INT64, Tidx=INT32)
    last = replaced(node, "Reshape", [left["found"], wanted])
    last.attr.clear()
    last.attr["T"].type, last.attr["Tshape"].type = dtype, INT64
    return b.edit(last)


def _ranges(b: Builder, indices: str, dtype: int, beside: str) -> tuple[str, str, str]:
    """How many ranges there are, and their begins and ends.

    In a vector, or a matrix of one column, the end of one is the begin of the next.
    """
    zero, one, two = (b.constant(f"n{k}", k, beside, dtype=INT64) for k in range(3))
    along = b.constant("ranges_along", 0, beside)
    shape = b.Shape(indices, name="indices_shape", T=dtype, out_type=INT64)
    wide = [shape, b.constant("column", [1], beside, dtype=INT64), along]
    width = b.rows("width", b.node("ConcatV2", wide, "wide", {"N": 2}, T=INT64, Tidx=INT32), one, along)
    is_vector = b.Equal(width, one, name="is_vector")
    rows = b.rows("rows", shape, zero, along)
    pairs = b.Maximum(b.Sub(rows, one, name="fewer"), zero, name="pairs")
    count = b.SelectV2(is_vector, pairs, rows, name="ranges")
    flat = b.Reshape(indices, _row(b, "vector_form", -1, beside), name="flat", T=dtype, Tshape=INT32)
    if dtype != INT64:
        flat = b.Cast(flat, name="flat_long", SrcT=dtype, DstT=INT64)
    apart = b.SelectV2(is_vector, one, two, name="apart")
    places = b.Mul(b.Range(zero, count, one, name="numbers", Tidx=INT64), apart, name="places")
    begins = b.rows("begins", flat, places, along)
    return count, begins, b.rows("ends", flat, b.AddV2(places, one, name="end_places"), along)


def _row(b: Builder, name: str, value: int, beside: str) -> str:
    return b.constant(name, [value], beside)


def _start(b: Builder, op: str, dtype: int, beside: str) -> str:
    """What a range without elements gives."""
    if op == "ReduceSliceSum":
        return b.typed("start", 0.0, dtype, beside)
    if op == "ReduceSliceProd":
        return b.typed("start", 1.0, dtype, beside)
    is_most = op == "ReduceSliceMax"
    if dtype in _LIMITS:
        least, largest = _LIMITS[dtype]
        made = b.constant("start", least if is_most else largest, beside, dtype=INT64)
        return made if dtype == INT64 else b.Cast(made, name="start_cast", SrcT=INT64, DstT=dtype)
    # TensorFlow 1 says nothing of the limits of bfloat16, and C++ takes zeros then.
    value = 0.0 if dtype == _BFLOAT16 else math.inf
    return b.typed("start", -value if is_most else value, dtype, beside)


def _both(b: Builder, op: str, found: str, taken: str, dtype: int) -> str:
    """What is found with one element more."""
    if op == "ReduceSliceSum":
        return b.AddV2(found, taken, name="both", T=dtype)
    if op == "ReduceSliceProd":
        return b.Mul(found, taken, name="both", T=dtype)
    stays = b.node("Greater" if op == "ReduceSliceMax" else "Less", [found, taken], "stays", T=dtype)
    return b.SelectV2(stays, found, taken, name="both", T=dtype)


REDUCE_SLICE = Rule(
    "reduce_slice", {f"ReduceSlice{name}": Op(fewest=3) for name in ("Sum", "Prod", "Max", "Min")}, _reduce_slice
)
