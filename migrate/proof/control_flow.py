"""V1 control flow: what Switch, Merge, Enter and Exit give, and what loop variables are told apart by.

A loop variable's value is known by what enters and by what comes back, which depends on itself: all loop variables that
enter alike are taken for one, and told apart until no more differences come up (Alpern, Wegman and Zadeck, 1988). Two
that stay together are equal in every iteration, by induction over iterations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrate.proof.equations import (
    NEXT_ITERATIONS,
)
from migrate.proof.liveness import ALWAYS, MOST_BRANCHES, Atom, Live, by_live, conflict, joined, ordered
from migrate.proof.order import Frames, frame_name
from migrate.proof.program import Flat
from migrate.proof.shared import FALSE, TRUE, exclusive
from migrate.proof.side import Side
from migrate.proof.states import passed, passed_value, read
from migrate.proof.terms import Term


def switch(side: Side, place: int, data: Sequence[tuple[int, int]], op: str, live: frozenset[Atom]) -> None:
    """A Switch hands its input on, to the branch that its predicate takes."""
    value = passed(side, place, data[0], op == "RefSwitch")
    predicate = read(side, place, data[1])
    side.values[place, 0] = side.values[place, 1] = value
    known = side.shared.truth(predicate)
    for branch in (0, 1):
        if known is None:
            here = side.branch[place, branch] = live | {("if", predicate, branch)}
            side.values[place, branch] = _chosen(side, value, here)
        else:
            side.branch[place, branch] = live if bool(branch) is known else None


def _chosen(side: Side, value: Term, live: frozenset[Atom]) -> Term:
    """What a value is where some branches are taken: of a Merge the one input that can be there.

    The predicate of a branch is a constant in it.
    """
    for branch in (0, 1):
        if ("if", value, branch) in live:
            return side.shared.constant(TRUE if branch else FALSE)
    head, lives, taken = side.terms.parts(value)
    if head != "Merge":
        return value
    left = [term for term, given in zip(taken, lives, strict=True) if not conflict(given, live)]
    return left[0] if len(left) == 1 else value


def enter(side: Side, place: int, node: Flat, live: frozenset[Atom]) -> None:
    """An Enter leads into a loop."""
    frame = frame_name(node)
    frames = side.frames[place] = (*side.frames[place], frame)
    side.entered[frames] = side.entered.get(frames, ALWAYS) | live
    at_once = node.attr["parallel_iterations"].i if "parallel_iterations" in node.attr else 10
    side.loop_cells.at_once.setdefault(frames, set()).add(at_once)
    value = side.entering[place] = passed(side, place, node.data[0], node.op == "RefEnter")
    if not ("is_constant" in node.attr and node.attr["is_constant"].b):
        # Only a loop variable may take it: in the second iteration there is nothing (executor.cc).
        value = side.unknown(f"{node.label!r} is there in the first iteration of its loop alone")
    if frame in side.bad_frames:
        value = side.entering[place] = side.unknown(f"the frame {frame!r} is of several loops")
    if "parallel_iterations" in node.attr and node.attr["parallel_iterations"].i <= 0:
        value = side.entering[place] = side.unknown(f"{node.label!r} has parallel_iterations that no executor takes")
    side.values[place, 0] = value


def leave(side: Side, place: int, tensor: tuple[int, int], live: frozenset[Atom]) -> None:
    """An Exit gives what its input is in the last iteration."""
    frames = side.frames[place]
    side.frames[place] = frames[:-1]
    if not frames:
        side.values[place, 0] = side.unknown(f"{side.nodes[place].label!r} leaves a loop that it is not in")
        return
    value = passed(side, place, tensor, side.nodes[place].op == "RefExit")
    side.before[place] = side.loop_cells.left(frames, side.before[place], live)
    outside = side.entered.get(frames, ALWAYS)
    side.lives[place] = live & outside
    if side.terms.varies(value) and not side.terms.cells(value):
        # What it is in the one iteration in which it is there.
        value = side.terms.make("Exit", live - outside, (value,))
    side.values[place, 0] = value


def merge(side: Side, place: int, node: Flat) -> None:
    """A Merge gives the one input that is there; that of a loop is a loop variable."""
    if side.is_loop(place):
        _loop_merge(side, place, node)
        return
    before = 0
    controls: Live = ALWAYS
    frames: tuple[str, ...] = ()
    for source in (*node.controls, *(source for source, _ in node.data)):
        if len(side.frames.get(source, ())) > len(frames):
            frames = side.frames[source]
    for source in node.controls:
        given = side.lives.get(source, ALWAYS)
        before |= side.before.get(source, 0) | side.bits.get(source, 0)
        controls = None if controls is None or given is None else controls | given
    side.frames[place] = frames
    alive = [
        (number, tensor, live) for number, tensor in enumerate(node.data) if (live := side.live(tensor)) is not None
    ]
    if not alive or controls is None:
        side.lives[place] = None
        side.before[place] = before
        side.values[place, 0] = side.terms.make("never")
        return
    met = -1
    for _, tensor, live in alive:
        known = side.before.get(tensor[0], 0) | side.bits.get(tensor[0], 0)
        met &= known | _excluded(side, frames, live)
    side.before[place] = before | met if met != -1 else before
    is_ref = node.op == "RefMerge"
    lives = [live for _, _, live in alive]
    together = joined(lives)
    if together is None:
        together = frozenset({("any", side.terms.make("either", tuple(sorted(map(ordered, lives)))), 0)})
    side.lives[place] = together | controls
    values = [passed(side, place, tensor, is_ref) for _, tensor, _ in alive]
    if len(alive) == 1:
        side.values[place, 0] = values[0]
        side.values[place, 1] = side.shared.number(alive[0][0])
        return
    if len(alive) > MOST_BRANCHES or any(
        not (conflict(one, other) or exclusive(side.shared, one, other))
        for k, one in enumerate(lives)
        for other in lives[k + 1 :]
    ):
        # The first to come is taken (executor.cc), and which that is nobody knows.
        side.values[place, 0] = side.unknown(f"several inputs of {node.label!r} may be there at once")
        return
    pairs = sorted(zip(lives, values, strict=True), key=by_live)
    merged = side.terms.make("Merge", tuple(live for live, _ in pairs), [value for _, value in pairs])
    same = len(set(values)) == 1
    side.values[place, 0] = values[0] if same else _predicate(side, pairs) or merged
    if len(alive) == len(node.data):
        side.values[place, 1] = side.terms.make("out", 1, (side.terms.make("Merge index", tuple(lives)),))
    else:
        side.values[place, 1] = side.unknown("which input a Merge takes, of which some are never there")
    side.origins.setdefault(merged, node)


def _predicate(side: Side, pairs: Sequence[tuple[frozenset[Atom], Term]]) -> Term | None:
    """The predicate of a cond whose branches give what it is in them, true and false."""
    # What is computed from a constant alone (true or x) may have x's shape, and a predicate is a scalar.
    constants = {side.shared.constant(TRUE): True, side.shared.constant(FALSE): False}
    truths = [constants.get(value) for _, value in pairs]
    if len(pairs) != 2 or None in truths:
        return None
    for _, predicate, _ in pairs[0][0]:
        if all(("if", predicate, int(bool(truth))) in live for (live, _), truth in zip(pairs, truths, strict=True)):
            return predicate
    return None


def _excluded(side: Side, frames: Frames, live: frozenset[Atom]) -> int:
    """The events that are never there together with this."""
    found = 0
    for events in (*side.events.values(), *side.arrays.values()):
        for event in events:
            if side.loop_cells.apart(event, frames, live):
                found |= event.bit
    return found


def _loop_merge(side: Side, place: int, node: Flat) -> None:
    back = [t for t in node.data if side.nodes[t[0]].op in NEXT_ITERATIONS]
    forth = [t for t in node.data if side.nodes[t[0]].op not in NEXT_ITERATIONS]
    if len(back) != 1 or len(forth) != 1:
        side.lives[place], side.frames[place], side.before[place] = ALWAYS, (), 0
        side.loop_cells.odd.update(side.frames.get(source, ()) for source, _ in forth)
        side.values[place, 0] = side.unknown(f"the loop variable {node.label!r} is not of the usual form")
        return
    source = forth[0][0]
    live = side.live(forth[0])
    side.lives[place] = live
    side.frames[place] = side.frames.get(source, ())
    before = side.before.get(source, 0) | side.bits.get(source, 0)
    for lost in side.lost.get(place, ()):
        before &= ~side.bits.get(lost, 0)
    side.before[place] = before
    if live is None:
        side.values[place, 0] = side.terms.make("never")
        return
    side.loop_cells.turns.setdefault(side.frames[place], []).append((side.bit(place), place, back[0][0]))
    if source not in side.entering:
        side.loop_cells.odd.add(side.frames[place])
        side.values[place, 0] = side.unknown(f"the loop variable {node.label!r} is not of the usual form")
        return
    if "is_constant" in side.nodes[source].attr and side.nodes[source].attr["is_constant"].b:
        # It is there in each iteration, beside what comes back (executor.cc, AddLoopInv).
        side.values[place, 0] = side.unknown(f"the loop variable {node.label!r} takes what enters as a constant")
        return
    if source in side.fragile:
        side.fragile[place] = side.fragile[source]
    entered = side.entering[source]
    if node.op != "RefMerge" and side.terms.cells(entered):
        entered = passed_value(side, place, entered)
    if place in side.invariant:
        side.values[place, 0] = entered
        return
    more = (len(side.frames[place]), live)
    side.values[place, 0] = side.loop_term(place, more, entered)
    side.loops.append((side.bit(place), side.loop_term((TURN, place), more, entered)))
    side.values[place, 1] = side.unknown("a loop's iteration, which nobody asks for")


TURN = "turn"
"""With the place of a Merge, what the order of iterations is known by: its value, and the accesses to arrays before."""


def next_class(side: Side, which: Any) -> tuple[Term, Live, Term, Live]:
    """What a loop variable, or the state of a cell, is told apart by: what enters, and what comes back."""
    if not isinstance(which, int):
        return side.loop_cells.next_class(*which)
    place = which
    node = side.nodes[place]
    back = next(t for t in node.data if side.nodes[t[0]].op in NEXT_ITERATIONS)
    forth = next(t for t in node.data if side.nodes[t[0]].op not in NEXT_ITERATIONS)
    entered, value = side.entering.get(forth[0], -1), side.value(back)
    if entered != -1 and value != side.values[place, 0] and _may_be_written(side, place, back[0], entered, value):
        value = side.unknown(f"whether {node.label!r} shares a variable's buffer is not known")
    return entered, side.live(forth), value, side.live(back)


def once(side: Side) -> set[int]:
    """The Merges of loops whose condition does not hold in the first iteration, which is the only one."""
    found: set[int] = set()
    for frames, turns in side.loop_cells.turns.items():
        places = [place for _, place, _ in turns]
        given = {side.values[p, 0]: _entered(side, p) for p in places if p in side.classes}
        predicate = side.loop_cells.predicates.get(frames)
        if predicate is not None and side.shared.first(predicate, given) is False:
            found.update(places)
    return found


def _entered(side: Side, place: int) -> Term:
    source = next(s for s, _ in side.nodes[place].data if side.nodes[s].op not in NEXT_ITERATIONS)
    return side.entering.get(source, -1)


def _may_be_written(side: Side, place: int, back: int, entered: Term, value: Term) -> bool:
    """Whether what a loop carries may be a variable's buffer, which is written."""
    shown = (*side.terms.cells(entered), *side.terms.cells(value))
    if any(cell in side.written and side.cells[cell].kind == "ref" for cell in shown):
        return True
    frames = side.frames[place]
    known = side.fragile.get(place, {})
    return any(
        known.get(cell) != state or (frames, cell) in side.looped for cell, state in side.fragile.get(back, {}).items()
    )


def has_accesses(side: Side, turn: Term) -> bool:
    """Whether an access to an array comes before the next iteration, as far as passes have told so far."""
    _, which, _ = side.terms.parts(turn)
    head, _, taken = side.terms.parts(which)
    return head == "turns" and len(taken) > 1


def arrays_before(side: Side, place: int) -> tuple[Term, ...]:
    """The accesses to arrays that come before the next iteration of the loop variable at a place."""
    node = side.nodes[place]
    back = next(source for source, _ in node.data if side.nodes[source].op in NEXT_ITERATIONS)
    before = side.before.get(back, 0)
    return tuple(sorted({e.state for known in side.arrays.values() for e in known if before & e.bit}))
