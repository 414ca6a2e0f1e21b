"""Loops of v1 control flow: which accesses of one iteration have ended when the next one begins, and what cells hold.

What a cell holds when an iteration begins is a loop variable like any other one, which no node carries: it enters as
what was left before the loop, and comes back as what the iteration leaves. That is so where each access of one
iteration has ended before an access of the next iteration that it could disturb. The executor promises nothing of the
kind (several iterations run at once: executor.cc, parallel_iterations), so the graph's edges have to order them: an
access comes before the next iteration's where it comes before a NextIteration of which the other one takes the Merge.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from migrate.proof.liveness import ALWAYS, Atom, Live, conflict
from migrate.proof.order import Frames
from migrate.proof.terms import Term, Terms


class Event:
    """A write or a read of a cell that the call writes.

    Attributes:
      place: the node's.
      bit: the node's, in sets of nodes.
      is_write: whether it is a write.
      live: what must hold for it to run.
      before: what has ended when it runs.
      frames: the loops that it is in.
      chain: it and the writes of the cell before it.
      state: what a write leaves, or a read sees.
    """

    __slots__ = ("before", "bit", "chain", "frames", "is_write", "live", "place", "state")

    def __init__(
        self, place: int, bit: int, is_write: bool, live: frozenset[Atom], before: int, frames: Frames
    ) -> None:
        """See the class."""
        self.place, self.bit, self.is_write, self.live, self.before = place, bit, is_write, live, before
        self.frames = frames
        self.chain = 0
        self.state: Term = -1


class Pass(Protocol):
    """The pass over a graph that the loops are in: see `side.Side`."""

    terms: Terms
    events: dict[Hashable, list[Event]]
    entered: dict[Frames, frozenset[Atom]]
    lives: dict[int, Live]
    before: dict[int, int]
    bits: dict[int, int]
    bad_frames: set[str]

    def unknown(self, why: str) -> Term:
        """A term that is equal to no other one."""

    def loop_term(self, which: Hashable, more: Hashable, entered: Term) -> Term:
        """The term of what is carried from one iteration to the next."""

    def race(self, cell: Hashable, why: str) -> None:
        """Notes that what a cell holds is not worked out."""

    def racing_read(self, cell: Hashable, read: int, write: int) -> None:
        """Notes that no edge orders a read with a write."""

    def unordered(self, one: int, other: int) -> str:
        """Says that no edge orders two nodes."""


class Loops:
    """What one pass finds of the loops of a call.

    Attributes:
      turns: by frame: bit and place of each loop variable's Merge, and the place of its NextIteration.
      predicates: by frame: the term of its LoopCond.
      at_once: by frame: how many iterations its Enters let run at once.
      odd: frames that are of no usual form.
      written: frames with the cells that are written in them.
      entered: what a cell holds when a frame in which it is written begins.
      lost: by loop variable's Merge: nodes that are before its first iteration and not before each one.
    """

    def __init__(self, side: Pass) -> None:
        """Begins with nothing."""
        self._side = side
        self.turns: dict[Frames, list[tuple[int, int, int]]] = {}
        self.predicates: dict[Frames, Term] = {}
        self.at_once: dict[Frames, set[int]] = {}
        self.odd: set[Frames] = set()
        self.written: set[tuple[Frames, Hashable]] = set()
        self.entered: dict[tuple[Frames, Hashable], Term] = {}
        self.lost: dict[int, set[int]] = {}

    # Order.
    def outer(self, frames: Frames, live: frozenset[Atom], depth: int) -> frozenset[Atom]:
        """What must hold, of that which is one thing in an iteration of the loops up to a depth."""
        if len(frames) == depth:
            return live
        return live & self._side.entered.get(frames[: depth + 1], ALWAYS)

    def apart(self, event: Event, frames: Frames, live: frozenset[Atom]) -> bool:
        """Whether an access and a node never run in the same iteration of the loops that both are in."""
        if event.frames == frames:
            return conflict(event.live, live)
        depth = 0
        while depth < min(len(frames), len(event.frames)) and frames[depth] == event.frames[depth]:
            depth += 1
        return conflict(self.outer(event.frames, event.live, depth), self.outer(frames, live, depth))

    def turned(self, frames: Frames, before: int) -> int:
        """What has ended of all earlier iterations when a node runs, of which is known what is before it."""
        found = 0
        if self.at_once.get(frames) == {1}:
            # executor.cc, CleanupIterations: an iteration begins when nothing is left of the one before.
            for events in self._side.events.values():
                for event in events:
                    found |= event.bit if event.frames[: len(frames)] == frames else 0
            return found
        for bit, _, following in self.turns.get(frames, ()):
            if before & bit:
                back = self._side.before.get(following, 0)
                # It must wait for itself, or the iterations before the last one may still run.
                found |= back if back & bit else 0
        return found

    def left(self, frames: Frames, before: int, live: Live) -> int:
        """What has ended of all iterations when something leaves a loop, of what was before it in the last one."""
        predicate = self.predicates.get(frames)
        is_last = live is not None and predicate is not None and ("if", predicate, 0) in live
        depth = len(frames)
        inside = never = 0
        for events in self._side.events.values():
            for event in events:
                if event.frames[:depth] == frames:
                    inside |= event.bit
                    if is_last and live is not None and conflict(self.outer(event.frames, event.live, depth), live):
                        never |= event.bit
        done = self.turned(frames, before) if is_last and inside else 0
        return (before & ~inside) | (inside & done & (before | never))

    # What cells hold.
    def last(self, writes: Sequence[Event], cell: Hashable, depth: int, base: Term) -> Term:
        """What some writes in an iteration leave, those of inner loops among them, of a cell that holds `base`."""
        groups: dict[Frames, list[Event]] = {}
        items: list[tuple[int, int, Term]] = []
        for event in writes:
            if len(event.frames) > depth:
                groups.setdefault(event.frames[: depth + 1], []).append(event)
            else:
                items.append((event.bit, event.chain, event.state))
        for frames, events in groups.items():
            bits = chain = 0
            for event in events:
                bits |= event.bit
                chain |= event.chain
            items.append((bits, chain, self._after(frames, cell, events)))
        chained = 0
        for bits, chain, _ in items:
            chained |= chain & ~bits
        found = {state for bits, _, state in items if not bits & chained}
        if not found:
            return base
        return found.pop() if len(found) == 1 else self._side.terms.make("one of", None, sorted(found))

    def begun(self, frames: Frames, cell: Hashable, entered: Term) -> Term:
        """What a cell holds when an iteration begins, where it holds `entered` before the loop."""
        if self.entered.setdefault((frames, cell), entered) != entered:
            self._side.race(cell, "two accesses in a loop come after other writes")
        return self._carried(frames, cell)

    def _carried(self, frames: Frames, cell: Hashable) -> Term:
        side = self._side
        if (frames, cell) not in self.entered:
            return side.unknown("what a variable holds when a loop begins is not known")
        return side.loop_term((frames, cell), len(frames), self.entered[frames, cell])

    def _after(self, frames: Frames, cell: Hashable, events: Sequence[Event]) -> Term:
        """What is left when a loop is over."""
        side = self._side
        predicate = self.predicates.get(frames)
        every = [e for e in side.events.get(cell, ()) if e.is_write and e.frames[: len(frames)] == frames]
        if predicate is None or len(every) != len(events) or (frames, cell) not in self.entered:
            return side.unknown("what a loop leaves is not worked out")
        ending = frozenset({("if", predicate, 0)})
        found = side.terms.make("Exit", ending, (self._over(frames, cell, ending),))
        entry = side.entered.get(frames, ALWAYS)
        # Where the loop does not run at all it leaves what was there.
        return side.terms.make("looped", entry, (found, self.entered[frames, cell])) if entry else found

    def _over(self, frames: Frames, cell: Hashable, which: frozenset[Atom]) -> Term:
        """What a cell holds at the end of an iteration in which `which` holds."""
        depth = len(frames)
        made = [
            event
            for event in self._side.events.get(cell, ())
            if event.is_write
            and event.frames[:depth] == frames
            and not conflict(self.outer(event.frames, event.live, depth), which)
        ]
        return self.last(made, cell, depth, self._carried(frames, cell))

    def next_class(self, frames: Frames, cell: Hashable) -> tuple[Term, Live, Term, Live]:
        """What a cell's state is told apart by: what enters, and what comes back."""
        predicate = self.predicates.get(frames)
        if predicate is None or (frames, cell) not in self.entered:
            unknown = self._side.unknown("a loop whose form is not known")
            return unknown, ALWAYS, unknown, ALWAYS
        again = frozenset({("if", predicate, 1)})
        entry = self._side.entered.get(frames, ALWAYS)
        return self.entered[frames, cell], entry, self._over(frames, cell, again), again

    # What is found out when the pass is over.
    def check(self) -> None:
        """Says of each cell that is written in a loop where an iteration is not ordered with the next one."""
        side = self._side
        for turns in self.turns.values():
            for _, place, following in turns:
                lost = side.before[place] & ~side.before.get(following, 0)
                if lost:
                    self.lost[place] = {other for other, bit in side.bits.items() if bit & lost}
        for frames, cell in self.written:
            if self._is_odd(frames):
                side.race(cell, "a loop that writes it is not of the usual form")
            else:
                self._check(frames, cell)

    def _is_odd(self, frames: Frames) -> bool:
        """Whether it is not so that a next iteration begins where the loop's condition holds, and there alone."""
        side = self._side
        predicate = self.predicates.get(frames)
        turns = self.turns.get(frames)
        if predicate is None or not turns or frames in self.odd or not side.bad_frames.isdisjoint(frames):
            return True
        entry = side.entered.get(frames, ALWAYS)
        again = entry | {("if", predicate, 1)}
        return any(side.lives.get(m) != entry or side.lives.get(n) != again for _, m, n in turns)

    def _check(self, frames: Frames, cell: Hashable) -> None:
        side = self._side
        depth = len(frames)
        again = frozenset({("if", self.predicates[frames], 1)})
        events = [e for e in side.events.get(cell, ()) if e.frames[:depth] == frames]
        repeated = [e for e in events if not conflict(self.outer(e.frames, e.live, depth), again)]
        all_bits = write_bits = 0
        for event in repeated:
            all_bits |= event.bit
            write_bits |= event.bit if event.is_write else 0
        for event in events:
            missing = (all_bits if event.is_write else write_bits) & ~self.turned(frames, event.before)
            for other in repeated if missing else ():
                if not other.bit & missing or not (event.is_write or other.is_write):
                    continue
                if not event.is_write:
                    side.racing_read(cell, event.place, other.place)
                elif not other.is_write:
                    side.racing_read(cell, other.place, event.place)
                else:
                    side.race(cell, f"{side.unordered(other.place, event.place)} of the next iteration")
