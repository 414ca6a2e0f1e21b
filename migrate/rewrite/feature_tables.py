"""The features of a batch as one table of numbers (lib/utils/batch_features.cc of tf.contrib.boosted_trees).

A dense feature is a matrix of one column. A sparse one is what a SparseTensor is made of: indices, values and shape.
All have the same number of rows. That is checked, and so is that the entries of a sparse feature go from row to row:
what the kernel finds among others depends on how many threads it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from migrate.frozen import frozen
from migrate.rewrite.additive_trees import DENSE, IDS, LEFT, OBLIVIOUS, RIGHT, Column, Features, Nodes
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, FLOAT, INT32, INT64, new_node
from migrate.rewrite.tree_walks import looked_up, table

_FAILS = b"features must have the same rows, and sparse ones sorted indices"


@frozen
class _Sparse:
    """A sparse feature.

    Attributes:
      name: begins the names of its nodes.
      indices: a row and a column for each entry.
      values: what the entries hold.
      shape: of the whole.
      rows: the row of each entry.
      dtype: of the values.
    """

    name: str
    indices: str
    values: str
    shape: str
    rows: str
    dtype: int


@frozen
class _Block:
    """Some columns of the table.

    Attributes:
      tensor: a matrix.
      columns: what its columns are.
    """

    tensor: str
    columns: Sequence[Column]


class FeatureTable:
    """The features that a node takes.

    Attributes:
      beside: a node in whose frame and branch the constants are.
      count: how many rows there are, as a vector; it is there once all is checked.
    """

    def __init__(self, b: Builder, features: Features, first: int) -> None:
        """Begins with the checks.

        Args:
          b: collects the nodes.
          features: how many there are; one at least.
          first: position of the node's first input that is one.
        """
        self._b = b
        given = b.value(first)
        self.beside = producer(given)
        self._start, self._one = b.constant("start", [0], self.beside), b.constant("one", [1], self.beside)
        self._rows_axis = b.constant("rows_axis", 0, self.beside)
        self._axis = b.constant("columns_axis", 1, self.beside)
        matrices = [
            b.shaped(b.value(first + k) if k else given, f"dense_{k}", FLOAT, [-1, 1]) for k in range(features.dense)
        ]
        self._dense = self._joined("dense", matrices, self._axis, FLOAT) if matrices else ""
        place = first + features.dense
        self._floats = self._sparse("floats", place, features.floats, FLOAT)
        self._ids = self._sparse("ids", place + 3 * features.floats, features.ids, INT64)
        self.count, self._count_64 = self._checked()

    def _sparse(self, kind: str, place: int, count: int, dtype: int) -> Sequence[_Sparse]:
        b, found = self._b, []
        for k in range(count):
            name = f"{kind}_{k}"
            indices = b.shaped(b.value(place + k), f"{name}_indices", INT64, [-1, 2])
            values = b.shaped(b.value(place + count + k), f"{name}_values", dtype, [-1])
            shape = b.shaped(b.value(place + 2 * count + k), f"{name}_shape", INT64, [2])
            rows = looked_up(b, f"{name}_rows", indices, self._rows_axis, self._axis, INT64)
            found.append(_Sparse(name, indices, values, shape, rows, dtype))
        return tuple(found)

    def _checked(self) -> tuple[str, str]:
        """The number of rows, as a vector and as a scalar of 64 bits."""
        b, sparse = self._b, (*self._floats, *self._ids)
        rows = ""
        if self._dense:
            rows = self._first(b.Shape(self._dense, T=FLOAT, out_type=INT32), "rows", INT32)
        if not sparse:
            return rows, ""
        if rows:
            rows_64 = b.Cast(rows, name="rows_64", SrcT=INT32, DstT=INT64)
        else:
            rows_64 = self._first(sparse[0].shape, "rows_64", INT64)
            rows = b.Cast(rows_64, name="rows", SrcT=INT64, DstT=INT32)
        conditions = [condition for each in sparse for condition in self._conditions(each, rows_64)]
        check = b.all_hold("check", self._joined("holds", conditions, self._rows_axis, BOOL), _FAILS)
        count = b.Identity(rows, f"^{check}", name="count", T=INT32)
        scalar = b.node("Squeeze", [rows_64], "count_64", T=INT64)
        return count, scalar

    def _conditions(self, each: _Sparse, rows_64: str) -> Sequence[str]:
        """Vectors of what must hold."""
        b, name = self._b, each.name
        size = self._first(b.Shape(each.indices, name=f"{name}_size", T=INT64, out_type=INT32), f"{name}_given", INT32)
        count = b.Shape(each.values, name=f"{name}_count", T=each.dtype, out_type=INT32)
        before, after = (self._but_one(each, word) for word in ("before", "after"))
        return (
            b.Equal(size, count, name=f"{name}_whole", T=INT32),
            b.Equal(self._first(each.shape, f"{name}_batch", INT64), rows_64, name=f"{name}_fits", T=INT64),
            b.GreaterEqual(after, before, name=f"{name}_rises", T=INT64),
        )

    def _but_one(self, each: _Sparse, word: str) -> str:
        """The rows of all entries before the last one, or after the first."""
        b, name = self._b, f"{each.name}_{word}"
        is_after = word == "after"
        begin = b.constant(f"{name}_begin", [int(is_after)], self.beside)
        end = b.constant(f"{name}_end", [-1], self.beside)
        made = new_node("StridedSlice", b.name(name), [each.rows, begin, end, self._one], T=INT64, Index=INT32)
        made.attr["end_mask" if is_after else "begin_mask"].i = 1
        return b.add(made)

    def _first(self, vector: str, name: str, dtype: int) -> str:
        return self._b.Slice(vector, self._start, self._one, name=name, T=dtype, Index=INT32)

    def _joined(self, name: str, parts: Sequence[str], axis: str, dtype: int) -> str:
        if len(parts) == 1:
            return parts[0]
        return self._b.node("ConcatV2", [*parts, axis], name, {"N": len(parts)}, T=dtype, Tidx=INT32)

    def _least(self, values: str, segments: str, count: str, name: str, dtype: int) -> str:
        """The least value of each segment, and the largest number of all where it is empty."""
        return self._b.UnsortedSegmentMin(
            values, segments, count, name=name, T=dtype, Tindices=INT64, Tnumsegments=INT64
        )

    def tests(self, nodes: Nodes) -> Callable[[str, str], str] | None:
        """What says of each node whether its test holds; None where no node has one."""
        b = self._b
        wanted = sorted({column for column in nodes.columns if column is not None})
        if not wanted:
            return None
        blocks = [*self._dense_blocks(wanted), *self._float_blocks(wanted), *self._id_blocks(wanted)]
        places = {column: k for k, column in enumerate(column for block in blocks for column in block.columns)}
        values = self._joined("table", [block.tensor for block in blocks], self._axis, FLOAT)
        numbers = [0 if column is None else places[column] for column in nodes.columns]
        columns = table(b, "columns", numbers, INT32, self.beside)
        thresholds = table(b, "thresholds", nodes.thresholds, FLOAT, self.beside)

        def holds(at: str, name: str) -> str:
            column = looked_up(b, f"{name}_column", columns, at, self._rows_axis, INT32)
            value = looked_up(b, f"{name}_value", values, column, self._axis, FLOAT, batch_dims=1)
            bound = looked_up(b, f"{name}_threshold", thresholds, at, self._rows_axis, FLOAT)
            return b.LessEqual(value, bound, name=f"{name}_holds", T=FLOAT)

        return holds

    def _dense_blocks(self, wanted: Sequence[Column]) -> Iterator[_Block]:
        b = self._b
        for kind in (DENSE, OBLIVIOUS):
            columns = [column for column in wanted if column[0] == kind]
            if not columns:
                continue
            numbers = table(b, f"{kind}_columns", [number for _, number, _ in columns], INT32, self.beside)
            block = looked_up(b, f"{kind}_block", self._dense, numbers, self._axis, FLOAT)
            if kind == OBLIVIOUS:
                is_none = b.IsNan(block, name="is_none", T=FLOAT)
                block = b.SelectV2(is_none, b.constant("least", -math.inf, self.beside), block, name="levels", T=FLOAT)
            yield _Block(block, columns)

    def _float_blocks(self, wanted: Sequence[Column]) -> Iterator[_Block]:
        """Of each row the first entry with a dimension; its first entry at all where there is one dimension.

        lib/utils/examples_iterable.h and example.h.
        """
        b = self._b
        for number, each in enumerate(self._floats):
            columns = [column for column in wanted if column[0] in (LEFT, RIGHT) and column[1] == number]
            if not columns:
                continue
            name = each.name
            end = b.Size(each.values, name=f"{name}_end", T=FLOAT, out_type=INT32)
            zero, one = (b.constant(f"{name}_{k}", k, self.beside) for k in (0, 1))
            order = b.Range(zero, end, one, name=f"{name}_order", Tidx=INT32)
            dimensions = self._second(each.indices, self._axis, f"{name}_dimensions")
            width = self._second(each.shape, self._rows_axis, f"{name}_width")
            is_single = b.LessEqual(width, one, name=f"{name}_single", T=INT32)
            known = b.Less(each.rows, self._count_64, name=f"{name}_known", T=INT64)
            nowhere = b.constant(f"{name}_nowhere", -1, self.beside, dtype=INT64)
            rows = b.SelectV2(known, each.rows, nowhere, name=f"{name}_inside", T=INT64)
            for column in columns:
                kind, _, (dimension,) = column
                here = f"{name}_{kind}_{dimension}".replace("-", "m")
                at = b.constant(f"{here}_at", dimension, self.beside)
                is_here = b.Equal(dimensions, at, name=f"{here}_is", T=INT32)
                fits = b.node("LogicalOr", [is_single, is_here], f"{here}_fits")
                place = b.SelectV2(fits, order, end, name=f"{here}_place", T=INT32)
                first = self._least(place, rows, self._count_64, f"{here}_first", INT32)
                found = b.Minimum(first, end, name=f"{here}_found", T=INT32)
                missing = table(b, f"{here}_missing", [-math.inf if kind == LEFT else math.nan], FLOAT, self.beside)
                every = self._joined(f"{here}_every", [each.values, missing], self._rows_axis, FLOAT)
                value = looked_up(b, f"{here}_value", every, found, self._rows_axis, FLOAT)
                yield _Block(b.ExpandDims(value, one, name=here, T=FLOAT, Tdim=INT32), [column])

    def _second(self, tensor: str, axis: str, name: str) -> str:
        """The second element along an axis, in 32 bits."""
        one = self._b.constant(f"{name}_place", 1, self.beside)
        made = looked_up(self._b, f"{name}_64", tensor, one, axis, INT64)
        return self._b.Cast(made, name=name, SrcT=INT64, DstT=INT32)

    def _id_blocks(self, wanted: Sequence[Column]) -> Iterator[_Block]:
        """0 where a row has an entry with the id, or with one of a set, and the largest number where it has none."""
        b = self._b
        for number, each in enumerate(self._ids):
            columns = [column for column in wanted if column[:2] == (IDS, number)]
            if not columns:
                continue
            known = sorted({key for _, _, keys in columns for key in keys})
            has = self._has_ids(each, known)
            yield _Block(has, [(IDS, number, (key,)) for key in known])
            for k, column in enumerate(column for column in columns if len(column[2]) > 1):
                name = f"{each.name}_set_{k}"
                places = table(b, f"{name}_places", [known.index(key) for key in column[2]], INT32, self.beside)
                some = looked_up(b, f"{name}_has", has, places, self._axis, FLOAT)
                least = new_node("Min", b.name(name), [some, self._axis], T=FLOAT, Tidx=INT32)
                least.attr["keep_dims"].b = True
                yield _Block(b.add(least), [column])

    def _has_ids(self, each: _Sparse, known: Sequence[int]) -> str:
        """A matrix with a column for each of some ids, which are sorted."""
        b, name = self._b, each.name
        ids = table(b, f"{name}_known", known, INT64, self.beside)
        zero = b.constant(f"{name}_0", 0, self.beside)
        searched, asked = (
            b.ExpandDims(tensor, zero, name=f"{name}_{word}", T=INT64, Tdim=INT32)
            for word, tensor in (("searched", ids), ("asked", each.values))
        )
        bound = b.LowerBound(searched, asked, name=f"{name}_bounds", T=INT64, out_type=INT32)
        bound = b.node("Squeeze", [bound], f"{name}_bound", T=INT32)
        b.nodes[-1].attr["squeeze_dims"].list.i.append(0)
        last = b.constant(f"{name}_last", len(known) - 1, self.beside)
        near = b.Minimum(bound, last, name=f"{name}_near", T=INT32)
        near_id = looked_up(b, f"{name}_near_id", ids, near, zero, INT64)
        is_known = b.Equal(near_id, each.values, name=f"{name}_same", T=INT64)
        is_inside = b.Less(each.rows, self._count_64, name=f"{name}_inside", T=INT64)
        width = b.constant(f"{name}_width", len(known), self.beside, dtype=INT64)
        cell = b.AddV2(
            b.Mul(each.rows, width, name=f"{name}_begin", T=INT64),
            b.Cast(near, name=f"{name}_near_64", SrcT=INT32, DstT=INT64),
            name=f"{name}_cell",
            T=INT64,
        )
        both = b.node("LogicalAnd", [is_known, is_inside], f"{name}_both")
        nowhere = b.constant(f"{name}_nowhere", -1, self.beside, dtype=INT64)
        cells = b.SelectV2(both, cell, nowhere, name=f"{name}_cells", T=INT64)
        hit = b.constant(f"{name}_hit", 0.0, self.beside)
        entries = b.Shape(each.values, name=f"{name}_entries", T=INT64, out_type=INT32)
        hits = b.Fill(entries, hit, name=f"{name}_hits", T=FLOAT, index_type=INT32)
        size = b.Mul(self._count_64, width, name=f"{name}_total", T=INT64)
        flat = self._least(hits, cells, size, f"{name}_flat", FLOAT)
        shape = [self.count, b.constant(f"{name}_keys", [len(known)], self.beside)]
        form = self._joined(f"{name}_form", shape, self._rows_axis, INT32)
        return b.Reshape(flat, form, name=f"{name}_has", T=FLOAT, Tshape=INT32)
