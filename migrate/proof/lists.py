"""Which TensorArrays of a call are values, as a TensorList is: told by where their handles and flows go.

A TensorArray is changed in place, and its flow only orders what changes it. Where each write takes the flow that the
write before it gives, and no read can see a write that is not on its flow's way, the flow says what the array holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.proof.equations import ARRAY_FLOWS, ENTERS, EXITS, MERGES, NEXT_ITERATIONS, SWITCHES
from migrate.proof.order import Frames, frames_of
from migrate.proof.program import Flat

Tensor = tuple[int, int]

_MAKER, _SIZE = "TensorArrayV3", "TensorArraySizeV3"
_WRITES = frozenset({"TensorArrayScatterV3", "TensorArrayWriteV3"})
_PASSES = frozenset({"Identity", "Switch", "Merge", "Enter", "Exit", "NextIteration"})


@frozen
class Lists:
    """The arrays that are values.

    Attributes:
      arrays: of each op of such an array: the place of the op that makes it.
      flows: its flows, which no client can ask for.
      in_loop: the writes that run in a loop in which the array is not made.
      is_asked: whether arrays are looked at as values at all.
    """

    arrays: Mapping[int, int]
    flows: frozenset[Tensor]
    in_loop: frozenset[int]
    is_asked: bool = True


NONE = Lists({}, frozenset(), frozenset(), is_asked=False)


def find(nodes: Sequence[Flat], order: Sequence[int]) -> Lists:
    """The arrays of a flat graph that are values."""
    makers = [place for place in order if nodes[place].op == _MAKER]
    if not makers:
        return Lists({}, frozenset(), frozenset())
    consumers: dict[Tensor, list[tuple[int, int]]] = {}
    for place in order:
        for position, tensor in enumerate(nodes[place].data):
            consumers.setdefault(tensor, []).append((place, position))
    frames = frames_of(nodes, order)
    arrays: dict[int, int] = {}
    flows: set[Tensor] = set()
    in_loop: set[int] = set()
    for maker in makers:
        found = _Array(nodes, order, consumers, frames, maker)
        if found.is_value():
            arrays.update(dict.fromkeys((maker, *found.reads, *found.writes), maker))
            flows |= found.flows
            in_loop.update(place for place in found.writes if len(frames[place]) > len(frames[maker]))
    return Lists(arrays, frozenset(flows), frozenset(in_loop))


class _Array:
    """Where the handle and the flow of one array go."""

    def __init__(
        self,
        nodes: Sequence[Flat],
        order: Sequence[int],
        consumers: Mapping[Tensor, Sequence[tuple[int, int]]],
        frames: Mapping[int, Frames],
        maker: int,
    ) -> None:
        self._nodes, self._order, self._consumers, self._frames = nodes, order, consumers, frames
        self._maker, self._depth = maker, len(frames[maker])
        self._is_known = True
        self.reads: set[int] = set()
        self.writes: set[int] = set()
        self.handles = self._follow((maker, 0), is_flow=False)
        self.flows = self._follow((maker, 1), is_flow=True)

    def is_value(self) -> bool:
        """Whether its flow says what it holds."""
        return (
            self._is_known
            and self._is_closed()
            and self._is_linear()
            and self._is_written_once()
            and self._keeps_what_is_read()
            and all(self._sees(read) for read in self.reads)
        )

    def _follow(self, start: Tensor, is_flow: bool, turns: bool = True) -> set[Tensor]:
        """The handles or flows that come after one; those of later iterations among them where it `turns`."""
        found = {start}
        pending = [start]
        for tensor in pending:  # It grows.
            for place, position in self._consumers.get(tensor, ()):
                if not turns and self._nodes[place].op in NEXT_ITERATIONS:
                    continue
                for given in self._given(place, position, is_flow):
                    if given not in found:
                        found.add(given)
                        pending.append(given)
        return found

    def _given(self, place: int, position: int, is_flow: bool) -> Iterable[Tensor]:
        """The handles or flows that a node makes of one that it takes."""
        node = self._nodes[place]
        if node.op in _PASSES and (position == 0 or node.op in MERGES):
            # What goes on to the next iteration of the loop in which it is made is another array there.
            is_turn = node.op in NEXT_ITERATIONS or node.op in EXITS
            self._is_known &= not (is_turn and len(self._frames[place]) <= self._depth)
            return [(place, output) for output in range(2 if node.op in SWITCHES else 1)]
        if node.op in ARRAY_FLOWS and position == (ARRAY_FLOWS[node.op] if is_flow else 0):
            is_write = node.op in _WRITES
            (self.writes if is_write else self.reads).add(place)
            return [(place, 0)] if is_write and is_flow else []
        self._is_known = False
        return []

    def _is_closed(self) -> bool:
        """Whether each op takes the handle and the flow of this array, and each Merge has these alone."""
        ops = self.reads | self.writes
        whole = all(
            len(self._nodes[place].data) == ARRAY_FLOWS[self._nodes[place].op] + 1
            and self._nodes[place].data[0] in self.handles
            and self._flow(place) in self.flows
            for place in ops
        )
        merges = {(place, kind) for kind in (0, 1) for place, _ in (self.handles, self.flows)[kind]}
        return whole and all(
            tensor in (self.handles, self.flows)[kind]
            for place, kind in merges
            if self._nodes[place].op in MERGES
            for tensor in self._nodes[place].data
        )

    def _flow(self, place: int) -> Tensor:
        return self._nodes[place].data[ARRAY_FLOWS[self._nodes[place].op]]

    def _behind(self, places: Iterable[int]) -> set[Tensor]:
        """The flows that some ops take, and those that these are made of."""
        found: set[Tensor] = set()
        pending = [self._flow(place) for place in places]
        while pending:
            tensor = pending.pop()
            if tensor in found:
                continue
            found.add(tensor)
            node = self._nodes[tensor[0]]
            if tensor[0] in self.writes:
                pending.append(self._flow(tensor[0]))
            elif tensor[0] != self._maker:
                pending += node.data if node.op in MERGES else node.data[:1]
        return found

    def _is_linear(self) -> bool:
        """Whether no flow is where two writes begin, of which none comes after the other."""
        changing = self._behind(self.writes)
        for place, _ in changing:
            node = self._nodes[place]
            if node.op in ENTERS and "is_constant" in node.attr and node.attr["is_constant"].b:
                return False  # Each iteration writes to what the one before has written to.
        for tensor in self.flows:
            going_on = 0
            for place, position in self._consumers.get(tensor, ()):
                given = self._given(place, position, is_flow=True)
                going_on += place in self.writes or any(each in changing for each in given)
            if going_on > 1:
                return False
        return True

    def _is_written_once(self) -> bool:
        """Whether no two writes may meet one element, as far as that is told without looking at the indices."""
        if all(len(self._frames[place]) == self._depth for place in self.writes):
            return True
        for place in self.writes:
            after = self._follow((place, 0), is_flow=True, turns=False)
            if any(self._flow(other) in after for other in self.writes - {place}):
                return False
        return True

    def _keeps_what_is_read(self) -> bool:
        """Whether no two ops may read one element of an array that clears what is read: the second fails there.

        With `clear_after_read`, which is the default (tensor_array.h, `TensorArray::LockedRead`). What one op reads
        twice, by an index that comes back, is not told.
        """
        attr = self._nodes[self._maker].attr
        is_clearing = attr["clear_after_read"].b if "clear_after_read" in attr else True
        return not is_clearing or sum(self._nodes[read].op != _SIZE for read in self.reads) < 2

    def _sees(self, read: int) -> bool:
        """Whether a read sees what a write has written if its flow comes after the write's, and not otherwise."""
        mine, before = self._frames[read], self._behind([read])
        unseen = []
        for write in self.writes:
            other = self._frames[write]
            common = 0
            while common < min(len(mine), len(other)) and mine[common] == other[common]:
                common += 1
            if common > self._depth:
                return False  # What an iteration reads, another one may write.
            if (write, 0) in before:
                continue
            if len(mine) > common:
                return False
            unseen.append(write)
        return not unseen or self._waiting(read).issuperset(unseen)

    def _waiting(self, start: int) -> set[int]:
        """The nodes that wait for one, whatever branch is taken."""
        found = {start}
        for place in self._order:  # Each comes after what it waits for.
            node = self._nodes[place]
            sources = [
                source
                for source, _ in node.data
                if not (node.op in MERGES and self._nodes[source].op in NEXT_ITERATIONS)
            ]
            if any(source in found for source in (*sources, *node.controls)):
                if node.op in MERGES and not all(source in found for source in sources):
                    continue  # It may take the other one.
                found.add(place)
        return found
