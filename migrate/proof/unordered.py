"""Reads that TF1 does not order with a write: whether each answer of the candidate is one that TF1 may give.

TF1 gives such a read any of the values that the variable has while the call runs. Nothing more can be asked of a
candidate than that it gives one of these, beside the right ones of all that depends on it. That is shown so:

- Each read of the source that has no order stands for one read of the candidate, and each write for the write that
  leaves the same. What the candidate's read sees is a value of its own, whatever it is; both reads are called that.
- Where the outputs are equal under these names, a call of the candidate is a call of the source in which each access
  happens when its twin did. It is one that TF1 may make if the source's edges allow the order: each access that may
  wait for another one in the source must come after that one's twin in the candidate.

A node of the source takes its inputs one after another, each as a whole. A larger tensor that TF1 reads while it is
written may even be part old, part new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from migrate.proof.equations import PASSES
from migrate.proof.liveness import conflict
from migrate.proof.loops import Event
from migrate.proof.numbering import run
from migrate.proof.program import Program
from migrate.proof.records import Proved, ProvedUnordered, Result, either
from migrate.proof.side import VARIABLES, Side

_READ = "ReadVariableOp"
_WRITES = frozenset({"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"})
"""resource_variable_ops.cc: each of these and a read hold the variable's lock, so that one is before the other."""
_MOST_ACCESSES = 3000
"""Each is looked at beside each other one."""
_Access = tuple[Hashable, int]
"""A cell, and the place of a node that looks at it."""


Compared = tuple[Mapping[str, Result], Result]
"""What is shown of each output of a call, and of what it leaves behind."""


def in_each_order(
    source: Side,
    program: Program,
    candidate: Side,
    twins: Mapping[Hashable, Hashable],
    compare: Callable[[Side], Compared],
) -> Compared:
    """What is shown of a call in the order that TF1 has for it; where it has none, in each that the candidate may have.

    Args:
      source: a call of the source.
      program: its flat graph.
      candidate: the same call of the candidate; it may be passed over again.
      twins: key of a variable of the candidate -> key of the source's.
      compare: compares the candidate's call with one of the source.
    """
    found, left = compare(source)
    if all(isinstance(result, Proved) for result in (*found.values(), left)):
        return found, left
    again = source.again()
    why = in_an_order(again, program, candidate, twins)
    if not why:
        return found, left
    more, more_left = compare(again)
    results = {name: either(result, _in_some_order(more[name], why)) for name, result in found.items()}
    return results, either(left, _in_some_order(more_left, why))


def _in_some_order(result: Result, why: str) -> Result:
    return ProvedUnordered(why) if isinstance(result, Proved) else result


def in_an_order(source: Side, program: Program, candidate: Side, twins: Mapping[Hashable, Hashable]) -> str:
    """Makes both sides call what TF1 leaves open by the same names, where the candidate's orders are all TF1's.

    Args:
      source: a call of the source; it is passed over again.
      program: its flat graph.
      candidate: the same call of the candidate; it is passed over again.
      twins: key of a variable of the candidate -> key of the source's.

    Returns:
      An access of the source that TF1 does not order; empty where nothing is shown.
    """
    if source.has_frames or candidate.has_frames:
        return ""
    cells = {
        twins[cell]: cell
        for cell in candidate.written
        if cell in twins and cell not in candidate.racing and candidate.cells[cell].kind == "resource"
    }
    reads = [
        (cell, place)
        for cell, place in source.racing_reads
        if cell in cells and cell not in source.racing and source.cells[cell].kind in VARIABLES
    ]
    cells = {cell: cells[cell] for cell, _ in reads}
    if not reads:
        return ""
    _name_reads(candidate, cells.values())
    if not _are_atomic(candidate, cells.values()):
        return ""
    readers = _Readers(candidate, cells)
    twin_of: dict[_Access, Event] = {}
    for cell, place in reads:
        event = readers.twin(source, cell, place)
        if event is not None:
            twin_of[cell, place] = event
            source.chosen[cell, place] = event.state
    run(source)
    if not twin_of or not _is_allowed(source, program, cells, candidate, twin_of):
        return ""
    return source.racing_reads[next(iter(twin_of))]


def _name_reads(candidate: Side, cells: Collection[Hashable]) -> None:
    """Gives what each read sees that no edge orders with a write a name of its own."""
    for cell, place in candidate.racing_reads:
        if cell in cells and candidate.nodes[place].op == _READ:
            candidate.chosen[cell, place] = candidate.terms.make("seen", len(candidate.terms))
    run(candidate)


def _are_atomic(candidate: Side, cells: Collection[Hashable]) -> bool:
    """Whether each access to some cells is before or after each other one."""
    for cell in cells:
        for event in candidate.events.get(cell, ()):
            known = _WRITES if event.is_write else (_READ,)
            if candidate.nodes[event.place].op not in known or candidate.cells[cell].kind != "resource":
                return False
    return True


class _Readers:
    """The candidate's reads, told by the nodes that take what they give: a hint, which all else checks."""

    def __init__(self, candidate: Side, cells: Mapping[Hashable, Hashable]) -> None:
        self._candidate = candidate
        self._reads: dict[Hashable, list[Event]] = {}
        self._by_name: dict[tuple[Hashable, str, int], Event] = {}
        behind: dict[int, list[tuple[Hashable, Event]]] = {}
        for cell, own in cells.items():
            for event in candidate.events.get(own, ()):
                if not event.is_write:
                    self._reads.setdefault(cell, []).append(event)
                    behind.setdefault(event.place, []).append((cell, event))
                    self._by_name.setdefault((cell, candidate.common_name(event.place), -1), event)
        for place in candidate.order:
            node = candidate.nodes[place]
            for position, (taken, output) in enumerate(node.data):
                for cell, event in behind.get(taken, ()) if not output else ():
                    if node.op in PASSES:
                        behind.setdefault(place, []).append((cell, event))
                    else:
                        self._by_name.setdefault((cell, candidate.common_name(place), position), event)

    def twin(self, source: Side, cell: Hashable, place: int) -> Event | None:
        """The read that one of the source's stands for; None where none is found."""
        node = source.nodes[place]
        name = source.common_name(place)
        positions = [k for k, taken in enumerate(node.data) if cell in source.terms.cells(source.value(taken))]
        for position in (-1, *positions) if node.op == _READ else positions:
            found = self._by_name.get((cell, name, position))
            if found is not None:
                return found
        known = self._reads.get(cell, ())
        return known[0] if len(known) == 1 else None


def _is_allowed(
    source: Side,
    program: Program,
    cells: Mapping[Hashable, Hashable],
    candidate: Side,
    twin_of: Mapping[_Access, Event],
) -> bool:
    """Whether the accesses of the source may happen in each order in which their twins of the candidate do."""
    pairs: list[tuple[Event, Event]] = []
    for cell, own in cells.items():
        events = source.events.get(cell, ())
        writes = [event for event in events if event.is_write]
        theirs = {event.state: event for event in candidate.events.get(own, ()) if event.is_write}
        # One write for one: two that leave the same are not told apart.
        if {event.state for event in writes} != theirs.keys() or len(writes) != len(theirs):
            return False
        if sum(event.is_write for event in candidate.events.get(own, ())) != len(theirs):
            return False
        pairs += [(event, theirs[event.state]) for event in writes]
        # Of a read that edges order with each write the graph says what it sees.
        reads = [event for event in events if not event.is_write and (cell, event.place) in twin_of]
        pairs += [(event, twin_of[cell, event.place]) for event in reads]
    if len(pairs) > _MOST_ACCESSES or any(one.live != other.live for one, other in pairs):
        return False
    waits = _may_wait(source, program, [event.place for event, _ in pairs])
    if waits is None:
        return False
    for event, twin in pairs:
        for number, (earlier, its_twin) in enumerate(pairs):
            takes = earlier.place == event.place and event.is_write and not earlier.is_write
            if not (takes or waits[event.place] >> number & 1) or its_twin is twin:
                continue
            if not twin.before & its_twin.bit and not conflict(earlier.live, event.live):
                return False
    return True


def _may_wait(source: Side, program: Program, places: Sequence[int]) -> dict[int, int] | None:
    """For each place the numbers of those among `places` that it may wait for, as bits; None for a graph with a circle.

    A function that a Session calls begins when all that it takes is there, and gives nothing before it has ended.
    """
    nodes = source.nodes
    bits: dict[int, int] = {}
    for number, place in enumerate(places):
        bits[place] = bits.get(place, 0) | 1 << number
    count = len(nodes)
    sources: list[list[int]] = [[*(taken for taken, _ in node.data), *node.controls, *node.within] for node in nodes]
    for begins, within, ends in program.calls():
        for place in within:
            sources[place].append(begins)
        sources.append(list(within))
        for place in ends:
            sources[place].append(count)
        count += 1
    following: list[list[int]] = [[] for _ in range(count)]
    waiting = [len(each) for each in sources]
    for place, each in enumerate(sources):
        for taken in each:
            following[taken].append(place)
    found: dict[int, int] = {}
    ready = deque(place for place in range(count) if not waiting[place])
    while ready:
        place = ready.popleft()
        mask = 0
        for taken in sources[place]:
            mask |= found[taken] | bits.get(taken, 0)
        found[place] = mask
        for other in following[place]:
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return found if len(found) == count else None
