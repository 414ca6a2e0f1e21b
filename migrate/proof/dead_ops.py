"""Ops that TensorFlow 2 does not have, or has without a kernel, in terms of ops that it has.

Each is written from TF1's kernel, and nothing here knows what the converter makes of it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.protos import AttrValue, TensorProto
from migrate.proof import constants
from migrate.proof.dead_beams import gather_tree
from migrate.proof.dead_images import resample
from migrate.proof.dead_quantiles import quantiles
from migrate.proof.parts import BOOL, FLOAT, INT32, INT64, LONGEST, STRING, Parts, Tensor, dtype_list, dtypes
from migrate.proof.program import Flat

_UINT8 = dtype_value("uint8")
_UINT64 = dtype_value("uint64")
_SAME_ELEMENTS = frozenset({"ExpandDims", "Identity", "Reshape", "Snapshot", "Squeeze", "StopGradient"})
"""Ops that give the elements of their first input in the same order."""
_FIRST = 0xDECAFCAFFE
_ADDED = 0x9E3779B97F4A7800 - 2**64


def _rises(parts: Parts, tensor: Tensor) -> bool:
    """Whether a tensor is a constant of float32 of which no element is below the one before it."""
    for _ in range(LONGEST):
        node = parts.source(tensor)
        if node.op == "Const":
            proto = node.attr["value"].tensor if "value" in node.attr else TensorProto()
            shape = constants.shape_of(proto)
            if shape is None or proto.dtype != FLOAT:
                return False
            data = constants.numbers(proto, "float32", math.prod(shape))
            if data is None:
                return False
            return not any(after < before for before, after in pairwise(struct.unpack(f"<{len(data) // 4}f", data)))
        if node.op not in _SAME_ELEMENTS or not node.data or tensor[1]:
            return False
        tensor = node.data[0]
    return False


def _upper_bound(parts: Parts) -> Flat:
    """How many boundaries are not above each value (contrib/boosted_trees/kernels/quantile_ops.cc).

    std::upper_bound over the boundaries in the values' dtype, once they are known to be sorted.
    """
    node = parts.node
    if len(node.data) != 2 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    values, given = node.data
    dtype = node.attr["T"].type
    row = parts.constant("row", constants.int32s(1, -1), given)
    boundaries = parts.op("Reshape", "boundaries", [given, row], T=FLOAT, Tshape=INT32)
    if dtype != FLOAT:
        boundaries = parts.op("Cast", "cast", [boundaries], SrcT=FLOAT, DstT=dtype)
    if not _rises(parts, given):
        before = _without(parts, boundaries, "before", dtype, last=True)
        after = _without(parts, boundaries, "after", dtype, last=False)
        axes = parts.constant("axes", constants.int32s(0, 1), boundaries)
        falls = parts.op("Any", "falls", [parts.op("Less", "below", [after, before], T=dtype), axes], Tidx=INT32)
        text = parts.constant("text", constants.made("string", b"Expected sorted boundaries"), boundaries)
        attr = {"T": dtype_list([STRING]), "summarize": AttrValue(i=3)}
        check = parts.add("Assert", "check", [parts.op("LogicalNot", "rises", [falls]), text], attr)
        boundaries = parts.op("Identity", "sorted", [boundaries], [check], T=dtype)
    flat = parts.op("Reshape", "values", [values, row], T=dtype, Tshape=INT32)
    found = parts.op("UpperBound", "found", [boundaries, flat], T=dtype, out_type=INT32)
    shape = parts.op("Shape", "shape", [values], T=dtype, out_type=INT32)
    return parts.made("Reshape", "", [found, shape], dtypes({"T": INT32, "Tshape": INT32}), node.controls)


def _without(parts: Parts, row: Tensor, name: str, dtype: int, *, last: bool) -> Tensor:
    """A matrix of one row without its first or last column."""
    at = [
        parts.constant(f"{name}_{number}", constants.int32s(*value), row)
        for number, value in enumerate([[0, 0], [0, -1], [1, 1]] if last else [[0, 1], [0, 0], [1, 1]])
    ]
    masks = {"begin_mask": 3, "end_mask": 1} if last else {"begin_mask": 1, "end_mask": 3}
    attr = {**dtypes({"T": dtype, "Index": INT32}), **{key: AttrValue(i=value) for key, value in masks.items()}}
    return parts.add("StridedSlice", name, [row, *at], attr), 0


def _lower_bounds(parts: Parts) -> Flat:
    """For each feature std::lower_bound, at most the last bucket (core/kernels/boosted_trees/quantile_ops.cc)."""
    node = parts.node
    if not node.data or len(node.data) % 2:
        return parts.unknown("takes other inputs than it has")
    count = len(node.data) // 2
    buckets = []
    for number in range(count):
        values, given = node.data[number], node.data[count + number]
        axis = parts.constant(f"axis_{number}", constants.int32(0), given)
        boundaries = parts.op("ExpandDims", f"boundaries_{number}", [given, axis], T=FLOAT, Tdim=INT32)
        row = parts.op("ExpandDims", f"values_{number}", [values, axis], T=FLOAT, Tdim=INT32)
        found = parts.op("LowerBound", f"found_{number}", [boundaries, row], T=FLOAT, out_type=INT32)
        size = parts.op("Size", f"size_{number}", [given], T=FLOAT, out_type=INT32)
        one = parts.constant(f"one_{number}", constants.int32(1), given)
        last = parts.op("Sub", f"last_{number}", [size, one], T=INT32)
        most = parts.op("Minimum", f"most_{number}", [found, last], T=INT32)
        least = parts.op("Maximum", f"least_{number}", [most, axis], T=INT32)
        dims = AttrValue()
        dims.list.i.append(0)
        squeezed = parts.add("Squeeze", f"bucket_{number}", [least], {**dtypes({"T": INT32}), "squeeze_dims": dims})
        buckets.append((squeezed, 0))
    return parts.made("IdentityN", "", buckets, {"T": dtype_list([INT32] * count)}, node.controls)


def _batch_norm(parts: Parts) -> Flat:
    """(x - mean) * (rsqrt(variance + epsilon) [* gamma]) + beta, of four dimensions (core/kernels/batch_norm_op.h)."""
    node = parts.node
    if len(node.data) != 5 or not {"T", "variance_epsilon", "scale_after_normalization"} <= set(node.attr):
        return parts.unknown("takes other inputs than it has, or has no variance_epsilon")
    given, mean, variance, beta, gamma = node.data
    t = node.attr["T"].type
    ranked = parts.ranked("ranked", given, t, 4)
    epsilon = parts.constant("epsilon", constants.made("float32", node.attr["variance_epsilon"].f), variance)
    if t != FLOAT:
        epsilon = parts.op("Cast", "cast", [epsilon], SrcT=FLOAT, DstT=t)
    scale = parts.op("Rsqrt", "rsqrt", [parts.op("AddV2", "wider", [variance, epsilon], T=t)], T=t)
    if node.attr["scale_after_normalization"].b:
        scale = parts.op("Mul", "scale", [scale, gamma], T=t)
    centred = parts.op("Sub", "centred", [ranked, mean], T=t)
    scaled = parts.op("Mul", "scaled", [centred, scale], T=t)
    return parts.made("AddV2", "", [scaled, beta], dtypes({"T": t}), node.controls)


_CROSS = frozenset({"N", "sparse_types", "dense_types", "out_type", "internal_type", "hashed_output", "num_buckets"})


def _cross(parts: Parts) -> Flat:
    """A cross is SparseCross, unless it is hashed in the way of the first version.

    contrib/layers/kernels/sparse_feature_cross_kernel.cc beside core/kernels/sparse_cross_op.cc. The first version's
    hash is a = a ^ (b + 0x9e3779b97f4a7800 + (a << 10) + (a >> 4)) over the features b, signed, then modulo num_buckets
    or 2^63 - 1 without sign. The positions of the features that meet are read out of a joined cross of positions.
    """
    node = parts.node
    known = {key: value for key, value in node.attr.items() if not key.startswith("_")}
    is_second = node.op == "SparseFeatureCrossV2"
    if set(known) != _CROSS | ({"hash_key"} if is_second else set()):
        return parts.unknown("has other attributes than it has in TF1")
    count, hashed = node.attr["N"].i, node.attr["out_type"].type == INT64
    kinds = [*node.attr["sparse_types"].list.type, *node.attr["dense_types"].list.type]
    if len(node.data) != 2 * count + len(kinds) or not kinds or len(node.attr["sparse_types"].list.type) != count:
        return parts.unknown("takes other inputs than it has")
    attr = {**known, "hash_key": AttrValue(i=node.attr["hash_key"].i if is_second else 0)}
    if hashed:
        attr["internal_type"] = AttrValue(type=INT64)
    if is_second or not hashed:
        return parts.made("SparseCross", "", node.data, attr, node.controls)
    columns = [*range(count, 2 * count), *range(3 * count, len(node.data))]
    places = list(node.data)
    for number, column in enumerate(columns):
        places[column] = _numbered(parts, node.data[column], kinds[number], f"{number}")
    attr.update(
        out_type=AttrValue(type=STRING),
        hashed_output=AttrValue(b=False),
        sparse_types=dtype_list([INT64] * count),
        dense_types=dtype_list([INT64] * (len(kinds) - count)),
    )
    crossed = parts.add("SparseCross", "crossed", places, attr)
    beside = (crossed, 0)
    separator = parts.constant("separator", constants.made("string", b"_X_"), beside)
    split = parts.add("StringSplitV2", "split", [(crossed, 1), separator], {"maxsplit": AttrValue(i=-1)})
    numbers = parts.op("StringToNumber", "numbers", [(split, 1)], out_type=INT64)
    shape = parts.constant("shape", constants.int32s(-1, len(columns)), beside)
    table = parts.op("Reshape", "table", [numbers, shape], T=INT64, Tshape=INT32)
    cut = {**dtypes({"T": INT64}), "num": AttrValue(i=len(columns)), "axis": AttrValue(i=1)}
    unpacked = parts.add("Unpack", "columns", [table], cut)
    a = parts.constant("first", constants.made("int64", _FIRST), beside)
    added, ten, four = (
        parts.constant(f"c{value}", constants.made("int64", value), beside) for value in (_ADDED, 10, 4)
    )
    for number, column in enumerate(columns):
        b = _feature(parts, node.data[column], (unpacked, number), kinds[number], f"{number}")
        left = parts.op("LeftShift", f"left_{number}", [a, ten], T=INT64)
        right = parts.op("RightShift", f"right_{number}", [a, four], T=INT64)
        total = parts.op("AddV2", f"sum_{number}", [b, added], T=INT64)
        total = parts.op("AddV2", f"sum_left_{number}", [total, left], T=INT64)
        total = parts.op("AddV2", f"sum_right_{number}", [total, right], T=INT64)
        a = parts.op("BitwiseXor", f"hash_{number}", [a, total], T=INT64)
    buckets = parts.constant("buckets", constants.made("int64", node.attr["num_buckets"].i or 2**63 - 1), beside)
    unsigned = [parts.op("Bitcast", f"bits_{n}", [each], T=INT64, type=_UINT64) for n, each in enumerate((a, buckets))]
    bucket = parts.op("FloorMod", "bucket", unsigned, T=_UINT64)
    result = parts.op("Bitcast", "result", [bucket], T=_UINT64, type=INT64)
    return parts.made(
        "IdentityN", "", [(crossed, 0), result, (crossed, 2)], {"T": dtype_list([INT64] * 3)}, node.controls
    )


def _numbered(parts: Parts, values: Tensor, dtype: int, name: str) -> Tensor:
    """The position of each element in place of it."""
    start, step = (parts.constant(f"n{value}_{name}", constants.made("int64", value), values) for value in (0, 1))
    size = parts.op("Size", f"size_{name}", [values], T=dtype, out_type=INT64)
    numbers = parts.op("Range", f"range_{name}", [start, size, step], Tidx=INT64)
    shape = parts.op("Shape", f"shape_{name}", [values], T=dtype, out_type=INT32)
    return parts.op("Reshape", f"positions_{name}", [numbers, shape], T=INT64, Tshape=INT32)


def _feature(parts: Parts, values: Tensor, positions: Tensor, dtype: int, name: str) -> Tensor:
    """The features at some positions: numbers as they are, Fingerprint64 (FarmHash) of strings."""
    row = parts.constant(f"row_{name}", constants.int32s(-1), values)
    flat = parts.op("Reshape", f"flat_{name}", [values, row], T=dtype, Tshape=INT32)
    if base_name(dtype) == "string":
        method = parts.constant(f"method_{name}", constants.made("string", b"farmhash64"), values)
        prints = parts.op("Fingerprint", f"prints_{name}", [flat, method], T=STRING)
        flat = parts.op("Bitcast", f"number_{name}", [prints], T=_UINT8, type=INT64)
    axis = parts.constant(f"axis_{name}", constants.int32(0), values)
    taken = [flat, positions, axis]
    return parts.op("GatherV2", f"feature_{name}", taken, Tparams=INT64, Tindices=INT64, Taxis=INT32)


def _transform(parts: Parts) -> Flat:
    """The second version with the input's height and width (contrib/image/kernels/image_ops.h)."""
    node = parts.node
    if len(node.data) != 2 or not {"dtype", "interpolation"} <= set(node.attr):
        return parts.unknown("takes other inputs than it has")
    shape = parts.op("Shape", "shape", [node.data[0]], T=node.attr["dtype"].type, out_type=INT32)
    at, size = (parts.constant(f"at_{value}", constants.int32s(value), shape) for value in (1, 2))
    plane = parts.op("Slice", "plane", [shape, at, size], T=INT32, Index=INT32)
    return parts.made("ImageProjectiveTransformV2", "", [*node.data, plane], node.attr, node.controls)


_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_RGB = ((1.0, 0.95617069, 0.62143257), (1.0, -0.2726886, -0.64681324), (1.0, -1.103744, 1.70062309))


def _adjusted(parts: Parts) -> Flat:
    """A pixel times RGB * turn * YIQ (contrib/image/kernels/adjust_hsv_in_yiq_op.h and .cc).

    turn is [[v, 0, 0], [0, vs cos h, -vs sin h], [0, vs sin h, vs cos h]]. An element of a product of matrices is
    a + (b + c), a channel ((0 + a) + b) + c.
    """
    node = parts.node
    if len(node.data) != 4:
        return parts.unknown("takes other inputs than it has")
    images = node.data[0]
    h, s, v = (parts.ranked(f"scalar_{n}", node.data[n], FLOAT, 0) for n in (1, 2, 3))
    three, zero, last = (parts.constant(f"number_{n}", constants.int32(n), images) for n in (3, 0, -1))
    nothing = parts.constant("nothing", constants.made("float32", 0.0), images)
    shape = parts.op("Shape", "shape", [images], T=FLOAT, out_type=INT32)
    ends = [parts.constant(f"end_{n}", constants.int32s(n), images) for n in (-1, 0, 1)]
    cut = {**dtypes({"T": INT32, "Index": INT32}), "end_mask": AttrValue(i=1)}
    channels = parts.add("StridedSlice", "channels", [shape, *ends], cut), 0
    size = parts.op("Size", "size", [shape], T=INT32, out_type=INT32)
    rank = parts.op("ExpandDims", "rank", [size, zero], T=INT32, Tdim=INT32)
    fits = [
        parts.op("Equal", "colours", [channels, three], T=INT32),
        parts.op("GreaterEqual", "dimensions", [rank, three], T=INT32),
    ]
    both = parts.add("ConcatV2", "fits", [*fits, zero], {**dtypes({"T": BOOL, "Tidx": INT32}), "N": AttrValue(i=2)}), 0
    check = parts.check("check", both, b"input must be at least 3-D and have 3 channels")
    strength = parts.op("Mul", "strength", [v, s], T=FLOAT)
    cosine = parts.op("Mul", "cosine", [strength, parts.op("Cos", "cos", [h], T=FLOAT)], T=FLOAT)
    sine = parts.op("Mul", "sine", [strength, parts.op("Sin", "sin", [h], T=FLOAT)], T=FLOAT)
    back = parts.op("Neg", "back", [sine], T=FLOAT)
    turn = [(v, nothing, nothing), (nothing, cosine, back), (nothing, sine, cosine)]
    columns = [
        parts.op(
            "ExpandDims",
            f"rgb_{k}",
            [_floats(parts, f"rgb_row_{k}", [row[k] for row in _RGB]), last],
            T=FLOAT,
            Tdim=INT32,
        )
        for k in range(3)
    ]
    three_of = {**dtypes({"T": FLOAT}), "N": AttrValue(i=3)}
    rows = [(parts.add("Pack", f"turn_{k}", row, three_of), 0) for k, row in enumerate(turn)]
    terms = [parts.op("Mul", f"turned_{k}", pair, T=FLOAT) for k, pair in enumerate(zip(columns, rows, strict=True))]
    product = parts.op("AddV2", "turned", [terms[0], parts.op("AddV2", "turned_rest", terms[1:], T=FLOAT)], T=FLOAT)
    split = {**dtypes({"T": FLOAT}), "num_split": AttrValue(i=3)}
    place = parts.add("Split", "columns", [last, product], split)
    yiq = [_YIQ[0], [-share for share in _YIQ[1]], _YIQ[2]]  # a + (b + c) is a - (-b - c), with the same roundings.
    terms = [
        parts.op("Mul", f"by_{k}", [(place, k), _floats(parts, f"yiq_{k}", row)], T=FLOAT) for k, row in enumerate(yiq)
    ]
    product = parts.op("Sub", "matrix", [terms[0], parts.op("Sub", "rest", terms[1:], T=FLOAT)], T=FLOAT)
    weights = parts.add(
        "Unpack", "weights", [product], {**dtypes({"T": FLOAT}), "num": AttrValue(i=3), "axis": AttrValue(i=1)}
    )
    pixels = parts.add("Split", "pixels", [last, images], split, [check])
    terms = [parts.op("Mul", f"term_{k}", [(pixels, k), (weights, k)], T=FLOAT) for k in range(3)]
    total = parts.op("AddV2", "total_0", [nothing, terms[0]], T=FLOAT)
    total = parts.op("AddV2", "total_1", [total, terms[1]], T=FLOAT)
    return parts.made("AddV2", "", [total, terms[2]], dtypes({"T": FLOAT}), node.controls)


def _floats(parts: Parts, name: str, values: Sequence[float]) -> Tensor:
    tensor = TensorProto(dtype=FLOAT, float_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return parts.constant(name, tensor, parts.node.data[0])


def _period(parts: Parts) -> Flat:
    """The input's element at each place (contrib/periodic_resample/kernels/periodic_resample_op.h, MoveToOutputIndex).

    With c[q] = ceil(target[q] / input[q]) in single precision, the place of o has o[q] / c[q] in each dimension but the
    free one a, and there target[a] * sum((o[q] mod c[q]) * c[0] * .. * c[q - 1]) + o[a].
    """
    node = parts.node
    if len(node.data) != 1 or not {"T", "shape"} <= set(node.attr) or node.attr["shape"].shape.unknown_rank:
        return parts.unknown("takes other inputs than it has, or no shape")
    wanted = [dim.size for dim in node.attr["shape"].shape.dim]
    if sum(size < 1 for size in wanted) != 1:
        return parts.unknown("has not one free dimension")
    rank, free = len(wanted), next(q for q, size in enumerate(wanted) if size < 1)
    dtype, values = node.attr["T"].type, node.data[0]
    number = {n: parts.constant(f"long_{n}", constants.made("int64", n), values) for n in (0, 1)}
    axis, row = parts.constant("axis", constants.int32(0), values), parts.constant("row", constants.int32s(-1), values)
    given = parts.op("Shape", "shape", [values], T=dtype, out_type=INT64)
    vector = AttrValue()
    vector.shape.dim.add(size=rank)
    given = parts.add("EnsureShape", "ranked", [given], {**dtypes({"T": INT64}), "shape": vector}), 0
    others = math.prod(size for size in wanted if size >= 1)
    count = parts.op("Size", "count", [values], T=dtype, out_type=INT64)
    product = parts.constant("others", constants.made("int64", others), values)
    rest = parts.op("FloorDiv", "rest", [count, product], T=INT64)
    sizes = [
        rest if q == free else parts.constant(f"size_{q}", constants.made("int64", size), values)
        for q, size in enumerate(wanted)
    ]
    packed = {**dtypes({"T": INT64}), "N": AttrValue(i=rank)}
    target = parts.add("Pack", "target", sizes, packed), 0
    mask = TensorProto(dtype=BOOL, bool_val=[q == free for q in range(rank)])
    mask.tensor_shape.dim.add(size=rank)
    least = parts.op("SelectV2", "least", [parts.constant("mask", mask, values), number[1], given], T=INT64)
    fits = parts.op("GreaterEqual", "fits", [target, least], T=INT64)
    check = parts.check("check", fits, b"periodic_resample expects larger dimensions, and one free")
    floats = [
        parts.op("Cast", f"float_{n}", [each], waits, SrcT=INT64, DstT=FLOAT)
        for n, (each, waits) in enumerate(((target, []), (given, [check])))
    ]
    ceiling = parts.op("Ceil", "ceil", [parts.op("RealDiv", "share", floats, T=FLOAT)], T=FLOAT)
    ceiling = parts.op("Cast", "ceilings", [ceiling], SrcT=FLOAT, DstT=INT64)
    unpacked = {**dtypes({"T": INT64}), "num": AttrValue(i=rank)}
    shifts, factors, ceilings = (
        parts.add("Unpack", f"{name}_parts", [each], unpacked)
        for name, each in (
            ("shift", _products(parts, ceiling, axis, "shifts", reverse=False)),
            ("factor", _products(parts, given, axis, "factors", reverse=True)),
            ("ceiling", ceiling),
        )
    )
    at = []
    for q, size in enumerate(sizes):
        shape = parts.constant(f"shape_{q}", constants.int32s(*(-1 if n == q else 1 for n in range(rank))), values)
        numbers = parts.op("Range", f"range_{q}", [number[0], size, number[1]], Tidx=INT64)
        at.append(parts.op("Reshape", f"at_{q}", [numbers, shape], T=INT64, Tshape=INT32))
    moved = place = number[0]
    for q in range(rank):
        if q == free:
            continue
        rounds = parts.op("FloorMod", f"round_{q}", [at[q], (ceilings, q)], T=INT64)
        moves = parts.op("Mul", f"moves_{q}", [(shifts, q), rounds], T=INT64)
        moved = parts.op("AddV2", f"moved_{q}", [moved, moves], T=INT64)
        there = parts.op("FloorDiv", f"there_{q}", [at[q], (ceilings, q)], T=INT64)
        step = parts.op("Mul", f"step_{q}", [(factors, q), there], T=INT64)
        place = parts.op("AddV2", f"place_{q}", [place, step], T=INT64)
    start = parts.op("Mul", "start", [moved, rest], T=INT64)
    inside = parts.op("AddV2", "inside", [start, at[free]], T=INT64)
    step = parts.op("Mul", "step", [(factors, free), inside], T=INT64)
    place = parts.op("AddV2", "place", [place, step], T=INT64)
    flat = parts.op("Reshape", "flat", [values, row], T=dtype, Tshape=INT32)
    types = dtypes({"Tparams": dtype, "Tindices": INT64, "Taxis": INT32})
    return parts.made("GatherV2", "", [flat, place, axis], types, node.controls)


def _products(parts: Parts, vector: Tensor, axis: Tensor, name: str, *, reverse: bool) -> Tensor:
    """The products of the elements before each, or of those after it."""
    flags = {"exclusive": AttrValue(b=True), "reverse": AttrValue(b=reverse)}
    return parts.add("Cumprod", name, [vector, axis], {**dtypes({"T": INT64, "Tidx": INT32}), **flags}), 0


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {
    "AdjustHsvInYiq": _adjusted,
    "BatchNormWithGlobalNormalization": _batch_norm,
    "BoostedTreesBucketize": _lower_bounds,
    "BucketizeWithInputBoundaries": _upper_bound,
    "GatherTree": gather_tree,
    "ImageProjectiveTransform": _transform,
    "PeriodicResample": _period,
    "Quantiles": quantiles,
    "Resampler": resample,
    "SparseFeatureCross": _cross,
    "SparseFeatureCrossV2": _cross,
}
"""Ops that are gone -> what their kernels do."""
