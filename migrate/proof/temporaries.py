"""Temporary variables: a buffer that lives for one call, is assigned to once, added to, and destroyed for its value.

TF1's `accumulate_n` makes them (variable_ops.cc, TemporaryVariableOp and DestroyTemporaryVariableOp). Nothing else sees
the buffer, so its value is a sum. TF1 does additions that no edge orders in any order, one after another
(dense_update_ops.cc holds the variable's lock): here they are in the order that the candidate has.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

from migrate.frozen import frozen
from migrate.graph.protos import AttrValue
from migrate.proof import attributes
from migrate.proof.equations import Write
from migrate.proof.identity import name_of
from migrate.proof.liveness import Live
from migrate.proof.program import Flat
from migrate.proof.terms import Term, Terms

KIND = "temporary"
_SUMS = {"AssignAdd": "AddV2", "AssignSub": "Sub"}
_MOST_WRITES = 1000


class Call(Protocol):
    """What is asked of a call, see `side.Side`."""

    terms: Terms
    written: set[Hashable]
    found_written: set[Hashable]
    before: dict[int, int]
    lives: dict[int, Live]
    frames: dict[int, tuple[str, ...]]

    def unknown(self, why: str) -> Term:
        """A term that is equal to no other one."""
        ...

    def value(self, tensor: tuple[int, int]) -> Term:
        """The term of a tensor."""
        ...

    def bit(self, place: int) -> int:
        """The bit of an access."""
        ...

    def common_name(self, place: int) -> str:
        """A node's name in both models."""
        ...


@frozen
class _Change:
    """A write to a temporary variable."""

    place: int
    bit: int
    before: int
    canonical: str
    operand: Term


class Temporaries:
    """The temporary variables of one call, in one pass over it."""

    def __init__(self) -> None:
        """Begins with none."""
        self._changes: dict[Hashable, list[_Change]] = {}
        self._makers: dict[Hashable, Flat] = {}
        self._destroyed: set[Hashable] = set()

    def made(self, node: Flat) -> Hashable | None:
        """The key of a new one; None where it has the name of another one."""
        key = (KIND, _name(node), "")
        if key in self._makers or "dtype" not in node.attr:
            return None
        self._makers[key] = node
        self._changes[key] = []
        return key

    def is_written(self, row: Write, cell: Hashable) -> bool:
        """Whether a write is one to a temporary variable alone."""
        return cell in self._changes and row.cells == 1

    def is_sum(self, node: Flat, row: Write, cell: Hashable) -> bool:
        """Whether a write to a temporary variable assigns or adds to it before it is destroyed."""
        known = row.canonical == "Assign" or row.canonical in _SUMS
        return known and len(node.data) == 2 and cell not in self._destroyed

    def change(self, side: Call, place: int, row: Write, cell: Hashable, operand: Term) -> None:
        """Notes a write that is a part of the sum."""
        self._changes[cell].append(_Change(place, side.bit(place), side.before[place], row.canonical, operand))

    def value(self, side: Call, place: int, node: Flat, order: Mapping[str, int]) -> Term:
        """What a temporary variable holds when it is destroyed.

        Args:
          side: the call.
          place: of the DestroyTemporaryVariable.
          node: the same.
          order: the candidate's nodes by the names that they have on both sides: their places in its order.
        """
        given = side.terms.cells(side.value(node.data[0])) if len(node.data) == 1 else frozenset()
        cell = next(iter(given), None)
        if len(given) != 1 or cell not in self._changes:
            return side.unknown(f"DestroyTemporaryVariable {node.label!r} takes no temporary variable")
        found = self._changes[cell]
        maker = self._makers[cell]
        why = ""
        if cell in self._destroyed:
            why = "is destroyed twice"
        elif cell in side.written or cell in side.found_written:
            why = "is not only assigned, added to and destroyed"
        elif _name(node) != _name(maker):
            why = "is destroyed under another name"
        elif [change.canonical for change in found].count("Assign") != 1 or len(found) > _MOST_WRITES:
            why = "is not assigned once"
        self._destroyed.add(cell)
        changes = found if why else self._in_order(side, place, found, order)
        if why or changes is None:
            why = why or "is used where nothing orders it"
            return side.unknown(f"the temporary variable {maker.label!r} {why}")
        total = changes[0].operand
        for change in changes[1:]:
            op = _SUMS[change.canonical]
            dtype = AttrValue(type=maker.attr["dtype"].type)
            attrs = attributes.canonical(op, op, {"T": dtype}, {}, frozenset())
            total = side.terms.make(op, attrs, (total, change.operand))
        return total

    def _in_order(self, side: Call, place: int, found: list[_Change], order: Mapping[str, int]) -> list[_Change] | None:
        """The assignment, then the additions in an order that TF1 may do them in; None where there is a doubt."""
        for change in found:
            is_before = side.before[place] & change.bit
            alike = side.lives[change.place] == side.lives[place] and side.frames[change.place] == side.frames[place]
            if not is_before or not alike:
                return None
        first = next(change for change in found if change.canonical == "Assign")
        left = [change for change in found if change is not first]
        if first.before & _bits(left) or any(not change.before & first.bit for change in left):
            return None
        result = [first]
        while left:
            waiting = _bits(left)
            ready = [change for change in left if not change.before & waiting]
            chosen = min(ready, key=lambda change: (order.get(side.common_name(change.place), -1), change.place))
            result.append(chosen)
            left.remove(chosen)
        return result


def _bits(changes: list[_Change]) -> int:
    found = 0
    for change in changes:
        found |= change.bit
    return found


def _name(node: Flat) -> str:
    """What a temporary variable is known by in its step: `var_name`, or its own name."""
    given = name_of(node.attr["var_name"].s) if "var_name" in node.attr else ""
    return given or node.name
