"""How many elements a list has that does not grow: as many as it was made with, whatever was written since."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.proof.equations import ARRAY_FLOWS, ENTERS, EXITS, MERGES, NEXT_ITERATIONS, SWITCHES
from migrate.proof.program import Flat
from migrate.proof.side import Side
from migrate.proof.terms import Term

_HANDS_ON = frozenset({"Identity", *ENTERS, *EXITS, *NEXT_ITERATIONS, *SWITCHES})
_SIZES = {"TensorArrayV3": (0, "dynamic_size"), "TensorListReserve": (1, "")}
"""What makes a list, with the position of its size, and the attribute by which it may grow."""


def list_size(side: Side, tensor: tuple[int, int], flow: Term) -> Term:
    """The size of a list.

    Args:
      side: the call.
      tensor: the list, or the flow of an array that is looked at as a value.
      flow: its term.
    """
    fixed = _fixed(side, tensor)
    return side.terms.make("list size", None, (flow,)) if fixed is None else fixed


def _fixed(side: Side, tensor: tuple[int, int]) -> Term | None:
    """The size with which a list is made, where that is one and all that writes it leaves it as it is."""
    pending = [tensor]
    seen: set[tuple[int, int]] = set()
    sizes: set[Term] = set()
    for one in pending:  # It grows.
        if one in seen:
            continue
        seen.add(one)
        node = side.nodes[one[0]]
        if node.op in _SIZES:
            position, grows = _SIZES[node.op]
            if grows in node.attr and node.attr[grows].b:
                return None
            sizes.add(side.value(node.data[position]))
            continue
        before = _before(side, one[0], node)
        if before is None:
            return None
        pending += before
    size = sizes.pop() if len(sizes) == 1 else None
    return None if size is None or side.terms.varies(size) else size


def _before(side: Side, place: int, node: Flat) -> Iterable[tuple[int, int]] | None:
    """The lists that a node makes its own of, without another size; None where it may have another one.

    Under an index that a list does not have TF1 writes nothing, and gives an error.
    """
    if node.op in MERGES:
        return node.data
    if node.op in _HANDS_ON or node.op == "TensorListScatterIntoExistingList":
        return node.data[:1]
    if node.op == "TensorListSetItem":
        key = "resize_if_index_out_of_bounds"
        return None if key in node.attr and node.attr[key].b else node.data[:1]
    if node.op in ("TensorArrayWriteV3", "TensorArrayScatterV3"):
        # All rows at once are a list of their own (`list_ops`), and so is the twin of that.
        made = side.values.get((place, 0))
        is_rows = made is not None and side.terms.parts(made)[0] == "list rows"
        return None if is_rows else [node.data[ARRAY_FLOWS[node.op]]]
    return None
