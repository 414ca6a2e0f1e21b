"""One of several handles that were put into one tensor: how a handle is given a dtype that TensorFlow infers.

A scatter into a handle that a function takes does not load where shape inference wants to know the variable. A
function then makes a handle of its own beside it, packs both, and takes the one that it was given (pack_op.cc,
strided_slice_op.cc: both work on handles as on numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.program import Flat
from migrate.proof.shared import Shared
from migrate.proof.terms import Term, Terms

OPS = frozenset({"Pack", "StridedSlice"})
_HEAD = "handles"
_MASKS = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1}


def taken(shared: Shared, node: Flat, values: Sequence[Term], is_variable: Callable[[Hashable], bool]) -> Term | None:
    """The term of a Pack of handles, or of a StridedSlice that takes one of them; None for any other node.

    Args:
      shared: of the proof.
      node: a node of one of `OPS`.
      values: the terms that it takes.
      is_variable: whether a cell is a resource variable.
    """
    terms = shared.terms
    if node.op == "Pack":
        packs = len(values) > 0 and all(terms.parts(value)[0] == "cell" for value in values)
        packs = packs and all(is_variable(cell) for v in values for cell in terms.cells(v))
        is_first = "axis" not in node.attr or node.attr["axis"].i == 0
        return terms.make(_HEAD, None, values) if packs and is_first else None
    head, _, held = terms.parts(values[0]) if len(values) == 4 else ("", None, ())
    if head != _HEAD or any((node.attr[key].i if key in node.attr else 0) != wanted for key, wanted in _MASKS.items()):
        return None
    for number, handle in enumerate(held):
        bounds = [shared.constant({"value": AttrValue(tensor=constants.int32s(n))}) for n in (number, number + 1, 1)]
        if list(values[1:]) == bounds:
            return handle
    return None


def is_one(terms: Terms, term: Term) -> bool:
    """Whether a term is a handle, or several in one tensor: to make it cannot fail."""
    return terms.parts(term)[0] in ("cell", _HEAD)
