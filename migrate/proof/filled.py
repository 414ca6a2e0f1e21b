"""Whether a loop writes each element of an array: of one that was never written TF1 gives what a list does not."""

from __future__ import annotations

from migrate.proof.equations import NEXT_ITERATIONS
from migrate.proof.liveness import ALWAYS
from migrate.proof.order import Frames
from migrate.proof.side import Side
from migrate.proof.terms import Term

_WRITE = "TensorArrayWriteV3"


def is_filled(side: Side, maker: int, flow: Term) -> bool:
    """Whether each element of an array is written when its flow is what a loop gives.

    The loop begins with the array as it is made, writes in each iteration under its number, which is 0, 1, 2 and so on,
    and ends where the number is the array's size.

    Args:
      side: the call.
      maker: the place of the op that makes the array, which is looked at as a value.
      flow: the term of the flow behind the loop.
    """
    writes = [p for p, array in side.lists.arrays.items() if array == maker and side.nodes[p].op == _WRITE]
    others = [p for p, array in side.lists.arrays.items() if array == maker and "Scatter" in side.nodes[p].op]
    head, last, taken = side.terms.parts(flow)
    if len(writes) != 1 or others or head != "Exit" or len(taken) != 1:
        return False
    write = writes[0]
    frames = side.frames[write]
    predicate = side.loop_cells.predicates.get(frames)
    if predicate is None or ("if", predicate, 0) not in last:
        return False
    entry = side.entered.get(frames, ALWAYS)
    if side.lives[write] != entry | {("if", predicate, 1)}:
        return False  # It does not write in each iteration.
    size = side.value(side.nodes[maker].data[0])
    is_of_loop = any(
        side.values.get((place, 0)) == taken[0]
        and _entered(side, place) == side.value((maker, 1))
        and side.value(_back(side, place)) == side.values.get((write, 0))
        for _, place, _ in side.loop_cells.turns.get(frames, ())
    )
    index = side.value(side.nodes[write].data[1])
    return is_of_loop and _counts(side, frames, index) and predicate == _less(side, index, size)


def _counts(side: Side, frames: Frames, index: Term) -> bool:
    """Whether a term is a loop variable that is 0, 1, 2 and so on."""
    zero, one = side.shared.number(0), side.shared.number(1)
    for _, place, _ in side.loop_cells.turns.get(frames, ()):
        if place in side.invariant or side.values.get((place, 0)) != index or _entered(side, place) != zero:
            continue
        head, _, taken = side.terms.parts(side.value(_back(side, place)))
        if head in ("Add", "AddV2") and sorted(taken) == sorted((index, one)):
            return True
    return False


def _less(side: Side, index: Term, size: Term) -> Term:
    """What a loop asks that goes on while a number is below a size."""
    if side.terms.varies(size):
        return -1
    for predicate in side.loop_cells.predicates.values():
        head, _, taken = side.terms.parts(predicate)
        if head == "Less" and taken == (index, size):
            return predicate
    return -1


def _back(side: Side, place: int) -> tuple[int, int]:
    return next(t for t in side.nodes[place].data if side.nodes[t[0]].op in NEXT_ITERATIONS)


def _entered(side: Side, place: int) -> Term:
    source = next(s for s, _ in side.nodes[place].data if side.nodes[s].op not in NEXT_ITERATIONS)
    return side.entering.get(source, -1)
