"""Which table or queue of the candidate stands for which one of the source, where calls may change what it holds.

Two tables that hold the same are one as good as the other while nobody writes them. One that a call changes is told
from others by what other calls have done to it: each of the source's stands for one of the candidate's, in all
signatures. The names of the nodes that use them are a hint; that no two stand for one is what counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from migrate.proof.equations import ENTERS, EXITS, FILLS, MAKERS, MERGES, PASSES, READS, SWITCHES, WRITES
from migrate.proof.identity import key_of
from migrate.proof.program import Flat
from migrate.proof.side import VARIABLES, Cell, common_name
from migrate.proof.terms import Term, Terms

_FILLED_ONCE = "HashTable"
_FILL_IT = FILLS | {"LookupTableImport"}
_HANDS_ON = PASSES | SWITCHES | ENTERS | MERGES | EXITS
_LONGEST = 200
"""Ops through which a handle goes."""


class Tables:
    """The tables and queues of both models that calls may change.

    Attributes:
      twins: for `session` and `objects`: of the key of one of the candidate the key of the source's.
    """

    def __init__(self) -> None:
        """Begins with none."""
        self.twins: dict[str, dict[Hashable, Hashable]] = {"session": {}, "objects": {}}

    def learn(self, way: str, source: Sequence[Flat], candidate: Sequence[Flat]) -> None:
        """Pairs what nodes of one name use in both models, and is in no pair.

        Args:
          way: how the candidate is called.
          source: the flat graph of a call.
          candidate: that of the same call.
        """
        known = self.twins[way]
        taken = set(known.values())
        mine = dict(_used(source))
        for where, key in _used(candidate):
            one = mine.get(where)
            if one is not None and key not in known and one not in taken:
                known[key] = one
                taken.add(one)


def _used(nodes: Sequence[Flat]) -> Iterator[tuple[tuple[str, int], Hashable]]:
    """Of each use of a table: the name of the node with the position of the handle, and the table's key."""
    for node in nodes:
        count = WRITES[node.op].cells if node.op in WRITES else 1 if node.op in READS else 0
        for position, (place, _) in enumerate(node.data[:count]):
            key = _behind(nodes, place)
            if key is not None:
                yield (common_name(node.hint), position), key


def _behind(nodes: Sequence[Flat], place: int) -> Hashable | None:
    for _ in range(_LONGEST):
        node = nodes[place]
        if isinstance(node.key, Cell):
            return node.key.key if node.key.kind not in VARIABLES else None
        if node.op in MAKERS:
            made = MAKERS[node.op].kind not in VARIABLES
            return key_of(node.op, node.attr, node.name, node.label) if made else None
        if not node.data or not (node.op in _HANDS_ON or node.op in WRITES):
            return None
        place = node.data[0][0]
    return None


def is_settled(terms: Terms, cell: Cell, state: Term) -> bool:
    """Whether nothing changes any more what a table holds: one that is filled once, and has been.

    A second time with the same entries changes nothing, with others it is an error (initializable_lookup_table.cc).
    """
    head, more, _ = terms.parts(state)
    made: Any = cell.makes
    return bool(made[0] == _FILLED_ONCE and head == "write" and more[0] in _FILL_IT and not more[2])


def initial(terms: Terms, cell: Cell, held: Term, which: Hashable) -> Term:
    """What a table holds when a call begins: where calls may change that, it is told by which table it is."""
    return held if is_settled(terms, cell, held) else terms.make("initial", which, (held,))
