"""Terms: what a tensor is, as a tree whose equal parts are one. Two tensors of one term have equal values.

A term is a number. Behind it is a head (an op's canonical name), what else tells it apart (attributes), and the terms
that it takes. A term that was made twice has one number, so that a comparison of two is one of two numbers, however
large they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

Term = int
FUNCTION = "function"
"""The head of the term of a function."""
NO_CELLS: frozenset[Hashable] = frozenset()


class Terms:
    """Every term of one proof, for both models."""

    def __init__(self) -> None:
        """Begins with none."""
        self._numbers: dict[tuple[str, Hashable, tuple[Term, ...]], Term] = {}
        self._known: list[tuple[str, Hashable, tuple[Term, ...]]] = []
        self._cells: list[frozenset[Hashable]] = []
        self._depth: list[int] = []
        self._varies: list[bool] = []
        self._doubtful: list[bool] = []
        self.reasons: dict[Term, str] = {}

    def make(self, head: str, more: Hashable = None, taken: Iterable[Term] = ()) -> Term:
        """The term of a head and the terms that it takes."""
        key = (head, more, tuple(taken))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._known)
            self._known.append(key)
            cells = NO_CELLS
            depth = 0
            # The cells of a function are its parameters, of which nobody outside knows.
            for term in () if head == FUNCTION else key[2]:
                if self._cells[term]:
                    cells = cells | self._cells[term]
                    depth = max(depth, self._depth[term] + 1)
            self._cells.append(cells)
            self._depth.append(depth)
            self._varies.append(any(self._varies[term] for term in key[2]))
            self._doubtful.append(head == "unknown" or any(self._doubtful[term] for term in key[2]))
        return number

    def loop(self, which: Hashable) -> Term:
        """The term of a loop variable in an iteration."""
        number = self.make("loop", which)
        self._varies[number] = True
        return number

    def varies(self, term: Term) -> bool:
        """Whether a loop variable is in a term, at any depth."""
        return self._varies[term]

    def cell(self, cell: Hashable) -> Term:
        """The term of a cell's handle or ref."""
        number = self.make("cell", cell)
        self._cells[number] = frozenset({cell})
        return number

    def unknown(self, why: str) -> Term:
        """A term that is equal to no other one."""
        number = self.make("unknown", len(self._known))
        self.reasons[number] = why
        return number

    def doubtful(self, term: Term) -> bool:
        """Whether something unknown is in a term, at any depth."""
        return self._doubtful[term]

    def cells(self, term: Term) -> frozenset[Hashable]:
        """The cells whose handles or refs are in a term."""
        return self._cells[term]

    def depth(self, term: Term) -> int:
        """How far down a cell is in a term."""
        return self._depth[term]

    def parts(self, term: Term) -> tuple[str, Any, tuple[Term, ...]]:
        """Head, the rest that tells it apart, and what it takes."""
        return self._known[term]

    def __len__(self) -> int:
        return len(self._known)
