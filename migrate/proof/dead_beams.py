"""GatherTree of tf.contrib, in terms of ops that TensorFlow 2 has (contrib/seq2seq/kernels/beam_search_ops.cc).

From the last step of each beam back to the first it takes the step of the beam that the parents lead to. What is behind
a beam's length, and all that follows an end_token, is end_token. Up to TF 1.4 there is a length for each beam and no
end_token, and what is behind a length is -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, INT32, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_OLD = 3
"""Inputs up to TF 1.4."""
_GATHER = dtypes({"Tparams": INT32, "Tindices": INT32, "Taxis": INT32})


def gather_tree(parts: Parts) -> Flat:
    """What stands for a GatherTree."""
    if len(parts.node.data) not in (_OLD, 4) or "T" not in parts.node.attr or parts.node.attr["T"].type != INT32:
        return parts.unknown("takes other inputs than it has")
    return _Beams(parts).result()


class _Beams:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.is_old = len(parts.node.data) == _OLD
        self.steps, self.parents = (parts.ranked("ranked", tensor, INT32, 3) for tensor in parts.node.data[:2])
        self.lengths = parts.ranked("ranked", parts.node.data[2], INT32, 2 if self.is_old else 1)
        self.fill = self.number(-1, self.steps) if self.is_old else parts.ranked("ranked", parts.node.data[3], INT32, 0)
        self.zero, self.one = self.number(0, self.steps), self.number(1, self.steps)

    def number(self, value: int, beside: Tensor) -> Tensor:
        return self.parts.constant(f"n{value}", constants.int32(value), beside)

    def int32(self, op: str, *taken: Tensor, waits: Sequence[int] = (), **types: int) -> Tensor:
        return self.parts.op(op, "int", taken, waits, T=INT32, **types)

    def pack(self, *taken: Tensor) -> Tensor:
        return self.parts.add("Pack", "pack", taken, {**dtypes({"T": INT32}), "N": AttrValue(i=len(taken))}), 0

    def result(self) -> Flat:
        """The beams, as the one output of the node."""
        parts, steps = self.parts, self.steps
        shape = self.int32("Shape", steps, out_type=INT32)
        sizes = parts.add("Unpack", "sizes", [shape], {**dtypes({"T": INT32}), "num": AttrValue(i=3)})
        time, batch, width = ((sizes, number) for number in range(3))
        same = self.int32("Equal", shape, self.int32("Shape", self.parents, out_type=INT32))
        wanted = self.pack(batch, width) if self.is_old else self.pack(batch)
        fits = self.int32("Equal", wanted, self.int32("Shape", self.lengths, out_type=INT32))
        text = b"batch size dimensions of step_ids and the sequence lengths must match"
        checks = [
            parts.check("shapes", same, b"step_ids.shape must match parent_ids.shape"),
            parts.check("lengths", fits, text),
        ]
        lengths = self.lengths
        if not self.is_old:
            lengths = self.int32("ExpandDims", self.int32("Minimum", lengths, time), self.one, Tdim=INT32)
        numbers = parts.op("Range", "numbers", [self.zero, width, self.one], Tidx=INT32)
        own = self.int32("BroadcastTo", numbers, self.pack(batch, width), Tidx=INT32)
        filled = self.int32("Fill", shape, self.fill, waits=checks, index_type=INT32)
        count = self.int32("Minimum", time, self.int32("Size", steps, out_type=INT32))
        beams = self._followed(lengths, own, filled, self.int32("Sub", count, self.one))
        if self.is_old:
            return parts.made("Identity", "", [beams], dtypes({"T": INT32}), parts.node.controls)
        ended = parts.op("Cast", "ended", [self.int32("Equal", beams, self.fill)], SrcT=BOOL, DstT=INT32)
        attr = {**dtypes({"T": INT32, "Tidx": INT32}), "exclusive": AttrValue(b=True)}
        before = parts.add("Cumsum", "before", [ended, self.zero], attr), 0
        is_over = self.int32("Greater", before, self.zero)
        return parts.made("SelectV2", "", [is_over, self.fill, beams], dtypes({"T": INT32}), parts.node.controls)

    def _enter(self, tensor: Tensor, *, is_constant: bool) -> Tensor:
        return self.parts.enter("beams", tensor, INT32, self.parts.node.controls, is_constant=is_constant)

    def _followed(self, lengths: Tensor, own: Tensor, filled: Tensor, last: Tensor) -> Tensor:
        """The loop over the steps, from the last one to the first."""
        parts = self.parts
        steps, parents, limits = (self._enter(t, is_constant=True) for t in (self.steps, self.parents, lengths))
        merges = []
        for entered in (last, own, filled):
            attr = {**dtypes({"T": INT32}), "N": AttrValue(i=2)}
            merges.append(parts.add("Merge", "merge", [self._enter(entered, is_constant=False)], attr))
        least = self.number(0, (merges[0], 0))
        going = parts.op("LoopCond", "going", [self.int32("GreaterEqual", (merges[0], 0), least)])
        switches = [parts.add("Switch", "switch", [(merge, 0), going], dtypes({"T": INT32})) for merge in merges]
        level, at, beams = (self.int32("Identity", (switch, 1)) for switch in switches)
        axis, row = self.number(0, level), self.number(1, level)
        beam = {**_GATHER, "batch_dims": AttrValue(i=1)}
        step, parent = (self._row(self._row(t, level, axis, _GATHER), at, row, beam) for t in (steps, parents))
        is_in = self.int32("Less", level, limits)
        chosen = self.int32("SelectV2", is_in, step, self._row(beams, level, axis, _GATHER))
        form = parts.constant("form", constants.int32s(1, 1), level)
        place = self.int32("Reshape", level, form, Tshape=INT32)
        update = self.int32("ExpandDims", chosen, axis, Tdim=INT32)
        after = (
            self.int32("Sub", level, row),
            self.int32("SelectV2", is_in, parent, at),
            self.int32("TensorScatterUpdate", beams, place, update, Tindices=INT32),
        )
        for merge, tensor in zip(merges, after, strict=True):
            parts.extend(merge, self.int32("NextIteration", tensor))
        return self.int32("Exit", (switches[2], 0))

    def _row(self, table: Tensor, index: Tensor, axis: Tensor, attr: Mapping[str, AttrValue]) -> Tensor:
        return self.parts.add("GatherV2", "row", [table, index, axis], attr), 0
