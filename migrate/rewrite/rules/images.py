"""Ops of tf.contrib that work on images: image, resampler and periodic_resample."""

from __future__ import annotations

import math

from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, FLOAT, INT32, INT64, Edit, new_node, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope


def _transform(node: NodeDef, scope: Scope) -> Edit:
    """ImageProjectiveTransform is its V2 whose output has the input's height and width.

    contrib/image/kernels/image_ops.h was read, of which core/kernels/image/image_ops.h is the later form.
    """
    b = Builder(scope, node)
    images, transforms = b.value(0), b.value(1)
    shape = b.Shape(images, T=attribute(node, "dtype").type, out_type=INT32)
    at, size = b.constant("at", [1], producer(shape)), b.constant("size", [2], producer(shape))
    last = replaced(
        node,
        "ImageProjectiveTransformV2",
        [images, transforms, b.Slice(shape, at, size, name="plane", T=INT32, Index=INT32)],
    )
    return b.edit(last)


def _resample(node: NodeDef, scope: Scope) -> Edit:
    """Bilinear interpolation at points (x, y), in the order of contrib/resampler/kernels/resampler_ops.cc.

    With fx = floor(x), dx = fx + 1 - x and the same for y, a point inside (-1, width) x (-1, height) is

        dx * dy * at(fx, fy) + (1 - dx) * (1 - dy) * at(cx, cy) + dx * (1 - dy) * at(fx, cy) +
        (1 - dx) * dy * at(cx, fy)

    where cx = fx + 1 and `at` is 0 beside the image; a point that is not inside is 0.
    """
    dtype = attribute(node, "T").type
    b = Builder(scope, node)
    data, warp = b.value(0), b.value(1)
    beside = producer(data)
    sizes = b.node("Unpack", [b.Shape(data, name="data_shape", T=dtype, out_type=INT32)], "sizes", {"num": 4}, T=INT32)
    batch, height, width, channels = sizes, f"{sizes}:1", f"{sizes}:2", f"{sizes}:3"
    warp_shape = b.Shape(warp, name="warp_shape", T=dtype, out_type=INT32)
    zero, minus = b.constant("zero", [0], beside), b.constant("minus", [-1], beside)
    one, two = b.constant("one", [1], beside), b.constant("two", [2], beside)
    given = b.Slice(warp_shape, zero, one, name="given", T=INT32, Index=INT32)
    axis = b.constant("axis", 0, beside)
    rows = b.ExpandDims(batch, axis, name="rows", T=INT32, Tdim=INT32)
    alike = b.Equal(given, rows, name="alike", T=INT32)
    check = b.all_hold("same_batch", alike, b"Batch size of data and warp tensor must be the same")
    points = b.node("ConcatV2", [rows, minus, two, axis], "points", {"N": 3}, T=INT32, Tidx=INT32)
    row_of_points = b.Reshape(warp, points, f"^{check}", name="row_of_points", T=dtype, Tshape=INT32)
    pair = b.node("Unpack", [row_of_points], "pair", {"num": 2, "axis": 2}, T=dtype)
    x, y = pair, f"{pair}:1"
    below = b.typed("below", -1.0, dtype, beside)
    unit, nothing = b.typed("unit", 1.0, dtype, beside), b.typed("nothing", 0.0, dtype, beside)
    inside = ""
    for name, point, size in (("x", x, width), ("y", y, height)):
        high = b.Less(point, b.Cast(size, name=f"{name}_size", SrcT=INT32, DstT=dtype), name=f"{name}_high", T=dtype)
        both = b.LogicalAnd(b.Greater(point, below, name=f"{name}_low", T=dtype), high, name=f"{name}_inside")
        inside = b.LogicalAnd(inside, both, name="inside") if inside else both
    ends = {}
    for name, point in (("x", x), ("y", y)):
        # What is outside may be no number that has an integer.
        safe = b.SelectV2(inside, point, nothing, name=f"{name}_safe", T=dtype)
        single = b.Cast(safe, name=f"{name}_single", SrcT=dtype, DstT=FLOAT)
        first = b.Cast(b.Floor(single, name=f"{name}_floor", T=FLOAT), name=f"{name}_first", SrcT=FLOAT, DstT=INT32)
        second = b.AddV2(first, one, name=f"{name}_second", T=INT32)
        share = b.Sub(b.Cast(second, name=f"{name}_end", SrcT=INT32, DstT=dtype), safe, name=f"{name}_share", T=dtype)
        ends[name] = (first, second), (share, b.Sub(unit, share, name=f"{name}_rest", T=dtype))
    plane = b.Mul(height, width, name="plane", T=INT32)
    count = b.Mul(batch, plane, name="count", T=INT32)
    step = b.constant("step", 1, beside)
    numbers = b.Mul(b.Range(axis, batch, step, Tidx=INT32), plane, name="images", T=INT32)
    starts = b.ExpandDims(numbers, b.constant("last", 1, beside), name="starts", T=INT32, Tdim=INT32)
    # One row more, of zeros, for what is beside the image.
    by_row = b.node("Pack", [b.constant("any", -1, beside), channels], "by_row", {"N": 2}, T=INT32)
    pixels = b.Reshape(data, by_row, name="pixels", T=dtype, Tshape=INT32)
    row = b.node("Pack", [step, channels], "row", {"N": 2}, T=INT32)
    nothings = b.Fill(row, nothing, name="nothings", T=dtype, index_type=INT32)
    table = b.node("ConcatV2", [pixels, nothings, axis], "table", {"N": 2}, T=dtype, Tidx=INT32)
    total = ""
    for name, right, lower in (("fxfy", 0, 0), ("cxcy", 1, 1), ("fxcy", 0, 1), ("cxfy", 1, 0)):
        (columns, x_parts), (lines, y_parts) = ends["x"], ends["y"]
        there = ""
        for side, place, size in (("column", columns[right], width), ("line", lines[lower], height)):
            known = b.LogicalAnd(
                b.GreaterEqual(place, axis, name=f"{name}_{side}_low", T=INT32),
                b.Less(place, size, name=f"{name}_{side}_high", T=INT32),
                name=f"{name}_{side}",
            )
            there = b.LogicalAnd(there, known, name=f"{name}_there") if there else known
        line = b.Mul(lines[lower], width, name=f"{name}_start", T=INT32)
        place = b.AddV2(
            b.AddV2(line, columns[right], name=f"{name}_in_image", T=INT32), starts, name=f"{name}_place", T=INT32
        )
        found = b.SelectV2(there, place, count, name=f"{name}_row", T=INT32)
        values = b.GatherV2(table, found, axis, name=f"{name}_values", Tparams=dtype, Tindices=INT32, Taxis=INT32)
        weight = b.Mul(x_parts[right], y_parts[lower], name=f"{name}_weight", T=dtype)
        weight = b.ExpandDims(weight, minus, name=f"{name}_weights", T=dtype, Tdim=INT32)
        term = b.Mul(weight, values, name=name, T=dtype)
        total = b.AddV2(total, term, name=f"with_{name}", T=dtype) if total else term
    kept = b.ExpandDims(inside, minus, name="kept", T=BOOL, Tdim=INT32)
    result = b.SelectV2(kept, total, nothing, name="result", T=dtype)
    begin = b.node("StridedSlice", [warp_shape, zero, minus, one], "outer", {"begin_mask": 1}, T=INT32, Index=INT32)
    depth = b.ExpandDims(channels, axis, name="depth", T=INT32, Tdim=INT32)
    shape = b.node("ConcatV2", [begin, depth, axis], "shape", {"N": 2}, T=INT32, Tidx=INT32)
    last = replaced(node, "Reshape", [result, shape])
    last.attr["Tshape"].type = INT32
    return b.edit(last)


_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_FROM_YIQ = ((1.0, 0.95617069, 0.62143257), (1.0, -0.2726886, -0.64681324), (1.0, -1.103744, 1.70062309))


def _adjust(node: NodeDef, scope: Scope) -> Edit:
    """Each pixel times from_yiq * [[v, 0, 0], [0, v s cos(h), -v s sin(h)], [0, v s sin(h), v s cos(h)]] * to_yiq.

    contrib/image/kernels/adjust_hsv_in_yiq_op.h: Eigen adds the three products of an element of a matrix as
    a + (b + c); the kernel adds those of a pixel one after the other to 0.
    """
    b = Builder(scope, node, T=FLOAT)
    images = b.value(0)
    hue, saturation, value = (b.shaped(b.value(number), f"number_{number}", FLOAT) for number in (1, 2, 3))
    beside = producer(images)
    three, zero, nothing = (b.constant(*each, beside) for each in (("three", 3), ("zero", 0), ("nothing", 0.0)))
    last = b.constant("last", -1, beside)
    shape = b.Shape(images, T=FLOAT, out_type=INT32)
    ends = [b.constant(f"end_{number}", [number], beside) for number in (-1, 0, 1)]
    channels = b.node("StridedSlice", [shape, *ends], "channels", {"end_mask": 1}, T=INT32, Index=INT32)
    rank = b.ExpandDims(b.Size(shape, T=INT32, out_type=INT32), zero, name="rank", T=INT32, Tdim=INT32)
    fits = [b.Equal(channels, three, T=INT32), b.GreaterEqual(rank, three, T=INT32)]
    both = b.node("ConcatV2", [*fits, zero], "fits", {"N": 2}, T=BOOL, Tidx=INT32)
    check = b.all_hold("check", both, b"input must be at least 3-D and have 3 channels")
    strength = b.Mul(value, saturation, name="strength")
    along = b.Mul(strength, b.Cos(hue), name="along")
    across = b.Mul(strength, b.Sin(hue), name="across")
    turned = (
        (value, nothing, nothing),
        (nothing, along, b.Neg(across, name="back")),
        (nothing, across, along),
    )
    left = []
    for k in range(3):
        column = b.constant(f"from_{k}", [row[k] for row in _FROM_YIQ], beside, dtype=FLOAT)
        left.append(b.ExpandDims(column, last, name=f"column_{k}", T=FLOAT, Tdim=INT32))
    right = [b.node("Pack", row, f"turned_{k}", {"N": 3}) for k, row in enumerate(turned)]
    terms = [b.Mul(column, row, name=f"in_yiq_{k}") for k, (column, row) in enumerate(zip(left, right, strict=True))]
    matrix = b.AddV2(terms[0], b.AddV2(terms[1], terms[2], name="in_yiq_rest"), name="in_yiq")
    columns = b.node("Split", [last, matrix], "columns", {"num_split": 3})
    # Of two AddV2 the optimiser makes one AddN, which adds from left to right (arithmetic_optimizer.cc,
    # AddOpsRewriteStage); a + (b + c) is a - (-b - c).
    first, second, third = (
        b.Mul(
            column,
            b.constant(f"to_{k}", [-share for share in row] if k == 1 else row, beside, dtype=FLOAT),
            name=f"by_{k}",
        )
        for k, (column, row) in enumerate(zip(_three(columns), _TO_YIQ, strict=True))
    )
    matrix = b.Sub(first, b.Sub(second, third, name="rest"), name="matrix")
    weights = b.node("Unpack", [matrix], "weights", {"num": 3, "axis": 1})
    parts = b.node("Split", [last, images, f"^{check}"], "parts", {"num_split": 3})
    total = nothing
    for k, (part, weight) in enumerate(zip(_three(parts), _three(weights), strict=True)):
        term = b.Mul(part, weight, name=f"term_{k}")
        if k < 2:
            total = b.AddV2(total, term, name=f"total_{k}")
    return b.edit(replaced(node, "AddV2", [total, term]))


def _three(node: str) -> tuple[str, str, str]:
    return node, f"{node}:1", f"{node}:2"


def _periodic(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The element at o is the input's at (.., o[q] / c[q], .., s * target[a] + o[a], ..), a being the free dimension.

    contrib/periodic_resample/kernels/periodic_resample_op.h, with c[q] = ceil(target[q] / input[q]) in single
    precision and s = the sum over q other than a of (c[0] * .. * c[q - 1]) * (o[q] mod c[q]).
    """
    wanted = [dim.size for dim in attribute(node, "shape").shape.dim]
    free = [place for place, size in enumerate(wanted) if size < 1]
    if len(free) != 1:
        return refusal(
            "periodic-shape",
            f"{scope.aliases.run.key}: PeriodicResample {node.name!r} needs a shape with {len(free)} free dimensions; "
            "its kernel takes one, and fails in every call",
            (node.name,),
            "leave out the signatures that need it with --drop_signatures",
        )
    (adjustable,) = free
    rank, dtype = len(wanted), attribute(node, "T").type
    b = Builder(scope, node, T=INT64)
    values = b.value(0)
    beside = producer(values)
    zero, one = b.constant("zero", 0, beside, dtype=INT64), b.constant("one", 1, beside, dtype=INT64)
    axis, row = b.constant("axis", 0, beside), b.constant("row", [-1], beside)
    given = b.shaped(b.Shape(values, name="given", T=dtype, out_type=INT64), "ranked", INT64, [rank])
    known = [size for size in wanted if size >= 1]
    others = b.constant("others", math.prod(known), beside, dtype=INT64)
    rest = b.FloorDiv(b.Size(values, T=dtype, out_type=INT64), others, name="rest")
    sizes = [
        rest if q == adjustable else b.constant(f"size_{q}", size, beside, dtype=INT64) for q, size in enumerate(wanted)
    ]
    target = b.node("Pack", sizes, "target", {"N": rank})
    is_free = b.constant("is_free", [q == adjustable for q in range(rank)], beside, dtype=BOOL)
    least = b.SelectV2(is_free, one, given, name="least")
    check = b.all_hold(
        "check",
        b.GreaterEqual(target, least, name="fits"),
        b"periodic_resample expects larger dimensions, and one free",
    )
    share = b.RealDiv(
        b.Cast(target, name="target_float", SrcT=INT64, DstT=FLOAT),
        b.Cast(given, f"^{check}", name="given_float", SrcT=INT64, DstT=FLOAT),
        name="share",
        T=FLOAT,
    )
    ceilings = b.Cast(b.Ceil(share, T=FLOAT), name="ceilings", SrcT=FLOAT, DstT=INT64)
    shifts = _exclusive(b, ceilings, axis, "shifts", 0)
    factors = _exclusive(b, given, axis, "factors", 1)
    parts = {
        name: b.node("Unpack", [vector], f"{name}_parts", {"num": rank})
        for name, vector in (("ceiling", ceilings), ("shift", shifts), ("factor", factors))
    }

    def part(name: str, q: int) -> str:
        return f"{parts[name]}:{q}" if q else parts[name]

    along = []
    for q, size in enumerate(sizes):
        shape = b.constant(f"shape_{q}", [-1 if each == q else 1 for each in range(rank)], beside)
        numbers = b.Range(zero, size, one, name=f"range_{q}", Tidx=INT64)
        along.append(b.Reshape(numbers, shape, name=f"at_{q}", T=INT64, Tshape=INT32))
    moved, place = zero, zero
    for q in range(rank):
        if q != adjustable:
            rounds = b.FloorMod(along[q], part("ceiling", q), name=f"round_{q}")
            moved = b.AddV2(moved, b.Mul(part("shift", q), rounds, name=f"moves_{q}"), name=f"moved_{q}")
            there = b.FloorDiv(along[q], part("ceiling", q), name=f"there_{q}")
            place = b.AddV2(place, b.Mul(part("factor", q), there, name=f"step_{q}"), name=f"place_{q}")
    inside = b.AddV2(b.Mul(moved, rest, name="start"), along[adjustable], name="inside")
    place = b.AddV2(place, b.Mul(part("factor", adjustable), inside, name="step"), name="place")
    flat = b.Reshape(values, row, name="flat", T=dtype, Tshape=INT32)
    last = replaced(node, "GatherV2", [flat, place, axis])
    del last.attr["T"], last.attr["shape"]
    for key, kind in (("Tparams", dtype), ("Tindices", INT64), ("Taxis", INT32)):
        last.attr[key].type = kind
    return b.edit(last)


def _exclusive(b: Builder, vector: str, axis: str, name: str, reverse: int) -> str:
    """The products of the elements before each, or of those after it."""
    made = new_node("Cumprod", b.name(name), [vector, axis], T=INT64, Tidx=INT32)
    made.attr["exclusive"].b = True
    made.attr["reverse"].b = bool(reverse)
    return b.add(made)


TRANSFORM = Rule("transform", {"ImageProjectiveTransform": Op(fewest=2)}, _transform)
RESAMPLE = Rule("resample", {"Resampler": Op(fewest=2)}, _resample)
ADJUST = Rule("adjust", {"AdjustHsvInYiq": Op(fewest=4)}, _adjust)
PERIODIC = Rule("periodic", {"PeriodicResample": Op()}, _periodic)
