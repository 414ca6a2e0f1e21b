"""Runs both sides until what may be equal is known, and compares what each computes beside its results."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from migrate.proof.control_flow import TURN, arrays_before, next_class, once
from migrate.proof.equations import NEXT_ITERATIONS
from migrate.proof.liveness import ALWAYS, Atom, joined, ordered
from migrate.proof.numbering import run
from migrate.proof.side import Side
from migrate.proof.states import left_here
from migrate.proof.terms import Term, Terms


def more_computed(source: Side, candidate: Side) -> str:
    """A node of the candidate that may fail in a call in which nothing of the source's does; empty where there is none.

    Each thing that the candidate computes is computed by the source, too, or its op never fails. One more is allowed:
    what is computed only where a variable has no value that the source then needs.
    """
    terms = source.terms
    known: set[Term] = set()
    stack = [*source.made.values(), *source.values.values(), *source.given_back]
    for side_events in source.events.values():
        stack += [event.state for event in side_events if event.is_write]
    needed: set[Term] = set()
    while stack:
        term = stack.pop()
        if term not in known:
            known.add(term)
            head, _, taken = terms.parts(term)
            stack += taken
            if head == "value":
                needed.add(taken[0])
    doubtful = {terms.parts(term)[:2] for term in source.made.values() if terms.doubtful(term)}
    lives = _lives(source)
    known |= {left_here(source, cell, event) for cell, events in source.events.items() for event in events}
    for cell, events in candidate.events.items():
        for event in events:
            # Of a write that an Assign follows nothing is left but an error.
            state = left_here(candidate, cell, event)
            if event.is_write and state not in known and _may_fail(terms, state):
                node = candidate.nodes[event.place]
                return f"{node.op} {node.label!r}"
    turns = {source.lives[p] for p in source.order if source.nodes[p].op in NEXT_ITERATIONS}
    for place in candidate.order:
        node = candidate.nodes[place]
        is_turn = node.op in NEXT_ITERATIONS and candidate.lives[place] is not None
        if is_turn and candidate.lives[place] not in turns:
            # A loop of the candidate's own, which may never end. Where one of the source repeats, it ends as that does.
            return f"{node.op} {node.label!r}"
    for place, term in candidate.made.items():
        # What an access gives that TF1 does not order is not known; the outputs that it gets to are not proved.
        node = candidate.nodes[place]
        live = candidate.lives[place] or ALWAYS
        # It fails where the source computes it, and nowhere else.
        is_known = term in known and (term not in lives or any(other <= live for other in lives[term]))
        if is_known or (terms.doubtful(term) and terms.parts(term)[:2] in doubtful):
            continue
        if any(_asks(terms, atom, needed) for atom in live):
            continue
        return f"{node.op} {node.label!r}"
    return ""


def _lives(source: Side) -> dict[Term, list[frozenset[Atom]]]:
    """The branches in which each thing is computed that may fail."""
    found: dict[Term, list[frozenset[Atom]]] = {}
    for place, term in source.made.items():
        found.setdefault(term, []).append(source.lives[place] or ALWAYS)
    for lives in found.values():
        together = joined(lives) if len(lives) > 1 else None
        if together is not None:
            lives.append(together)
    return found


def _asks(terms: Terms, atom: Atom, needed: set[Term]) -> bool:
    """Whether a branch is taken only where a variable has no value which the source then reads, and so fails."""
    if atom[0] != "if" or atom[2] != 0:
        return False
    head, _, taken = terms.parts(atom[1])
    return head == "IsInitialized" and taken[0] in needed


def _may_fail(terms: Terms, state: Term) -> bool:
    """Whether a write may be an error: an Assign that compares no shapes is none."""
    head, more, _ = terms.parts(state)
    return head == "write" and (more[0] != "Assign" or ("validate_shape", ("b", True)) in more[1])


def messages(side: Side) -> object:
    """What a call does beside computing: each check once, each text as often as it is written."""
    checks = {m for m in side.messages if m[0] == "message" and not m[3]}
    printed = sorted((m[1], ordered(m[2])) for m in side.messages if m[0] == "message" and m[3])
    unknown = [(side.name, m) for m in side.messages if m[0] == "unknown"]
    return checks, printed, unknown


def settle(one: Side, other: Side) -> None:
    """Runs both sides until the loop variables that are taken for one are told apart no more."""
    sides = (one, other)
    if any(node.op == "TemporaryVariable" for side in sides for node in side.nodes):
        order = {other.common_name(place): number for number, place in enumerate(other.order)}
        for side in sides:
            side.candidates_order = order
    has_loops = one.has_loops or other.has_loops
    for side in sides:
        if side.has_loops:
            _find_invariants(side)
        elif has_loops or not side.has_run:
            run(side, is_first=True)
    if not has_loops:
        return
    for side in sides:
        side.forget()
        run(side, is_first=True)
    work = len(one.nodes) + len(other.nodes)
    for _ in range(min(_MOST_ROUNDS, 2 + _MOST_WORK // work)):
        terms = one.terms
        found: dict[tuple[Side, Hashable], Term] = {}
        for side in sides:
            for which in side.classes:
                if not _is_turn(which):
                    entered, live, back, back_live = next_class(side, which)
                    more = (side.classes[which], live, back_live)
                    found[side, which] = terms.make("class", more, (entered, back))
            for which in side.classes:
                if _is_turn(which):
                    place: Any = which
                    arrays = arrays_before(side, place[1])
                    found[side, which] = terms.make("turns", None, (found[side, place[1]], *arrays))
        if _groups({key: side.classes[which] for key in found for side, which in (key,)}) == _groups(found):
            return
        for (side, which), term in found.items():
            side.classes[which] = term
        for side in sides:
            if side.has_loops:
                run(side)
    for side in sides:
        for place in side.loop_merges():
            side.values[place, 0] = side.unknown("the loops take too long to tell apart")
        side.values = {key: side.unknown("the loops take too long to tell apart") for key in side.values}


def _find_invariants(side: Side) -> None:
    """Finds the loop variables that come back as they are: they are in each iteration what has entered.

    None is taken for another one here. Of two that are, one may come back as the other, and be no constant.
    """
    side.invariant.clear()
    side.is_alone = True
    for _ in range(_MOST_ROUNDS):
        side.forget()
        run(side, is_first=True)
        found = {
            place
            for place in side.loop_merges()
            if place in side.classes and next_class(side, place)[2] == side.values[place, 0]
        }
        found |= {place for place in once(side) if place not in side.invariant}
        if not found:
            break
        side.invariant |= found
    side.is_alone = False


def _is_turn(which: Hashable) -> bool:
    return isinstance(which, tuple) and which[0] == TURN


def _groups(classes: Mapping[tuple[Side, Hashable], Term]) -> list[list[int]]:
    groups: dict[Term, list[int]] = {}
    for number, term in enumerate(classes.values()):
        groups.setdefault(term, []).append(number)
    return sorted(groups.values())


_MOST_WORK = 8_000_000
"""Nodes that are looked at again and again, for a graph with loops."""
_MOST_ROUNDS = 60
