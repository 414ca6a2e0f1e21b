"""ImageConnectedComponents of tf.contrib.image, in terms of ops that TensorFlow 2 has (kernels/segmentation_ops.h).

Each pixel begins as the root of its own tree, of rank 0. In rounds blocks of twice the size are made of four, each by
joining pairs of pixels on both sides of its seams, one pair after another: those that are side by side, from the top
down, then those that are one below the other, from the left. A pair is joined where both have one value that is not
zero and are in two trees: the root of the lower rank becomes the parent, and where none is lower the second, whose rank
rises by one. What is in the trees of a block is in no other block, so that all blocks do their n-th pairs at once here.

A row of the table of parents is there for nobody: it is where pairs go that are not joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, INT32, INT64, Parts, Tensor, dtypes
from migrate.proof.program import Flat


def components(parts: Parts) -> Flat:
    """What stands for an ImageConnectedComponents."""
    if len(parts.node.data) != 1 or "dtype" not in parts.node.attr:
        return parts.unknown("takes other inputs than it has")
    return _Blocks(parts, parts.node.attr["dtype"].type).result()


class _Blocks:
    """Images whose pixels are joined."""

    def __init__(self, parts: Parts, dtype: int) -> None:
        self.parts, self.dtype = parts, dtype
        self.images = parts.ranked("images", parts.node.data[0], dtype, 3)

    def long(self, op: str, *taken: Tensor, **types: int) -> Tensor:
        return self.parts.add(op, op.lower(), taken, dtypes(types or {"T": INT64})), 0

    def number(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"n{value}", constants.made("int64", value), beside)

    def form(self, tensor: Tensor, *shape: int, dtype: int = INT64) -> Tensor:
        sizes = self.parts.constant("form", constants.int32s(*shape), tensor)
        return self.parts.op("Reshape", "formed", [tensor, sizes], T=dtype, Tshape=INT32)

    def column(self, tensor: Tensor) -> Tensor:
        last = self.parts.constant("last", constants.int32(-1), tensor)
        return self.parts.op("ExpandDims", "column", [tensor, last], T=INT64, Tdim=INT32)

    def found(self, table: Tensor, at: Tensor, dtype: int = INT64) -> Tensor:
        axis = self.parts.constant("axis", constants.int32(0), at)
        return self.parts.op("GatherV2", "found", [table, at, axis], Tparams=dtype, Tindices=INT64, Taxis=INT32)

    def range(self, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
        return self.parts.op("Range", "range", [start, limit, delta], Tidx=INT64)

    def choose(self, condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
        return self.parts.op("SelectV2", "choose", [condition, one, other], T=INT64)

    def result(self) -> Flat:
        """The number of each pixel's root, plus one, or zero where the pixel is zero."""
        parts, images, dtype = self.parts, self.images, self.dtype
        zero, one, two = (self.number(value, images) for value in range(3))
        shape = parts.op("Shape", "shape", [images], T=dtype, out_type=INT64)
        sizes = parts.add("Unpack", "sizes", [shape], {**dtypes({"T": INT64}), "num": AttrValue(i=3)})
        pages, height, width = ((sizes, k) for k in range(3))
        pixels = self.form(images, -1, dtype=dtype)
        is_some = parts.op("NotEqual", "some", [pixels, parts.op("ZerosLike", "none", [pixels], T=dtype)], T=dtype)
        count = parts.op("Size", "count", [images], T=dtype, out_type=INT64)
        own = self.range(zero, count, one)
        every = self.range(zero, self.long("AddV2", count, one), one)
        starts = self.long("Mul", self.range(zero, pages, one), self.long("Mul", height, width))
        longest = self.long("Minimum", self.long("Maximum", height, width), count)
        fixed = [
            self.entered(tensor, kind, stays=True)
            for tensor, kind in (
                (pixels, dtype),
                (is_some, BOOL),
                (every, INT64),
                (count, INT64),
                (height, INT64),
                (width, INT64),
                (self.form(starts, -1, 1, 1), INT64),
                (self.long("Mul", longest, two), INT64),
            )
        ]
        merges = []
        for begin in (two, zero, own, self.long("ZerosLike", every)):
            attr = {**dtypes({"T": INT64}), "N": AttrValue(i=2)}
            merges.append(parts.add("Merge", "merge", [self.entered(begin, INT64, stays=False)], attr))
        going = parts.op("LoopCond", "going", [self.long("Less", (merges[0], 0), fixed[-1])])
        switches = [parts.add("Switch", "switch", [(merge, 0), going], dtypes({"T": INT64})) for merge in merges]
        after = self.joined(fixed, [self.long("Identity", (switch, 1)) for switch in switches])
        for merge, tensor in zip(merges, after, strict=True):
            parts.extend(merge, self.long("NextIteration", tensor))
        roots = self.long("Exit", (switches[2], 0))
        numbers = self.choose(is_some, self.long("AddV2", roots, one), zero)
        return parts.made("Reshape", "", [numbers, shape], dtypes({"T": INT64, "Tshape": INT64}), parts.node.controls)

    def entered(self, tensor: Tensor, dtype: int, *, stays: bool) -> Tensor:
        attr = {
            "T": AttrValue(type=dtype),
            "frame_name": AttrValue(s=f"{self.parts.node.label}/blocks".encode()),
            "is_constant": AttrValue(b=stays),
            "parallel_iterations": AttrValue(i=10),
        }
        return self.parts.add("Enter", "enter", [tensor], attr, self.parts.node.controls), 0

    def joined(self, fixed: Sequence[Tensor], state: Sequence[Tensor]) -> Sequence[Tensor]:
        """The size of blocks, the pair, the roots and the ranks after one pair of each block."""
        parts = self.parts
        pixels, is_some, every, nobody, height, width, starts, _ = fixed
        size, pair, roots, ranks = state
        zero, one, two = (self.number(value, size) for value in range(3))
        middle = self.long("Sub", self.long("FloorDiv", size, two), one)
        is_beside = self.long("Less", pair, size)
        right, below = self.choose(is_beside, one, zero), self.choose(is_beside, zero, one)
        top = self.choose(is_beside, pair, middle)
        left = self.choose(is_beside, middle, self.long("Sub", pair, size))
        lines = self.range(top, self.long("Maximum", top, self.long("Sub", height, below)), size)
        columns = self.range(left, self.long("Maximum", left, self.long("Sub", width, right)), size)
        page = self.long("AddV2", self.column(self.long("Mul", lines, width)), columns)
        here = self.form(self.long("AddV2", page, starts), -1)
        there = self.long("AddV2", here, self.long("AddV2", self.long("Mul", below, width), right))
        values = [self.found(pixels, at, self.dtype) for at in (here, there)]
        is_same = parts.op("Equal", "same", values, T=self.dtype)
        first, second = self.found(roots, here), self.found(roots, there)
        is_part = parts.op("LogicalAnd", "part", [self.found(is_some, here, BOOL), is_same])
        joins = parts.op("LogicalAnd", "joins", [is_part, self.long("NotEqual", first, second)])
        is_lower = self.long("Less", self.found(ranks, first), self.found(ranks, second))
        parent = self.choose(joins, self.choose(is_lower, first, second), nobody)
        child = self.choose(joins, self.choose(is_lower, second, first), nobody)
        rises = parts.op("Cast", "rises", [parts.op("LogicalNot", "not", [is_lower])], SrcT=BOOL, DstT=INT64)
        parents = self.long("TensorScatterUpdate", every, self.column(child), parent, T=INT64, Tindices=INT64)
        later, double = self.long("AddV2", pair, one), self.long("Mul", size, two)
        is_done = self.long("Equal", later, double)
        return (
            self.choose(is_done, double, size),
            self.choose(is_done, zero, later),
            self.found(parents, roots),
            self.long("TensorScatterAdd", ranks, self.column(parent), rises, T=INT64, Tindices=INT64),
        )


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"ImageConnectedComponents": components}
"""The op -> what its kernel does."""
