"""How often a loop runs at most, where its condition says so.

XLA takes the gradient of a loop only where that is known, and the lists that a gradient makes are no longer than that
(`maximum_iterations` of while_v2.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from migrate.frozen import frozen
from migrate.functional.draft import Draft
from migrate.functional.loop_functions import Loop, Variable
from migrate.graph.graph import split

_HANDS_ON = frozenset({"Enter", "Identity"})
_BOTH = frozenset({"Identity", "LogicalAnd"})
_COMPARISONS = {"Less": (0, 1, 0), "LessEqual": (0, 1, 1), "Greater": (1, 0, 0), "GreaterEqual": (1, 0, 1)}
"""Which input of a comparison is below the other one, which that is, and whether the two may be equal."""
_MOST = 2**31 - 1


@frozen
class Progress:
    """A loop variable that begins with a constant and grows by one: both are int32 scalars."""

    start: int
    step: int


def progress(draft: Draft, variable: Variable) -> Progress | None:
    """How a loop variable counts, or None: what it is at first, and by how much it is more in each iteration.

    The variable of `while_loop(lambda i: i < 9, lambda i: i + 2, [1])` begins with 1 and has 2 as its step.
    """
    wires = draft.wires
    (start,) = wires[variable.enter].data
    (tensor,) = wires[variable.following].data
    first = number(draft, start)
    add = wires[split(tensor)[0]]
    if first is None or add.op not in ("Add", "AddV2"):
        return None
    mine = {f"{switch}:1" for switch in variable.switches}
    taken = [draft.before(each, _HANDS_ON) for each in add.data]
    for one, other in (taken, taken[::-1]):
        step = number(draft, other) if one in mine else None
        if step is not None:
            return Progress(first, step)
    return None


def number(draft: Draft, tensor: str) -> int | None:
    """The value of an int32 scalar that is a constant."""
    found = draft.int32s(draft.before(tensor, _HANDS_ON), ())
    return None if found is None else found[0] if found else 0


def limit(draft: Draft, loop: Loop) -> int | str | None:
    """How often a loop runs at most.

    Returns:
      A number; or the full name of the constant Enter that leads an int32 scalar into the loop, below which the loop's
      counter is, so that a negative one is as good as 0; or None, where the condition does not say it.
    """
    used = {tensor for name in loop.condition for tensor in draft.wires[name].data}
    # The While's own counter ends by this number (tf2onnx), whatever other variables count.
    own = [variable for variable in loop.counters if f"{variable.merge}:0" in used]
    counted = {f"{v.merge}:0": found for v in own or loop.every if (found := progress(draft, v)) is not None}
    numbers: list[int] = []
    entered: list[str] = []
    constants = {f"{enter}:0" for enter in loop.constants}
    for below, above, may_equal in _compared(draft, loop):
        found = counted.get(below)
        if found is None or found.step <= 0:
            continue
        bound = number(draft, above)
        if bound is not None:
            # A counter beyond the greatest number would begin again with the least one.
            if bound + may_equal + found.step <= _MOST:
                numbers.append(max(0, -((found.start - bound - may_equal) // found.step)))
        elif above in constants and not may_equal and found == Progress(0, 1):
            entered.append(above)
    return min(numbers) if numbers else entered[0] if entered else None


def _compared(draft: Draft, loop: Loop) -> Iterator[tuple[str, str, int]]:
    """What must be below what for the loop to go on; whether it may be equal."""
    inside = {*loop.condition}
    pending = [draft.wires[loop.question].data[0]]
    for tensor in pending:  # grows while it is read
        name = split(tensor)[0]
        known = draft.wires[name]
        if name not in inside:
            continue
        if known.op in _BOTH:
            pending += known.data
        elif known.op in _COMPARISONS:
            below, above, may_equal = _COMPARISONS[known.op]
            yield _plain(draft, known.data[below]), _plain(draft, known.data[above]), may_equal


def _plain(draft: Draft, tensor: str) -> str:
    """The tensor before Identities in the same frame."""
    return draft.before(tensor, frozenset({"Identity"}))
