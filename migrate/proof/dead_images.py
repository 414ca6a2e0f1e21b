"""Resampler of tf.contrib, in terms of ops that TensorFlow 2 has (contrib/resampler/kernels/resampler_ops.cc).

With fx = floor(x), cx = fx + 1, dx = cx - x, and the same for y, a point inside (-1, width) x (-1, height) is

    dx * dy * at(fx, fy) + (1 - dx) * (1 - dy) * at(cx, cy) + dx * (1 - dy) * at(fx, cy) + (1 - dx) * dy * at(cx, fy)

added from the left, where `at` is zero beside the image. A point that is not inside is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_CORNERS = (("fxfy", 0, 0), ("cxcy", 1, 1), ("fxcy", 0, 1), ("cxfy", 1, 0))
"""Name, whether it is to the right, and whether it is below: in the order in which they are added."""


def resample(parts: Parts) -> Flat:
    """What stands for a Resampler."""
    node = parts.node
    if len(node.data) != 2 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    return _Points(parts, node.attr["T"].type).result()


class _Points:
    """The points of one Resampler: an image of each row of `warp`."""

    def __init__(self, parts: Parts, dtype: int) -> None:
        self.parts, self.dtype = parts, dtype
        self.data, self.warp = parts.node.data
        self.zero, self.axis = self.vector(0), self.number(0)
        shape = parts.op("Shape", "shape", [self.data], T=dtype, out_type=INT32)
        sizes = parts.add("Unpack", "sizes", [shape], {**dtypes({"T": INT32}), "num": AttrValue(i=4)})
        self.batch, self.height, self.width, self.channels = ((sizes, number) for number in range(4))
        self.warp_shape = parts.op("Shape", "warp_shape", [self.warp], T=dtype, out_type=INT32)
        self.nothing = self.real("nothing", 0.0)

    def vector(self, value: int) -> Tensor:
        return self.parts.constant(f"v{value}", constants.int32s(value), self.data)

    def number(self, value: int) -> Tensor:
        return self.parts.constant(f"n{value}", constants.int32(value), self.data)

    def real(self, name: str, value: float) -> Tensor:
        made = self.parts.constant(name, constants.made("float32", value), self.data)
        if self.dtype == FLOAT:
            return made
        return self.parts.op("Cast", name, [made], SrcT=FLOAT, DstT=self.dtype)

    def int32(self, op: str, *taken: Tensor) -> Tensor:
        return self.parts.op(op, "int", taken, T=INT32)

    def both(self, *taken: Tensor) -> Tensor:
        return self.parts.op("LogicalAnd", "and", taken)

    def listed(self, op: str, taken: Sequence[Tensor], **types: int) -> Tensor:
        """A Pack or ConcatV2."""
        count = len(taken) - (op == "ConcatV2")
        return self.parts.add(op, "list", taken, {**dtypes(types), "N": AttrValue(i=count)}), 0

    def result(self) -> Flat:
        """All points, in the form of `warp` without its last dimension."""
        parts, dtype = self.parts, self.dtype
        pair = self._pair()
        inside = self._inside(pair)
        ends = [self._ends(inside, point) for point in pair]
        plane = self.int32("Mul", self.height, self.width)
        table = self._table()
        beside = self.int32("Mul", self.batch, plane)
        images = parts.op("Range", "images", [self.axis, self.batch, self.number(1)], Tidx=INT32)
        starts = parts.op(
            "ExpandDims", "starts", [self.int32("Mul", images, plane), self.number(1)], T=INT32, Tdim=INT32
        )
        total = None
        for name, right, lower in _CORNERS:
            (column, across), (line, down) = ends[0][right], ends[1][lower]
            there = self.both(
                *(self._is_on(place, size) for place, size in ((column, self.width), (line, self.height)))
            )
            place = self.int32("AddV2", self.int32("AddV2", self.int32("Mul", line, self.width), column), starts)
            row = parts.op("SelectV2", f"{name}_row", [there, place, beside], T=INT32)
            taken = [table, row, self.axis]
            values = parts.op("GatherV2", f"{name}_values", taken, Tparams=dtype, Tindices=INT32, Taxis=INT32)
            weight = parts.op("Mul", f"{name}_weight", [across, down], T=dtype)
            weight = parts.op("ExpandDims", f"{name}_weights", [weight, self.vector(-1)], T=dtype, Tdim=INT32)
            term = parts.op("Mul", name, [weight, values], T=dtype)
            total = term if total is None else parts.op("AddV2", f"with_{name}", [total, term], T=dtype)
        assert total is not None
        kept = parts.op("ExpandDims", "kept", [inside, self.vector(-1)], T=BOOL, Tdim=INT32)
        points = parts.op("SelectV2", "points", [kept, total, self.nothing], T=dtype)
        cut = {**dtypes({"T": INT32, "Index": INT32}), "begin_mask": AttrValue(i=1)}
        outer = (
            parts.add("StridedSlice", "outer", [self.warp_shape, self.zero, self.vector(-1), self.vector(1)], cut),
            0,
        )
        depth = parts.op("ExpandDims", "depth", [self.channels, self.axis], T=INT32, Tdim=INT32)
        shape = self.listed("ConcatV2", [outer, depth, self.axis], T=INT32, Tidx=INT32)
        return parts.made("Reshape", "", [points, shape], dtypes({"T": dtype, "Tshape": INT32}), parts.node.controls)

    def _pair(self) -> list[Tensor]:
        """x and y of each point, a row for each image; that there are as many rows is checked."""
        parts = self.parts
        begin = [self.warp_shape, self.zero, self.vector(1)]
        given = parts.op("Slice", "given", begin, T=INT32, Index=INT32)
        rows = parts.op("ExpandDims", "rows", [self.batch, self.axis], T=INT32, Tdim=INT32)
        text = b"Batch size of data and warp tensor must be the same"
        check = parts.check("same_batch", parts.op("Equal", "alike", [given, rows], T=INT32), text)
        form = self.listed("ConcatV2", [rows, self.vector(-1), self.vector(2), self.axis], T=INT32, Tidx=INT32)
        points = parts.op("Reshape", "row", [self.warp, form], [check], T=self.dtype, Tshape=INT32)
        attr = {**dtypes({"T": self.dtype}), "num": AttrValue(i=2), "axis": AttrValue(i=2)}
        pair = parts.add("Unpack", "pair", [points], attr)
        return [(pair, 0), (pair, 1)]

    def _inside(self, pair: Sequence[Tensor]) -> Tensor:
        below = self.real("below", -1.0)
        found = []
        for point, size in zip(pair, (self.width, self.height), strict=True):
            end = self.parts.op("Cast", "size", [size], SrcT=INT32, DstT=self.dtype)
            low = self.parts.op("Greater", "low", [point, below], T=self.dtype)
            found.append(self.both(low, self.parts.op("Less", "high", [point, end], T=self.dtype)))
        return self.both(*found)

    def _ends(self, inside: Tensor, point: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The pixels on both sides of a point, each with its share; a point that is not inside is taken for zero."""
        parts, dtype = self.parts, self.dtype
        safe = parts.op("SelectV2", "safe", [inside, point, self.nothing], T=dtype)
        single = parts.op("Cast", "single", [safe], SrcT=dtype, DstT=FLOAT)
        floor = parts.op("Floor", "floor", [single], T=FLOAT)
        first = parts.op("Cast", "first", [floor], SrcT=FLOAT, DstT=INT32)
        second = self.int32("AddV2", first, self.vector(1))
        end = parts.op("Cast", "end", [second], SrcT=INT32, DstT=dtype)
        share = parts.op("Sub", "share", [end, safe], T=dtype)
        return [(first, share), (second, parts.op("Sub", "rest", [self.real("unit", 1.0), share], T=dtype))]

    def _is_on(self, place: Tensor, size: Tensor) -> Tensor:
        return self.both(self.int32("GreaterEqual", place, self.axis), self.int32("Less", place, size))

    def _table(self) -> Tensor:
        """A row for each pixel, and one of zeros for what is beside the image."""
        parts, dtype = self.parts, self.dtype
        form = self.listed("Pack", [self.number(-1), self.channels], T=INT32)
        pixels = parts.op("Reshape", "pixels", [self.data, form], T=dtype, Tshape=INT32)
        row = self.listed("Pack", [self.number(1), self.channels], T=INT32)
        zeros = parts.op("Fill", "zeros", [row, self.nothing], T=dtype, index_type=INT32)
        return self.listed("ConcatV2", [pixels, zeros, self.axis], T=dtype, Tidx=INT32)
