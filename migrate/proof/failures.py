"""What a call leaves behind when one of its ops fails: the order of what may fail and of what is written.

The executor starts no more ops when one has failed (executor.cc, NodeDone). So what waits for an op that fails is not
written, and what such an op waits for is. Each order that the source keeps in every call, the candidate has to keep.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

from migrate.proof.equations import EXITS, MERGES, NEXT_ITERATIONS
from migrate.proof.liveness import ALWAYS, Atom
from migrate.proof.loops import Event
from migrate.proof.order import Frames
from migrate.proof.records import PROVED, NotProved, Result
from migrate.proof.side import Side
from migrate.proof.terms import Term

_MOST_BITS = 1 << 32
"""Nodes, times the names of what may come before them."""
_MOST_PASSES = 40
_CANNOT_FAIL = frozenset({"DestroyTemporaryVariable"})
"""It looks for what the TemporaryVariable that it waits for has made; where another one may take that away, its value
is unknown (`temporaries`)."""
_FAILS, _WRITES = "fails", "writes"
_Name = tuple[Hashable, ...]
"""`_FAILS` and a term; or `_WRITES`, what is written, and the state that is left."""


def same_order(source: Side, candidate: Side, cells: Iterable[tuple[Hashable, Hashable]]) -> Result:
    """Whether a call of the candidate that fails leaves behind what one of the source may leave.

    Args:
      source: a call of the source.
      candidate: the same call of the candidate, which leaves the same if nothing fails.
      cells: the cells that the calls write: key in the source, key in the candidate.
    """
    pairs = list(cells)
    sides = (source, candidate)
    written = [
        _written(side, {pair[which]: number for number, pair in enumerate(pairs)}) for which, side in enumerate(sides)
    ]
    if not any(written):
        return PROVED
    names: dict[_Name, int] = {}
    places = _related(source, written[0])
    asked_of = {term for place, term in source.made.items() if place in places}
    one, other = (_Order(side, _named(side, made, asked_of), names) for side, made in zip(sides, written, strict=True))
    if one.problem or other.problem:
        return NotProved("", "", one.problem or other.problem)
    common = writes = 0
    for name, number in names.items():
        if name in one.places and name in other.places:
            common |= 1 << number
        if name[0] == _WRITES:
            writes |= 1 << number
            if not common >> number & 1:
                why = "a call that fails may leave this behind in one of the models alone"
                return NotProved(one.label(name), other.label(name), why)
    for name in one.places:
        doubtful = _doubtful(one, name, names, writes)
        if doubtful:
            return NotProved(
                one.label(name), "", f"it and {doubtful} are ordered, and one of them is not known to be equal"
            )
        if name not in other.places:
            continue
        asked = common if name[0] == _WRITES else common & writes
        for mine, theirs in zip(one.before(name), other.before(name), strict=True):
            lost = mine & ~theirs & asked
            if lost:
                earlier = one.label(_one_of(names, lost))
                why = f"it waits for {earlier} in the source alone, and one of the two may fail"
                return NotProved(one.label(name), other.label(name), why)
    return PROVED


def _doubtful(order: _Order, name: _Name, names: Mapping[_Name, int], writes: int) -> str:
    """A write that waits for what is not known, or for which that waits; empty where there is none."""
    if name[0] == _WRITES or not order.is_doubtful(name):
        return ""
    bit = 1 << names[name]
    for found in order.before(name):
        if found & writes:
            return order.label(_one_of(names, found & writes))
    for known in order.places:
        if known[0] == _WRITES and any(found & bit for found in order.before(known)):
            return order.label(known)
    return ""


def _one_of(names: Mapping[_Name, int], bits: int) -> _Name:
    """The first name whose bit is set."""
    return next(name for name, number in names.items() if bits >> number & 1)


def _written(side: Side, cells: Mapping[Hashable, int]) -> dict[int, list[_Name]]:
    """The places of writes, and of what prints."""
    found: dict[int, list[_Name]] = {}
    for cell, number in cells.items():
        for event in side.events.get(cell, ()):
            if event.is_write:
                found.setdefault(event.place, []).append((_WRITES, number, event.state))
    for place, message in zip(side.said, side.messages, strict=True):
        if message[0] == "message" and message[3]:
            found.setdefault(place, []).append((_WRITES, "text", message[1]))
    return found


def _named(side: Side, written: Mapping[int, Sequence[_Name]], terms: Collection[Term]) -> dict[int, Sequence[_Name]]:
    """The same, and the places of what may fail and is one of some terms."""
    found = dict(written)
    for place, term in side.made.items():
        if place not in found and term in terms and side.nodes[place].op not in _CANNOT_FAIL:
            found[place] = [(_FAILS, term)]
    return found


def _related(side: Side, places: Iterable[int]) -> Collection[int]:
    """The nodes that come before or after some others; all of them where loops keep an order without edges."""
    if {1} in side.loop_cells.at_once.values():
        return frozenset(side.order)
    before: dict[int, Sequence[int]] = {}
    after: dict[int, list[int]] = {}
    for place in side.order:
        node = side.nodes[place]
        before[place] = [*(source for source, _ in node.data), *node.controls]
        for source in before[place]:
            after.setdefault(source, []).append(place)
    found: set[int] = set()
    for edges in (before, after):
        met = set(places)
        pending = list(met)
        while pending:
            for place in edges.get(pending.pop(), ()):
                if place not in met:
                    met.add(place)
                    pending.append(place)
        found |= met
    return found


class _Order:
    """What comes before what in each call of a model.

    Attributes:
      places: of each name.
      problem: why it is not worked out, or empty.
    """

    def __init__(self, side: Side, named: Mapping[int, Sequence[_Name]], names: dict[_Name, int]) -> None:
        """Works it out.

        Args:
          side: a call.
          named: the names of some nodes, by place.
          names: the number of each name, for both models; it grows.
        """
        self._side = side
        self.places: dict[_Name, list[int]] = {}
        self._own = [0] * len(side.nodes)
        for place, known in named.items():
            if side.lives.get(place, ALWAYS) is None:
                continue
            for name in known:
                self.places.setdefault(name, []).append(place)
                self._own[place] |= 1 << names.setdefault(name, len(names))
        self.problem = ""
        if len(side.nodes) * len(names) > _MOST_BITS:
            self.problem = "the graph is too large to work out what a call that fails leaves behind"
            return
        # What can be there in which branches of which loops.
        self._whole: dict[tuple[Frames, frozenset[Atom]], int] = {}
        for name, places in self.places.items():
            for place in places:
                where = (side.frames.get(place, ()), side.lives.get(place) or ALWAYS)
                self._whole[where] = self._whole.get(where, 0) | 1 << names[name]
        self._apart: dict[tuple[Frames, frozenset[Atom]], int] = {}
        self._inside: dict[Frames, int] = {}
        self._before, self._earlier = [0] * len(side.nodes), [0] * len(side.nodes)
        self._back: dict[int, tuple[int, int]] = {}
        turns = [place for place in side.order if side.nodes[place].op in NEXT_ITERATIONS]
        for _ in range(_MOST_PASSES):
            for place in side.order:
                self._node(place)
            found = {place: (self._before[place] | self._own[place], self._earlier[place]) for place in turns}
            if found == self._back:
                return
            self._back = found
        self.problem = "in which order loops fail and write is not worked out"

    def before(self, name: _Name) -> tuple[int, int]:
        """What has ended whenever a node of this name starts: of the same iteration, and of the ones before."""
        places = self.places[name]
        found, earlier = self._before[places[0]], self._earlier[places[0]]
        for place in places[1:]:
            found, earlier = found & self._before[place], earlier & self._earlier[place]
        return found, earlier

    def is_doubtful(self, name: _Name) -> bool:
        """Whether what may fail is known to be equal to nothing of the other model."""
        term = name[1]
        assert isinstance(term, int)
        return self._side.terms.doubtful(term)

    def label(self, name: _Name) -> str:
        """A node of this name; empty where there is none."""
        if name not in self.places:
            return ""
        node = self._side.nodes[self.places[name][0]]
        return f"{node.op} {node.label!r}"

    def _node(self, place: int) -> None:
        side = self._side
        node = side.nodes[place]
        if side.lives.get(place, ALWAYS) is None:
            return
        before, earlier = self._before, self._earlier
        found = more = 0
        for source in node.controls:
            found |= before[source] | self._own[source]
            more |= earlier[source]
        if node.op in MERGES:
            first, second = self._loop(place) if side.is_loop(place) else self._merged(place)
            before[place], earlier[place] = found | first, more | second
            return
        for source, _ in node.data:
            found |= before[source] | self._own[source]
            more |= earlier[source]
        if node.op in EXITS:
            found, more = self._left(place, found, more)
        before[place], earlier[place] = found, more

    def _merged(self, place: int) -> tuple[int, int]:
        """What is before each input of a Merge that can be there, or is never there together with it."""
        side = self._side
        found = more = -1
        for tensor in side.nodes[place].data:
            live = side.live(tensor)
            if live is not None:
                apart = self._never(side.frames.get(place, ()), live)
                found &= self._before[tensor[0]] | self._own[tensor[0]] | apart
                more &= self._earlier[tensor[0]] | apart
        return (0, 0) if found == -1 else (found, more)

    def _never(self, frames: Frames, live: frozenset[Atom]) -> int:
        """What is never there in the same iteration as what is in these loops and branches."""
        if (frames, live) not in self._apart:
            every = possible = 0
            for (inner, there), bits in self._whole.items():
                every |= bits
                event = Event(0, 0, False, there, 0, inner)
                if not self._side.loop_cells.apart(event, frames, live):
                    possible |= bits
            self._apart[frames, live] = every & ~possible
        return self._apart[frames, live]

    def _in(self, frames: Frames) -> int:
        """What is in a loop and nowhere else."""
        if frames not in self._inside:
            inside = outside = 0
            for (there, _), bits in self._whole.items():
                if there[: len(frames)] == frames:
                    inside |= bits
                else:
                    outside |= bits
            self._inside[frames] = inside & ~outside
        return self._inside[frames]

    def _loop(self, place: int) -> tuple[int, int]:
        """What is before a loop variable: before its first iteration, and before each later one.

        The first pass takes all for certain that the first iteration does not contradict; later ones take less.
        """
        side = self._side
        frames = side.frames.get(place, ())
        inside = self._in(frames)
        found = more = -1
        for source, _ in side.nodes[place].data:
            if side.nodes[source].op not in NEXT_ITERATIONS:
                found &= self._before[source] | self._own[source]
                more &= self._earlier[source] | inside
            elif source in self._back:
                back, long_before = self._back[source]
                found &= back | inside
                # executor.cc, CleanupIterations: where one iteration runs at once, it begins when the last one is over.
                is_one_by_one = side.loop_cells.at_once.get(frames) == {1}
                more &= (long_before & ~inside) | (inside if is_one_by_one else back & inside)
        return (found & ~inside if found != -1 else 0), (more if more != -1 else 0)

    def _left(self, place: int, before: int, earlier: int) -> tuple[int, int]:
        """What is before that which leaves a loop: what is before it in the last iteration, and in each earlier one."""
        side = self._side
        source = side.nodes[place].data[0] if side.nodes[place].data else None
        frames = side.frames.get(source[0], ()) if source is not None else ()
        inside = self._in(frames) if frames else 0
        live = side.live(source) if source is not None else None
        last = before | (self._never(frames, live) if live is not None else 0)
        return (before & ~inside) | (inside & last & earlier), earlier & ~inside
