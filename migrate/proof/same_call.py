"""Whether a Session and the loaded object call one function with the same arguments: then one proof is of both.

Nothing else differs between the two ways: a call is inlined alike, and what its arguments hold has been compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import split
from migrate.graph.protos import NodeDef
from migrate.proof.equations import CALLS
from migrate.proof.forms import Form, form, other_form
from migrate.proof.model import Model
from migrate.proof.numbering import run
from migrate.proof.program import CELL, INPUT, Flat
from migrate.proof.side import VARIABLES, Cell, Side
from migrate.proof.terms import Term

Initial = Callable[[Cell], Term]
"""What a cell holds when a call begins."""


@frozen
class FunctionCall:
    """A call of a function, and nothing beside it.

    Attributes:
      function: its name.
      arguments: what each argument is; equal ones are equal, and two cells are one where their numbers are.
      results: the number of each result that is asked for.
    """

    function: str
    arguments: tuple[Hashable, ...]
    results: tuple[int, ...]


def session_call(
    model: Model, fed: Mapping[str, Hashable], tensors: Sequence[str], initial: Initial
) -> FunctionCall | None:
    """The call that some tensors of the main graph are results of; None where they are anything else.

    Args:
      model: the candidate.
      fed: full name of a tensor -> key of the input.
      tensors: full names.
      initial: what cells hold.
    """
    parts = [split(tensor) for tensor in tensors]
    node = _one_call(model, fed, tensors)
    if node is None:
        return None
    program = model.program(fed)
    places = [program.tensor(taken) for taken in node.input]
    if program.problem or program.kept or program.loose():
        return None
    side = model.side(program, initial)
    if side.has_loops or side.broken:
        return None
    run(side, is_first=True)
    if side.found_written or side.messages or side.fault():
        return None
    arguments = _Arguments(initial)
    for place in places:
        if side.live(place) != frozenset() or not arguments.add(side, side.value(place)):
            return None
    return FunctionCall(node.attr["f"].func.name, tuple(arguments.found), tuple(number for _, number in parts))


def _one_call(model: Model, fed: Mapping[str, Hashable], tensors: Sequence[str]) -> NodeDef | None:
    names = {split(tensor)[0] for tensor in tensors}
    node = model.nodes.get(next(iter(names))) if len(names) == 1 else None
    if node is None or node.op not in CALLS or any(tensor in fed for tensor in tensors):
        return None
    function = node.attr["f"].func if "f" in node.attr else None
    waits = any(taken[:1] == "^" for taken in node.input)
    return None if function is None or function.attr or function.name not in model.library or waits else node


def object_call(
    model: Model,
    function: str,
    nodes: Sequence[Flat],
    results: Sequence[int],
    initial: Initial,
    forms: Mapping[Hashable, Form],
) -> FunctionCall | None:
    """The call of a function of the loaded object with some nodes for arguments; None where they are not understood.

    Args:
      model: the candidate.
      function: its name.
      nodes: its arguments.
      results: the number of each result that is asked for.
      initial: what cells hold.
      forms: of the inputs of the source's call, whose form those of the function must have.
    """
    side = Side(model.shared, model.name, nodes, initial, model.function)
    if other_form(forms, {node.key: form(node.attr) for node in nodes if node.op == INPUT}):
        return None
    if any(node.op not in (INPUT, CELL, "Const") for node in nodes):
        return None
    run(side, is_first=True)
    arguments = _Arguments(initial)
    for place in range(len(nodes)):
        if not arguments.add(side, side.value((place, 0))):
            return None
    return FunctionCall(function, tuple(arguments.found), tuple(results))


class _Arguments:
    """What the arguments of a call are, without the names that cells have in a graph, or among objects."""

    def __init__(self, initial: Initial) -> None:
        self._initial = initial
        self._numbers: dict[Hashable, int] = {}
        self.found: list[Hashable] = []

    def add(self, side: Side, term: Term) -> bool:
        """Adds an argument; says whether it is a cell, or of no cell."""
        head, key, _ = side.terms.parts(term)
        cells = side.terms.cells(term)
        if head == "cell":
            cell = side.cells[key]
            number = self._numbers.setdefault(key, len(self._numbers))
            makes = cell.makes if cell.kind not in VARIABLES else None
            self.found.append(("cell", cell.kind, makes, cell.dtype, self._initial(cell), number))
            return not cells - {key}
        self.found.append(("term", term))
        return not cells and not side.terms.doubtful(term)
