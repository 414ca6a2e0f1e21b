"""Whether a Session and the loaded object call one function with the same arguments: then one proof is of both.

Nothing else differs between the two ways: a call is inlined alike, and what its arguments hold has been compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import split
from migrate.graph.protos import FunctionDef, NodeDef, OpDef
from migrate.proof.equations import CALLS
from migrate.proof.forms import Form, form, other_form
from migrate.proof.library import says
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


def unwrapped(library: Mapping[str, FunctionDef], call: FunctionCall) -> FunctionCall:
    """The call that is made in the end, where functions do nothing but call another one and hand on what it gives.

    Args:
      library: functions by name.
      call: a call of one of them.
    """
    for _ in range(_MOST_WRAPPERS):
        found = _handed_on(library, call)
        if found is None:
            break
        call = found
    return call


def _handed_on(library: Mapping[str, FunctionDef], call: FunctionCall) -> FunctionCall | None:
    """The one call in the function that is called; None where there is anything beside it."""
    function = library[call.function]
    calls = [node for node in function.node_def if node.op == _CALL]
    if len(calls) != 1 or not function.attr.keys() <= _OF_EXPORTS or not calls[0].attr.keys() <= _OF_CALLS:
        return None
    node = calls[0]
    callee = library.get(node.attr["f"].func.name) if "f" in node.attr else None
    if callee is None or node.attr["f"].func.attr or not says(node, callee):
        return None
    takes, gives = _dtypes(function.signature.input_arg), _dtypes(function.signature.output_arg)
    inner_takes, inner_gives = _dtypes(callee.signature.input_arg), _dtypes(callee.signature.output_arg)
    if takes is None or gives is None or inner_takes is None or inner_gives is None:
        return None
    numbers = {arg.name: number for number, arg in enumerate(function.signature.input_arg)}
    taken = [numbers.get(text, -1) for text in node.input]
    if -1 in taken or [takes[number] for number in taken] != inner_takes or len(call.arguments) != len(takes):
        return None
    given = _results(function, node, inner_gives, library)
    # It runs, whatever is asked for.
    if given is None or node.name not in {_behind(function, name) for name in function.control_ret.values()}:
        return None
    returned = [given.get(function.ret.get(arg.name, ""), -1) for arg in function.signature.output_arg]
    is_whole = -1 not in returned and [inner_gives[number] for number in returned] == gives
    if not is_whole or any(number >= len(returned) for number in call.results):
        return None
    arguments = tuple(call.arguments[number] for number in taken)
    return FunctionCall(callee.signature.name, arguments, tuple(returned[number] for number in call.results))


def _dtypes(arguments: Sequence[OpDef.ArgDef]) -> list[int] | None:
    """The dtypes of arguments or results; None where one is a list, or of any dtype."""
    found = [arg.type for arg in arguments]
    return None if 0 in found or any(arg.number_attr or arg.type_list_attr for arg in arguments) else found


def _results(
    function: FunctionDef, call: NodeDef, dtypes: Sequence[int], library: Mapping[str, FunctionDef]
) -> dict[str, int] | None:
    """Tensors of a function -> number of the result of its call that each is; None where it does anything else."""
    found = {f"{call.name}:output:{number}": number for number in range(len(dtypes))}
    for node in function.node_def:
        data = [text for text in node.input if text[:1] != "^"]
        waits = {text[1:] for text in node.input if text[:1] == "^"}
        if node.op in library or any(_behind(function, name) != call.name for name in waits):
            return None
        if node.op == "Identity" and len(data) == 1 and data[0] in found:
            number = found[data[0]]
            if node.attr["T"].type != dtypes[number]:
                return None
            found[f"{node.name}:output:0"] = number
        elif node is not call and (node.op != "NoOp" or data):
            return None
    return found


def _behind(function: FunctionDef, name: str) -> str:
    """The node that a NoOp waits for, if it is one alone; of another node its own name."""
    for node in function.node_def:
        if node.name == name and node.op == "NoOp" and len(node.input) == 1:
            return str(node.input[0]).removeprefix("^")
    return name


_CALL = "StatefulPartitionedCall"
_MOST_WRAPPERS = 10
_OF_EXPORTS = frozenset({"_construction_context", "_input_shapes"})
_OF_CALLS = frozenset(
    {
        "Tin", "Tout", "_collective_manager_ids", "_output_shapes", "_read_only_resource_inputs", "config",
        "config_proto", "executor_type", "f",
    }
)  # fmt: skip
"""Attributes that an exporter gives to functions and to calls; others may have a say in what is computed."""


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
