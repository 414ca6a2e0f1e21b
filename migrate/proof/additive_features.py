"""The features that additive trees of tf.contrib.boosted_trees look at, as one table of numbers.

A dense feature is a matrix of one column, a sparse one the indices, values and shape of a SparseTensor. All have the
same number of rows (lib/utils/batch_features.cc). Entries go from row to row (lib/utils/sparse_column_iterable.h).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.additive_splits import DENSE, IDS, LEFT, LEVEL, RIGHT, Column, Counts, Node
from migrate.proof.parts import BOOL, FLOAT, INT32, INT64, Parts, Tensor, dtypes
from migrate.proof.tree_walks import gathered, joined, numbers, sliced

_FAILS = b"features must have the same rows, and sparse ones sorted indices"


class _Sparse:
    """A sparse feature.

    Attributes:
      indices, values, shape: what it is given as.
      rows: the row of each entry.
      dtype: of the values.
    """

    def __init__(self, parts: Parts, given: Sequence[Tensor], dtype: int) -> None:
        self.indices = parts.shaped("indices", given[0], INT64, [-1, 2])
        self.values = parts.shaped("values", given[1], dtype, [-1])
        self.shape = parts.shaped("shape", given[2], INT64, [2])
        self.rows = gathered(parts, "rows", self.indices, parts.constant("n0", constants.int32(0), given[0]), 1, INT64)
        self.dtype = dtype


class Table:
    """The features that a node takes.

    Attributes:
      rows: how many rows there are, as a vector, once all is checked.
    """

    def __init__(self, parts: Parts, counts: Counts, first: int) -> None:
        """Reads the inputs from a position on."""
        self._parts = parts
        given = parts.node.data[first:]
        dense = [parts.shaped("dense", tensor, FLOAT, [-1, 1]) for tensor in given[: counts.dense]]
        self._dense = self._beside(dense) if dense else None
        given = given[counts.dense :]
        self._floats = [
            _Sparse(parts, given[k : 3 * counts.floats : counts.floats], FLOAT) for k in range(counts.floats)
        ]
        given = given[3 * counts.floats :]
        self._ids = [_Sparse(parts, given[k :: counts.ids], INT64) for k in range(counts.ids)]
        self.rows, self._many = self._counted([*self._floats, *self._ids])

    def _beside(self, blocks: Sequence[Tensor], dtype: int = FLOAT) -> Tensor:
        return blocks[0] if len(blocks) == 1 else joined(self._parts, "beside", blocks, 1, dtype)

    def _counted(self, sparse: Sequence[_Sparse]) -> tuple[Tensor, Tensor]:
        """The number of rows: a vector, and a scalar of 64 bits, which is needed for sparse features alone."""
        parts = self._parts
        rows = None
        if self._dense is not None:
            shape = parts.op("Shape", "shape", [self._dense], T=FLOAT, out_type=INT32)
            rows = sliced(parts, "count", shape, 0, 1)
            if not sparse:
                return rows, rows
            wide = parts.op("Cast", "wide", [rows], SrcT=INT32, DstT=INT64)
        else:
            wide = sliced(parts, "count", sparse[0].shape, 0, 1, INT64)
            rows = parts.op("Cast", "narrow", [wide], SrcT=INT64, DstT=INT32)
        holds = []
        for each in sparse:
            size = parts.op("Shape", "size", [each.indices], T=INT64, out_type=INT32)
            entries = parts.op("Shape", "entries", [each.values], T=each.dtype, out_type=INT32)
            holds.append(parts.op("Equal", "whole", [sliced(parts, "given", size, 0, 1), entries], T=INT32))
            batch = sliced(parts, "batch", each.shape, 0, 1, INT64)
            holds.append(parts.op("Equal", "fits", [batch, wide], T=INT64))
            holds.append(parts.op("GreaterEqual", "rises", [self._cut(each, 1), self._cut(each, 0)], T=INT64))
        check = parts.check("check", joined(parts, "holds", holds, 0, BOOL), _FAILS)
        return (
            parts.op("Identity", "rows", [rows], [check], T=INT32),
            parts.op("Squeeze", "many", [wide], T=INT64),
        )

    def _cut(self, each: _Sparse, first: int) -> Tensor:
        """The rows of all entries without the first (1) or the last (0)."""
        parts = self._parts
        ends = [parts.constant("end", constants.int32s(value), each.rows) for value in (first, -1, 1)]
        mask = {"end_mask" if first else "begin_mask": AttrValue(i=1)}
        return parts.add("StridedSlice", "cut", [each.rows, *ends], {**dtypes({"T": INT64, "Index": INT32}), **mask}), 0

    def holds(self, nodes: Sequence[Node]) -> Callable[[Tensor, str], Tensor]:
        """What says of nodes whether their tests hold; no step is made where there are none."""
        parts = self._parts
        used = sorted({node.column for node in nodes if node.column is not None})
        blocks = [*self._dense_blocks(used), *self._float_blocks(used), *self._id_blocks(used)]
        if not blocks:
            return lambda at, name: at
        place = {column: k for k, column in enumerate(column for _, columns in blocks for column in columns)}
        values = self._beside([block for block, _ in blocks])
        at_columns = [0 if node.column is None else place[node.column] for node in nodes]
        columns = parts.constant("columns", numbers(INT32, at_columns), self.rows)
        bounds = parts.constant("bounds", numbers(FLOAT, [node.threshold for node in nodes]), self.rows)

        def test(at: Tensor, name: str) -> Tensor:
            column = gathered(parts, f"{name}_column", columns, at, 0, INT32)
            value = gathered(parts, f"{name}_value", values, column, 1, FLOAT, 1)
            return parts.op(
                "LessEqual", f"{name}_test", [value, gathered(parts, f"{name}_bound", bounds, at, 0, FLOAT)], T=FLOAT
            )

        return test

    def _dense_blocks(self, used: Sequence[Column]) -> Iterator[tuple[Tensor, list[Column]]]:
        parts = self._parts
        for kind in (DENSE, LEVEL):
            columns = [column for column in used if column[0] == kind]
            if not columns or self._dense is None:
                continue
            which = parts.constant("which", numbers(INT32, [column[1] for column in columns]), self._dense)
            block = gathered(parts, "block", self._dense, which, 1, FLOAT)
            if kind == LEVEL:
                least = parts.constant("least", constants.made("float32", -math.inf), block)
                block = parts.op(
                    "SelectV2", "level", [parts.op("IsNan", "nan", [block], T=FLOAT), least, block], T=FLOAT
                )
            yield block, columns

    def _float_blocks(self, used: Sequence[Column]) -> Iterator[tuple[Tensor, list[Column]]]:
        """The first entry of a dimension in each row, or of all dimensions where the shape has one at most."""
        parts = self._parts
        for feature, each in enumerate(self._floats):
            columns = [column for column in used if column[0] in (LEFT, RIGHT) and column[1] == feature]
            if not columns:
                continue
            zero, one = (parts.constant(f"n{k}", constants.int32(k), each.values) for k in (0, 1))
            end = parts.op("Size", "end", [each.values], T=FLOAT, out_type=INT32)
            order = parts.op("Range", "order", [zero, end, one], Tidx=INT32)
            dimensions = parts.op(
                "Cast", "dimensions", [gathered(parts, "second", each.indices, one, 1, INT64)], SrcT=INT64, DstT=INT32
            )
            width = parts.op(
                "Cast", "width", [gathered(parts, "second", each.shape, one, 0, INT64)], SrcT=INT64, DstT=INT32
            )
            single = parts.op("LessEqual", "single", [width, one], T=INT32)
            rows = self._segments(each, parts.op("Less", "known", [each.rows, self._many], T=INT64), each.rows)
            for column in columns:
                wanted = parts.constant("wanted", constants.int32(column[2][0]), each.values)
                fits = parts.op("LogicalOr", "fits", [single, parts.op("Equal", "is", [dimensions, wanted], T=INT32)])
                place = parts.op("SelectV2", "place", [fits, order, end], T=INT32)
                first = self._least(place, rows, self._many, INT32)
                found = parts.op("Minimum", "found", [first, end], T=INT32)
                missing = numbers(FLOAT, [-math.inf if column[0] == LEFT else math.nan])
                every = joined(parts, "every", [each.values, parts.constant("missing", missing, each.values)], 0, FLOAT)
                value = gathered(parts, "value", every, found, 0, FLOAT)
                yield parts.op("ExpandDims", "column", [value, one], T=FLOAT, Tdim=INT32), [column]

    def _segments(self, each: _Sparse, kept: Tensor, segments: Tensor) -> Tensor:
        """Segments of entries; -1, which is none, for those that are not kept."""
        none = self._parts.constant("none", constants.made("int64", -1), each.values)
        return self._parts.op("SelectV2", "segments", [kept, segments, none], T=INT64)

    def _least(self, values: Tensor, segments: Tensor, count: Tensor, dtype: int) -> Tensor:
        return self._parts.op(
            "UnsortedSegmentMin", "least", [values, segments, count], T=dtype, Tindices=INT64, Tnumsegments=INT64
        )

    def _id_blocks(self, used: Sequence[Column]) -> Iterator[tuple[Tensor, list[Column]]]:
        """Zero where a row has an entry with an id, or with one of several, else the largest number."""
        parts = self._parts
        for feature, each in enumerate(self._ids):
            columns = [column for column in used if column[0] == IDS and column[1] == feature]
            if not columns:
                continue
            known = sorted({key for column in columns for key in column[2]})
            has = self._has(each, known)
            yield has, [(IDS, feature, (key,)) for key in known]
            for column in columns:
                if len(column[2]) == 1:
                    continue
                which = parts.constant("which", numbers(INT32, [known.index(key) for key in column[2]]), each.values)
                some = gathered(parts, "some", has, which, 1, FLOAT)
                axis = parts.constant("axis", constants.int32(1), some)
                attr = {**dtypes({"T": FLOAT, "Tidx": INT32}), "keep_dims": AttrValue(b=True)}
                yield (parts.add("Min", "any", [some, axis], attr), 0), [column]

    def _has(self, each: _Sparse, known: Sequence[int]) -> Tensor:
        """A matrix that says for each row which of some ids it has."""
        parts, values = self._parts, each.values
        ids = parts.constant("ids", numbers(INT64, known), values)
        zero = parts.constant("n0", constants.int32(0), values)
        rows = [parts.op("ExpandDims", "row", [tensor, zero], T=INT64, Tdim=INT32) for tensor in (ids, values)]
        squeeze = AttrValue()
        squeeze.list.i.append(0)
        bounds = parts.op("LowerBound", "bounds", rows, T=INT64, out_type=INT32)
        bound = parts.add("Squeeze", "bound", [bounds], {**dtypes({"T": INT32}), "squeeze_dims": squeeze}), 0
        near = parts.op(
            "Minimum", "near", [bound, parts.constant("last", constants.int32(len(known) - 1), values)], T=INT32
        )
        is_known = parts.op("Equal", "is_known", [gathered(parts, "near_id", ids, near, 0, INT64), values], T=INT64)
        inside = parts.op("Less", "inside", [each.rows, self._many], T=INT64)
        width = parts.constant("width", constants.made("int64", len(known)), values)
        begin = parts.op("Mul", "begin", [each.rows, width], T=INT64)
        cell = parts.op("AddV2", "cell", [begin, parts.op("Cast", "offset", [near], SrcT=INT32, DstT=INT64)], T=INT64)
        cells = self._segments(each, parts.op("LogicalAnd", "both", [is_known, inside]), cell)
        entries = parts.op("Shape", "entries", [values], T=INT64, out_type=INT32)
        nothing = parts.constant("nothing", constants.made("float32", 0.0), values)
        hits = parts.op("Fill", "hits", [entries, nothing], T=FLOAT, index_type=INT32)
        flat = self._least(hits, cells, parts.op("Mul", "size", [self._many, width], T=INT64), FLOAT)
        keys = parts.constant("keys", constants.int32s(len(known)), values)
        form = joined(parts, "form", [self.rows, keys], 0)
        return parts.op("Reshape", "has", [flat, form], T=FLOAT, Tshape=INT32)
