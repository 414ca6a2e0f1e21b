"""ImageConnectedComponents of tf.contrib.image, in terms of ops that TensorFlow 2 has (kernels/segmentation_ops.h).

Each pixel begins as the root of its own tree, of rank 0. In rounds blocks of twice the size are made of four, each by
joining pairs of pixels on both sides of its seams, one pair after another: those that are side by side, from the top
down, then those that are one below the other, from the left. A pair is joined where both have one value that is not
zero and are in two trees: the root of the lower rank becomes the parent, and where none is lower the second, whose rank
rises by one. What is in the trees of a block is in no other block, so that all blocks do their n-th pairs at once here.

The trees of a round are those that meet at some seam, with numbers of their own. One more row of their table is there
for nobody: it is where pairs go that are in one tree already.
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

    def several(self, op: str, taken: Sequence[Tensor], attr: Mapping[str, AttrValue], **types: int) -> int:
        return self.parts.add(op, op.lower(), taken, {**dtypes(types or {"T": INT64}), **attr})

    def number(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"n{value}", constants.made("int64", value), beside)

    def axis(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"a{value}", constants.int32(value), beside)

    def form(self, tensor: Tensor, *shape: int, dtype: int = INT64) -> Tensor:
        sizes = self.parts.constant("form", constants.int32s(*shape), tensor)
        return self.parts.op("Reshape", "formed", [tensor, sizes], T=dtype, Tshape=INT32)

    def wider(self, tensor: Tensor, axis: int) -> Tensor:
        return self.long("ExpandDims", tensor, self.axis(axis, tensor), T=INT64, Tdim=INT32)

    def found(self, table: Tensor, at: Tensor, dtype: int = INT64, index: int = INT64) -> Tensor:
        return self.long("GatherV2", table, at, self.axis(0, at), Tparams=dtype, Tindices=index, Taxis=INT32)

    def range(self, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
        return self.long("Range", start, limit, delta, Tidx=INT64)

    def choose(self, condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
        return self.long("SelectV2", condition, one, other)

    def both(self, one: Tensor, other: Tensor) -> Tensor:
        """Two vectors as one."""
        attr = {"N": AttrValue(i=2)}
        return self.several("ConcatV2", [one, other, self.axis(0, one)], attr, T=INT64, Tidx=INT32), 0

    def set(self, table: Tensor, rows: Tensor, values: Tensor, *, op: str = "TensorScatterUpdate") -> Tensor:
        return self.long(op, table, self.wider(rows, -1), values, T=INT64, Tindices=INT64)

    def result(self) -> Flat:
        """The number of each pixel's root, plus one, or zero where the pixel is zero."""
        parts, images, dtype = self.parts, self.images, self.dtype
        zero, one, two = (self.number(value, images) for value in range(3))
        shape = parts.op("Shape", "shape", [images], T=dtype, out_type=INT64)
        sizes = self.several("Unpack", [shape], {"num": AttrValue(i=3)})
        pages, height, width = ((sizes, k) for k in range(3))
        pixels = self.form(images, -1, dtype=dtype)
        is_some = self.long("NotEqual", pixels, self.long("ZerosLike", pixels, T=dtype), T=dtype)
        count = parts.op("Size", "count", [images], T=dtype, out_type=INT64)
        own = self.range(zero, count, one)
        starts = self.long("Mul", self.range(zero, pages, one), self.long("Mul", height, width))
        longest = self.long("Minimum", self.long("Maximum", height, width), count)
        fixed = {
            "pixels": (pixels, dtype),
            "is_some": (is_some, BOOL),
            "own": (own, INT64),
            "height": (height, INT64),
            "width": (width, INT64),
            "starts": (self.form(starts, -1, 1, 1), INT64),
            "end": (self.long("Mul", longest, two), INT64),
        }
        state = [two, own, self.long("ZerosLike", own)]
        (roots,) = self.loop("sizes", fixed, state, "end", self.doubled, [1], parts.node.controls)
        numbers = self.choose(is_some, self.long("AddV2", roots, one), zero)
        return parts.made("Reshape", "", [numbers, shape], dtypes({"T": INT64, "Tshape": INT64}), parts.node.controls)

    def loop(
        self,
        name: str,
        fixed: Mapping[str, tuple[Tensor, int]],
        state: Sequence[Tensor],
        end: str,
        step: Callable[[Mapping[str, Tensor], Sequence[Tensor]], Sequence[Tensor]],
        results: Sequence[int],
        waits: Sequence[int],
    ) -> list[Tensor]:
        """The last values of some parts of the state of a loop, which goes on while the first part is below an end."""
        parts = self.parts

        def entered(tensor: Tensor, dtype: int, *, stays: bool) -> Tensor:
            return parts.enter(name, tensor, dtype, waits, is_constant=stays)

        inside = {key: entered(tensor, dtype, stays=True) for key, (tensor, dtype) in fixed.items()}
        merges = [
            self.several("Merge", [entered(tensor, INT64, stays=False)], {"N": AttrValue(i=2)}) for tensor in state
        ]
        going = parts.op("LoopCond", "going", [self.long("Less", (merges[0], 0), inside[end])])
        switches = [self.several("Switch", [(merge, 0), going], {}) for merge in merges]
        after = step(inside, [self.long("Identity", (switch, 1)) for switch in switches])
        for merge, tensor in zip(merges, after, strict=True):
            parts.extend(merge, self.long("NextIteration", tensor))
        return [self.long("Exit", (switches[k], 0)) for k in results]

    def doubled(self, fixed: Mapping[str, Tensor], state: Sequence[Tensor]) -> Sequence[Tensor]:
        """The size of blocks, the roots and the ranks after one round."""
        parts, (size, roots, ranks) = self.parts, state
        zero, one, two = (self.number(value, size) for value in range(3))
        here, there, order = self.pairs(fixed, size)
        values = [self.found(fixed["pixels"], at, self.dtype) for at in (here, there)]
        is_part = [self.found(fixed["is_some"], here, BOOL), self.long("Equal", *values, T=self.dtype)]
        joins = parts.op("LogicalAnd", "joins", is_part)
        kept = self.form(self.long("Where", joins, T=BOOL), -1)
        # A pair belongs to the step that its place along the seam says. The first steps have the largest negatives.
        keys = self.long("Neg", self.found(order, kept))
        count = self.long("Size", kept, T=INT64, out_type=INT32)
        top = self.several("TopKV2", [keys, count], {"sorted": AttrValue(b=True)})
        chosen = self.found(kept, (top, 1), INT64, INT32)
        groups = self.several("UniqueWithCounts", [(top, 0)], {}, T=INT64, out_idx=INT64)
        counts = (groups, 2)
        exclusive = {"exclusive": AttrValue(b=True)}
        begins = self.several("Cumsum", [counts, self.axis(0, counts)], exclusive, T=INT64, Tidx=INT32), 0
        ends = [self.found(roots, self.found(at, chosen)) for at in (here, there)]
        unique = self.several("Unique", [self.both(*ends)], {}, T=INT64, out_idx=INT64)
        known = (unique, 0)
        numbers = self.several("Unpack", [self.form((unique, 1), 2, -1)], {"num": AttrValue(i=2)})
        nobody = self.long("Size", known, T=INT64, out_type=INT64)
        spare = parts.constant("spare", constants.int64s(0), size)
        inner = {
            "first": ((numbers, 0), INT64),
            "second": ((numbers, 1), INT64),
            "begins": (begins, INT64),
            "counts": (counts, INT64),
            "slots": (self.range(zero, self.long("AddV2", nobody, one), one), INT64),
            "nobody": (nobody, INT64),
            "groups": (self.long("Size", counts, T=INT64, out_type=INT64), INT64),
        }
        begin = [zero, self.range(zero, nobody, one), self.both(self.found(ranks, known), spare)]
        trees, heights = self.loop("steps", inner, begin, "groups", self.joined, [1, 2], [])
        start = parts.constant("start", constants.int64s(0), size)
        some = self.long("Slice", heights, start, self.wider(nobody, 0), T=INT64, Index=INT64)
        return (
            self.long("Mul", size, two),
            self.found(self.set(fixed["own"], known, self.found(known, trees)), roots),
            self.set(ranks, known, some),
        )

    def pairs(self, fixed: Mapping[str, Tensor], size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pixels on both sides of the seams of all blocks, and the step in which each pair has its turn."""
        zero, one, two = (self.number(value, size) for value in range(3))
        height, width = fixed["height"], fixed["width"]
        middle = self.long("Sub", self.long("FloorDiv", size, two), one)

        def seams(length: Tensor) -> Tensor:
            return self.range(middle, self.long("Maximum", middle, self.long("Sub", length, one)), size)

        def pixels(lines: Tensor, columns: Tensor) -> Tensor:
            page = self.long("AddV2", self.wider(self.long("Mul", lines, width), -1), columns)
            return self.form(self.long("AddV2", page, fixed["starts"]), -1)

        beside = pixels(self.range(zero, height, one), seams(width))
        above = pixels(seams(height), self.range(zero, width, one))
        line = self.long("FloorMod", self.long("FloorDiv", beside, width), height)
        column = self.long("FloorMod", above, width)
        later = self.long("AddV2", self.long("FloorMod", column, size), size)
        return (
            self.both(beside, above),
            self.both(self.long("AddV2", beside, one), self.long("AddV2", above, width)),
            self.both(self.long("FloorMod", line, size), later),
        )

    def joined(self, fixed: Mapping[str, Tensor], state: Sequence[Tensor]) -> Sequence[Tensor]:
        """The step, the trees and their ranks after one step: a pair of each block, or none."""
        parts, (group, trees, ranks) = self.parts, state
        place = [self.wider(self.found(fixed[name], group), 0) for name in ("begins", "counts")]
        first, second = (
            self.found(trees, self.long("Slice", fixed[name], *place, T=INT64, Index=INT64))
            for name in ("first", "second")
        )
        is_lower = self.long("Less", self.found(ranks, first), self.found(ranks, second))
        is_apart = self.long("NotEqual", first, second)
        parent = self.choose(is_apart, self.choose(is_lower, first, second), fixed["nobody"])
        child = self.choose(is_apart, self.choose(is_lower, second, first), fixed["nobody"])
        rises = parts.op("Cast", "rises", [parts.op("LogicalNot", "not", [is_lower])], SrcT=BOOL, DstT=INT64)
        return (
            self.long("AddV2", group, self.number(1, group)),
            self.found(self.set(fixed["slots"], child, parent), trees),
            self.set(ranks, parent, rises, op="TensorScatterAdd"),
        )


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"ImageConnectedComponents": components}
"""The op -> what its kernel does."""
