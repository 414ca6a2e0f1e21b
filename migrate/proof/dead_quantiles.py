"""Quantiles of tf.contrib.boosted_trees, in terms of ops that TensorFlow 2 has (kernels/quantile_ops.cc)."""

from __future__ import annotations

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import FLOAT, INT32, INT64, Parts, Tensor, dtype_list, dtypes
from migrate.proof.program import Flat


def quantiles(parts: Parts) -> Flat:
    """For each feature a row for each value: its bucket and its dimension.

    The bucket is std::lower_bound in the buckets, at most the last one; that there are some is checked. The dimension
    of a dense value is 0, that of a sparse one the second number of its index. There are as many values as the tensor
    of values has rows.
    """
    node = parts.node
    dense, sparse = (
        node.attr[name].i if name in node.attr else -1 for name in ("num_dense_features", "num_sparse_features")
    )
    count = dense + sparse
    if min(dense, sparse) < 0 or not count or len(node.data) != 2 * count + sparse:
        return parts.unknown("takes other inputs than it has")
    found = []
    for feature in range(count):
        indices = node.data[2 * count + feature - dense] if feature >= dense else None
        is_first = feature in (0, dense)
        found.append(_feature(parts, node.data[feature], node.data[count + feature], indices, is_first=is_first))
    return parts.made("IdentityN", "", found, {"T": dtype_list([INT32] * count)}, node.controls)


def _feature(parts: Parts, values: Tensor, buckets: Tensor, indices: Tensor | None, *, is_first: bool) -> Tensor:
    zero, one = (parts.constant(f"n{k}", constants.int32(k), buckets) for k in (0, 1))
    start, unit, row = (parts.constant(f"v{k}", constants.int32s(k), buckets) for k in (0, 1, -1))
    if is_first:
        buckets = parts.ranked("buckets", buckets, FLOAT, 1)
    else:
        buckets = parts.op("Reshape", "buckets", [buckets, row], T=FLOAT, Tshape=INT32)
    shape = parts.op("Shape", "shape", [values], T=FLOAT, out_type=INT32)
    rows = parts.op("Slice", "rows", [shape, start, unit], T=INT32, Index=INT32)
    flat = parts.op("Reshape", "flat", [values, row], T=FLOAT, Tshape=INT32)
    taken = parts.op("Slice", "taken", [flat, start, rows], T=FLOAT, Index=INT32)
    size = parts.op("Shape", "size", [buckets], T=FLOAT, out_type=INT32)
    needed = parts.op("Minimum", "needed", [rows, unit], T=INT32)
    check = parts.check("check", parts.op("GreaterEqual", "some", [size, needed], T=INT32), b"Got empty buckets")
    searched = parts.op("ExpandDims", "searched", [buckets, zero], [check], T=FLOAT, Tdim=INT32)
    asked = parts.op("ExpandDims", "asked", [taken, zero], T=FLOAT, Tdim=INT32)
    bounds = parts.op("LowerBound", "bounds", [searched, asked], T=FLOAT, out_type=INT32)
    dims = AttrValue()
    dims.list.i.append(0)
    bound = parts.add("Squeeze", "bound", [bounds], {**dtypes({"T": INT32}), "squeeze_dims": dims}), 0
    last = parts.op("Sub", "last", [size, unit], T=INT32)
    bucket = parts.op("Minimum", "bucket", [bound, last], T=INT32)
    if indices is None:
        dimension = parts.op("ZerosLike", "dimension", [bucket], T=INT32)
    else:
        matrix = parts.ranked("matrix", indices, INT64, 2)
        column = parts.op("GatherV2", "column", [matrix, one, one], Tparams=INT64, Tindices=INT32, Taxis=INT32)
        some = parts.op("Slice", "some", [column, start, rows], T=INT64, Index=INT32)
        dimension = parts.op("Cast", "dimension", [some], SrcT=INT64, DstT=INT32)
    pair = {**dtypes({"T": INT32}), "N": AttrValue(i=2), "axis": AttrValue(i=1)}
    return parts.add("Pack", "pair", [bucket, dimension], pair), 0
