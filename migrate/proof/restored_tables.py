"""Tables that a checkpoint fills: in TF1 by the restore op, in a new model by constants that were read from it.

Both are told by the checksums that the checkpoint has.
"""

from __future__ import annotations

from collections.abc import Mapping

from migrate.proof.content import constant_as_stored
from migrate.proof.shared import Shared
from migrate.proof.terms import Term

_IMPORT = "LookupTableImport"
_MOST_WRITES = 500


def filled(shared: Shared, state: Term, read: Mapping[Term, Term]) -> Term:
    """The state of a table in which all that was imported is told by its checksum.

    Args:
      shared: of the proof.
      state: of a table.
      read: a term of a tensor of a checkpoint -> the term of what is stored there.
    """
    writes = []
    for _ in range(_MOST_WRITES):
        head, more, taken = shared.terms.parts(state)
        if head != "write" or not taken:
            break
        operands = taken[1:]
        if more[0] == _IMPORT:
            operands = tuple(_stored(shared, term, read) for term in operands)
        writes.append((more, operands))
        state = taken[0]
    for more, operands in reversed(writes):
        state = shared.terms.make("write", more, (state, *operands))
    return state


def _stored(shared: Shared, term: Term, read: Mapping[Term, Term]) -> Term:
    if term in read:
        return read[term]
    proto = shared.tensors.get(term)
    content = constant_as_stored(proto) if proto is not None else None
    return term if content is None else shared.terms.make("stored", content)
