"""When a tensor is there at all: the branches that must be taken for it."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.proof.terms import Term

Atom = tuple[str, Term, int]
"""`("if", predicate, branch)`, or `("any", livenesses, 0)` of which one holds."""


Live = frozenset[Atom] | None
"""What must hold for a tensor to be there; None for one that is never there."""


ALWAYS: frozenset[Atom] = frozenset()


MOST_BRANCHES = 64


def ordered(live: Live) -> tuple[Atom, ...]:
    """A liveness in an order; a set has another one each time."""
    return tuple(sorted(live or ()))


def by_live(pair: tuple[frozenset[Atom], Term]) -> tuple[Atom, ...]:
    """The place of a branch among the others of a Merge."""
    return ordered(pair[0])


def conflict(one: frozenset[Atom], other: frozenset[Atom]) -> bool:
    """Whether two things are never there together: one needs a branch of which the other needs the opposite."""
    if not one or not other:
        return False
    return any(atom[0] == "if" and ("if", atom[1], 1 - atom[2]) in other for atom in one)


def joined(lives: Sequence[frozenset[Atom]]) -> frozenset[Atom] | None:
    """When one of some things is there; None where that is no conjunction.

    Two that differ in the two branches of one predicate are there when what they have in common holds.
    """
    left = list(dict.fromkeys(lives))
    changed = len(left) <= MOST_BRANCHES
    while len(left) > 1 and changed:
        changed = False
        for i, one in enumerate(left):
            for j in range(i + 1, len(left)):
                other = left[j]
                common = one & other
                first, second = one - common, other - common
                if not first or not second:
                    left = [x for k, x in enumerate(left) if k not in (i, j)] + [common]
                    changed = True
                    break
                if len(first) == len(second) == 1 and conflict(first, second):
                    left = [x for k, x in enumerate(left) if k not in (i, j)] + [common]
                    changed = True
                    break
            if changed:
                break
    return left[0] if len(left) == 1 else None
