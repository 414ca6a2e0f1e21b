"""What cells (variables, tables) hold, and what a node sees of it.

What a cell holds is a state, made by the writes before it. A read gives the state that all writes before it have left.
TF1 must order each write of the call with the read, and so must the candidate. A consumer of a TF1 ref, or of a tensor
that shares its buffer, reads when it runs itself (executor.cc, PrepareInputs: a shallow copy), wherever the ref came
from.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from migrate.proof.liveness import ALWAYS, Atom
from migrate.proof.loops import Event
from migrate.proof.order import Frames
from migrate.proof.program import Flat
from migrate.proof.side import VARIABLES, Side
from migrate.proof.terms import Term, Terms

_DEEPEST_ALIAS = 40
_LONGEST = 200
"""Writes one after another."""
WITH_VALUE = frozenset({"restored", "variable"})
"""What a variable's first state is called where it is known to hold a value."""


def read(side: Side, place: int, tensor: tuple[int, int]) -> Term:
    """The term of a tensor as the node at a place sees it when it runs: of a ref, what the variable holds then."""
    value = side.value(tensor)
    cells = side.terms.cells(value)
    known = side.fragile.get(tensor[0])
    if known:
        for cell, state in known.items():
            if state_at(side, cell, place) != state:
                return side.unknown(
                    f"whether {side.nodes[tensor[0]].label!r} shares a variable's buffer is not known, and the "
                    "variable is written before it is used"
                )
    if not cells:
        return value
    for cell in cells:
        if side.cells[cell].kind != "ref":
            return side.unknown(f"{side.nodes[place].op} {side.nodes[place].label!r} takes a handle")
    return substituted(side, place, value)


def passed(side: Side, place: int, tensor: tuple[int, int], keeps_ref: bool) -> Term:
    """The term of what an op hands on, which is its input."""
    value = side.value(tensor)
    cells = side.terms.cells(value)
    if not cells:
        return _after_fragile(side, place, tensor, value)
    return value if keeps_ref else passed_value(side, place, value)


def passed_value(side: Side, place: int, value: Term) -> Term:
    """The same of a term: a ref that the call does not write is what it holds."""
    cells = side.terms.cells(value)
    if any(side.cells[c].kind != "ref" or c in side.written for c in cells):
        return value
    return substituted(side, place, value)


def may_share(side: Side, place: int, taken: Sequence[tuple[int, int]], values: Sequence[Term]) -> None:
    """Notes that what a node gives may be the buffer of a variable that it takes.

    Args:
      side: the call.
      place: of the node.
      taken: the tensors that it takes.
      values: their terms, of a ref the ref.
    """
    if not (side.written or side.fragile):
        return  # No buffer that is written is in what a call without writes takes.
    for tensor, value in zip(taken, values, strict=True):
        states = {c: state_at(side, c, place) for c in side.terms.cells(value) if c in side.written}
        if states or tensor[0] in side.fragile:
            known = side.fragile.get(tensor[0], {})
            side.fragile[place] = {**side.fragile.get(place, {}), **states, **known}


def _after_fragile(side: Side, place: int, tensor: tuple[int, int], value: Term) -> Term:
    known = side.fragile.get(tensor[0])
    if known is None:
        return value
    for cell, state in known.items():
        if state_at(side, cell, place) != state:
            return side.unknown(f"whether {side.nodes[tensor[0]].label!r} shares a variable's buffer is not known")
    side.fragile[place] = {**side.fragile.get(place, {}), **known}
    return value


def substituted(side: Side, place: int, value: Term, extra: frozenset[Atom] = ALWAYS) -> Term:
    """A term with what its variables hold when the node at a place runs, where `extra` holds."""
    if side.terms.depth(value) > _DEEPEST_ALIAS:
        return side.unknown("a variable's buffer goes through too many ops")
    head, more, taken = side.terms.parts(value)
    if head == "cell":
        state = state_at(side, more, place, extra)
        return held(side, here(side, state, (side.lives[place] or ALWAYS) | extra) if side.is_spare(more) else state)
    branches: Sequence[frozenset[Atom]] = more if head == "Merge" else (ALWAYS,) * len(taken)
    inner = [
        substituted(side, place, term, extra | live) if side.terms.cells(term) else term
        for term, live in zip(taken, branches, strict=True)
    ]
    if head == "Merge" and len(set(inner)) == 1:
        return inner[0]
    return side.terms.make(head, more, inner)


def here(side: Side, state: Term, live: frozenset[Atom]) -> Term:
    """What a state is where some branches are taken: what is written in those is written.

    Such a variable's first value is no other one's; so it is left out where it can be.
    """
    made: list[tuple[Any, tuple[Term, ...]]] = []
    head, more, taken = side.terms.parts(state)
    while head == "write" and more[2] <= live and more[2] and len(made) < _LONGEST:
        made.append((more, taken))
        if more[0] == "Assign":
            break
        state = taken[0]
        head, more, taken = side.terms.parts(state)
    for (name, attrs, _, number), taken in reversed(made):
        more = (name, attrs, ALWAYS, number)
        operands = taken[-1:] if name == "Assign" else (state, *taken[1:])
        state = side.terms.make("write", more, operands)
    return state


def left_here(side: Side, cell: Hashable, event: Event) -> Term:
    """What a write leaves, as it is known where the write runs."""
    return here(side, event.state, event.live) if event.is_write and side.is_spare(cell) else event.state


def held(side: Side, state: Term) -> Term:
    """The value that a variable has in a state."""
    head, more, taken = side.terms.parts(state)
    if head == "write" and more[0] == "Assign" and not more[2]:
        return taken[-1]  # It is what was assigned, whatever was there before.
    return side.terms.make("value", None, (state,))


def state_at(side: Side, cell: Hashable, place: int, extra: frozenset[Atom] = ALWAYS) -> Term:
    """What a cell holds when the node at a place runs, where `extra` holds."""
    if cell not in side.written:
        return side.initial(side.cells[cell])
    if cell in side.racing:
        return side.unknown(side.racing[cell])
    chosen = side.chosen.get((cell, place)) if not extra else None
    if (cell, place) in side.racing_reads and chosen is None:
        return side.unknown(side.racing_reads[cell, place])
    before, live = side.before[place], side.lives[place]
    assert live is not None
    live |= extra
    events = side.events.setdefault(cell, [])
    frames = side.frames[place]
    made = [e for e in events if e.is_write and e.place != place and not side.loop_cells.apart(e, frames, live)]
    for event in made:
        if not before & event.bit:
            side.racing_read(cell, place, event.place)
    seen = left_by(side, [e for e in made if before & e.bit], cell, frames) if chosen is None else chosen
    if not any(e.place == place and not e.is_write and e.live == live for e in events):
        event = Event(place, side.bit(place), False, live, before, frames)
        event.state = seen
        events.append(event)
    return seen


def left_by(side: Side, writes: Sequence[Event], cell: Hashable, frames: Frames) -> Term:
    """What some writes, which come before a node in these frames, have left in a cell."""
    for depth in range(len(frames), 0, -1):
        inner = frames[:depth]
        if (inner, cell) in side.looped:
            outside = [e for e in writes if e.frames[:depth] != inner]
            base = side.loop_cells.begun(inner, cell, left_by(side, outside, cell, inner[:-1]))
            return side.loop_cells.last([e for e in writes if e.frames[:depth] == inner], cell, depth, base)
    return side.loop_cells.last(writes, cell, 0, side.initial(side.cells[cell]))


def final(side: Side, cell: Hashable, extra: frozenset[Atom] = ALWAYS) -> Term:
    """What a cell holds when the call is over, where `extra` holds."""
    if cell in side.racing:
        return side.unknown(side.racing[cell])
    made = [e for e in side.events.get(cell, ()) if e.is_write and not side.loop_cells.apart(e, (), extra)]
    return left_by(side, made, cell, ())


def content_after(side: Side, cell: Hashable) -> Term:
    """The value of a variable when the call is over, or the state of another cell."""
    left = final(side, cell)
    return held(side, left) if side.cells[cell].kind in VARIABLES else left


def fetched(side: Side, tensor: tuple[int, int]) -> Term:
    """The term of an output: a ref shows what the variable holds when the call is over (measured, FACTS)."""
    value = side.value(tensor)
    if side.fault():
        return side.unknown(side.fault())
    if side.frames.get(tensor[0]):
        return side.unknown(f"{side.nodes[tensor[0]].label!r} is in a loop, and an output takes it from there")
    if tensor in side.lists.flows:
        return side.unknown(f"{side.nodes[tensor[0]].label!r} gives the flow of an array, which says nothing")
    known = side.fragile.get(tensor[0])
    for cell, state in (known or {}).items():
        if final(side, cell) != state:
            return side.unknown("whether an output shares a variable's buffer is not known")
    if not side.terms.cells(value):
        return value
    found = _at_end(side, value)
    side.given_back.add(found)
    return found


def _at_end(side: Side, value: Term, extra: frozenset[Atom] = ALWAYS) -> Term:
    if side.terms.depth(value) > _DEEPEST_ALIAS:
        return side.unknown("a variable's buffer goes through too many ops")
    head, more, taken = side.terms.parts(value)
    if head == "cell":
        if side.cells[more].kind != "ref":
            return side.unknown("an output is a handle")
        return held(side, final(side, more, extra))
    branches: Sequence[frozenset[Atom]] = more if head == "Merge" else (ALWAYS,) * len(taken)
    inner = [
        _at_end(side, term, extra | live) if side.terms.cells(term) else term
        for term, live in zip(taken, branches, strict=True)
    ]
    if head == "Merge" and len(set(inner)) == 1:
        return inner[0]
    return side.terms.make(head, more, inner)


def holds_a_value(side: Side, op: str, node: Flat, place: int) -> bool:
    """Whether a node looks at variables of which each has a value in both models, so that it does not fail."""
    if op != "ReadVariableOp" or not node.data:
        return False
    cells = side.terms.cells(side.value(node.data[0]))
    return bool(cells) and all(_has_value(side, cell, place) for cell in cells)


def _has_value(side: Side, cell: Hashable, place: int) -> bool:
    head, more, _ = side.terms.parts(side.initial(side.cells[cell]))
    if head == "initial" and more[0] in WITH_VALUE:
        return True
    if cell not in side.written:
        return False
    return is_set(side.terms, here(side, state_at(side, cell, place), side.lives[place] or ALWAYS))


def is_set(terms: Terms, state: Term) -> bool:
    """Whether a variable has a value in a state, as all writes have left it."""
    for _ in range(_LONGEST):
        head, more, taken = terms.parts(state)
        if head == "initial":
            return more[0] in WITH_VALUE
        if head != "write" or more[2]:
            return False
        if more[0] == "Assign":
            return True
        state = taken[0]
    return False
