"""The ops of tf.contrib.reduce_slice_ops, in terms of ops that TensorFlow 2 has (kernels/reduce_slice_ops.cc).

An element of the result begins as 0 (Sum), 1 (Prod), the lowest (Max) or the highest value (Min) of its dtype. Then it
takes the elements of its range one after another: Sum and Prod add and multiply, Max and Min keep what they have where
it is greater (less), and take the new element otherwise, as they do beside NaN. All ranges take their n-th element at
once here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from migrate.graph.dtypes import dtype_name, dtype_value
from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, INT64, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16"})
_FLOATS = frozenset({"float16", "float32", "float64"})
_BFLOAT16 = dtype_value("bfloat16")


def _reduced(parts: Parts) -> Flat:
    """What stands for one of them."""
    node = parts.node
    if len(node.data) != 3 or not {"T", "Tindices"} <= node.attr.keys():
        return parts.unknown("takes other inputs than it has")
    dtype = node.attr["T"].type
    if dtype_name(dtype) not in {*_INTEGERS, *_FLOATS, "bfloat16", "complex64", "complex128"}:
        return parts.unknown("has a dtype without a kernel")
    if dtype_name(dtype).startswith("complex") and node.op in ("ReduceSliceMax", "ReduceSliceMin"):
        return parts.unknown("compares complex numbers")
    return _Ranges(parts, dtype).result()


class _Ranges:
    """Ranges along an axis."""

    def __init__(self, parts: Parts, dtype: int) -> None:
        self.parts, self.dtype = parts, dtype
        self.data, self.indices, self.axis = parts.node.data

    def long(self, op: str, *taken: Tensor, **types: int) -> Tensor:
        return self.parts.add(op, op.lower(), taken, dtypes(types or {"T": INT64})), 0

    def number(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"n{value}", constants.made("int64", value), beside)

    def scalar(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"s{value}", constants.int32(value), beside)

    def row(self, value: int) -> Tensor:
        return self.parts.constant(f"r{value}", constants.int32s(value), self.data)

    def found(self, table: Tensor, at: Tensor) -> Tensor:
        return self.long("GatherV2", table, at, self.scalar(0, self.data), Tparams=INT64, Tindices=INT64, Taxis=INT32)

    def several(self, op: str, count: int, taken: list[Tensor], **types: int) -> Tensor:
        return self.parts.add(op, op.lower(), taken, {**dtypes(types), "N": AttrValue(i=count)}), 0

    def result(self) -> Flat:
        """The data as a table of three dimensions, of which the second is the axis."""
        dtype, data = self.dtype, self.data
        shape = self.long("Shape", data, T=dtype, out_type=INT64)
        axis = self.long("Reshape", self.axis, self.row(1), T=INT64, Tshape=INT32)
        place = self.long("Cast", axis, SrcT=INT64, DstT=INT32)
        behind = self.long("AddV2", place, self.row(1), T=INT32)
        before = self.long("Slice", shape, self.row(0), place, T=INT64, Index=INT32)
        after = self.long("Slice", shape, behind, self.row(-1), T=INT64, Index=INT32)
        outer, length, inner = (
            self.long("Prod", part, self.row(0), T=INT64, Tidx=INT32)
            for part in (before, self.found(shape, axis), after)
        )
        form = self.several("Pack", 3, [outer, length, inner], T=INT64)
        table = self.long("Reshape", data, form, T=dtype, Tshape=INT64)
        count, begins, ends = self.ranges()
        ends = self.long("Minimum", ends, length)
        form = self.several("Pack", 3, [outer, count, inner], T=INT64)
        empty = self.long("Fill", form, self.start(), T=dtype, index_type=INT64)
        longest = self.long("Max", self.long("Sub", ends, begins), self.row(0), T=INT64, Tidx=INT32)
        found = self.loop(table, begins, ends, longest, empty)
        middle = self.long("ExpandDims", count, self.scalar(0, data), T=INT64, Tdim=INT32)
        sizes = [before, middle, after, self.scalar(0, data)]
        wanted = self.several("ConcatV2", 3, sizes, T=INT64, Tidx=INT32)
        attr = dtypes({"T": dtype, "Tshape": INT64})
        return self.parts.made("Reshape", "", [found, wanted], attr, self.parts.node.controls)

    def ranges(self) -> tuple[Tensor, Tensor, Tensor]:
        """How many there are, their begins and their ends: rows of two, or each element of a column and the next."""
        dtype = self.parts.node.attr["Tindices"].type
        zero, one, two = (self.number(value, self.data) for value in range(3))
        shape = self.long("Shape", self.indices, T=dtype, out_type=INT64)
        column = self.parts.constant("column", constants.int64s(1), self.data)
        wide = self.several("ConcatV2", 2, [shape, column, self.scalar(0, self.data)], T=INT64, Tidx=INT32)
        is_vector = self.long("Equal", self.found(wide, one), one)
        rows = self.found(shape, zero)
        pairs = self.long("Maximum", self.long("Sub", rows, one), zero)
        count = self.long("SelectV2", is_vector, pairs, rows)
        flat = self.long("Reshape", self.indices, self.row(-1), T=dtype, Tshape=INT32)
        if dtype != INT64:
            flat = self.long("Cast", flat, SrcT=dtype, DstT=INT64)
        numbers = self.long("Range", zero, count, one, Tidx=INT64)
        places = self.long("Mul", numbers, self.long("SelectV2", is_vector, one, two))
        return count, self.found(flat, places), self.found(flat, self.long("AddV2", places, one))

    def start(self) -> Tensor:
        """The result of an empty range. C++ knows no limits of TensorFlow 1's bfloat16, and has zeros for them."""
        op, name = self.parts.node.op, dtype_name(self.dtype)
        is_most = op == "ReduceSliceMax"
        if op in ("ReduceSliceMax", "ReduceSliceMin") and name in _INTEGERS:
            bits, signed = int(name.lstrip("uint")), name[0] == "i"
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            made = self.number(low if is_most else high, self.data)
            return made if self.dtype == INT64 else self.long("Cast", made, SrcT=INT64, DstT=self.dtype)
        value = {"ReduceSliceSum": 0.0, "ReduceSliceProd": 1.0}.get(op)
        if value is None:
            value = 0.0 if self.dtype == _BFLOAT16 else math.inf
            value = -value if is_most else value
        made = self.parts.constant("start", constants.made("float32", value), self.data)
        return made if self.dtype == FLOAT else self.long("Cast", made, SrcT=FLOAT, DstT=self.dtype)

    def loop(self, table: Tensor, begins: Tensor, ends: Tensor, longest: Tensor, empty: Tensor) -> Tensor:
        """The last value of what is found, after as many steps as the longest range has elements."""
        parts, dtype = self.parts, self.dtype

        def entered(tensor: Tensor, kind: int, *, stays: bool) -> Tensor:
            return parts.enter("steps", tensor, kind, parts.node.controls, is_constant=stays)

        table = entered(table, dtype, stays=True)
        begins, ends, longest = (entered(tensor, INT64, stays=True) for tensor in (begins, ends, longest))
        first = entered(self.number(0, self.data), INT64, stays=False), entered(empty, dtype, stays=False)
        kinds = INT64, dtype
        merges = [self.several("Merge", 2, [each], T=kind) for each, kind in zip(first, kinds, strict=True)]
        going = parts.op("LoopCond", "going", [self.long("Less", merges[0], longest)])
        switches = [self.long("Switch", merge, going, T=kind) for merge, kind in zip(merges, kinds, strict=True)]
        step, found = (
            self.long("Identity", (switch[0], 1), T=kind) for switch, kind in zip(switches, kinds, strict=True)
        )
        at = self.long("AddV2", begins, step)
        is_in = self.long("Less", at, ends)
        kept = self.long("SelectV2", is_in, at, self.number(0, step))
        across = self.scalar(1, step)
        taken = self.long("GatherV2", table, kept, across, Tparams=dtype, Tindices=INT64, Taxis=INT32)
        wide = self.long("ExpandDims", is_in, across, T=BOOL, Tdim=INT32)
        after = (
            self.long("AddV2", step, self.number(1, step)),
            self.long("SelectV2", wide, self.both(found, taken), found, T=dtype),
        )
        for merge, tensor, kind in zip(merges, after, kinds, strict=True):
            parts.extend(merge[0], self.long("NextIteration", tensor, T=kind))
        return self.long("Exit", switches[1], T=dtype)

    def both(self, found: Tensor, taken: Tensor) -> Tensor:
        """What is found, with one element more."""
        op = self.parts.node.op
        if op in _COMBINED:
            return self.long(_COMBINED[op], found, taken, T=self.dtype)
        stays = self.long("Greater" if op == "ReduceSliceMax" else "Less", found, taken, T=self.dtype)
        return self.long("SelectV2", stays, found, taken, T=self.dtype)


_COMBINED = {"ReduceSliceSum": "AddV2", "ReduceSliceProd": "Mul"}
EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {
    f"ReduceSlice{name}": _reduced for name in ("Max", "Min", "Prod", "Sum")
}
"""The ops -> what their kernels do."""
