"""A model as the proof sees it: its graph, its functions, and calls of it as sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from migrate.graph.contract import tensor_names
from migrate.graph.dtypes import REF, dtype_value
from migrate.graph.graph import canonical
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef, SignatureDef, TensorInfo
from migrate.proof.equations import BRANCHES, LISTS
from migrate.proof.library import Library
from migrate.proof.liveness import ordered
from migrate.proof.numbering import run
from migrate.proof.program import CELL, Flat, Program, given
from migrate.proof.shared import Shared
from migrate.proof.side import Cell, Side
from migrate.proof.states import fetched
from migrate.proof.terms import FUNCTION, Term

CHECKPOINT = ("checkpoint",)
"""Key of the input that a restore op is given."""
_RESOURCE = dtype_value("resource")
_MOST_NESTED = 40


class BadModelError(Exception):
    """A model of which nothing can be proved."""


def tensors_of(info: TensorInfo) -> list[str]:
    """Full names of the tensors behind an input or output; a sparse one's values, indices and dense shape.

    Raises:
      BadModelError: it is of another form.
    """
    if info.WhichOneof("encoding") == "composite_tensor":
        raise BadModelError("a composite tensor, which is not understood")
    return [canonical(name) for name in tensor_names(info)]


def inputs_of(definition: SignatureDef) -> dict[str, Hashable]:
    """Full name of each tensor that a signature feeds -> key of the input; of two names on one tensor the last."""
    return {
        tensor: ("argument", name, part)
        for name, info in sorted(definition.inputs.items())
        for part, tensor in enumerate(tensors_of(info))
    }


class Model:
    """A MetaGraphDef, read for the proof.

    Attributes:
      name: `source` or `candidate`.
      shared: of both models.
      meta_graph: the MetaGraphDef.
    """

    def __init__(self, name: str, shared: Shared, meta_graph: MetaGraphDef) -> None:
        """Reads it.

        Raises:
          BadModelError: names are not unique.
        """
        self.name, self.shared, self.meta_graph = name, shared, meta_graph
        self.nodes: Mapping[str, NodeDef] = {node.name: node for node in meta_graph.graph_def.node}
        library = meta_graph.graph_def.library.function
        self.library: Mapping[str, FunctionDef] = {function.signature.name: function for function in library}
        if len(self.nodes) < len(meta_graph.graph_def.node):
            raise BadModelError(f"two nodes of the {name} have one name")
        for function in library:
            names = [*(arg.name for arg in function.signature.input_arg), *(node.name for node in function.node_def)]
            if len(set(names)) < len(names):
                raise BadModelError(f"two nodes of the {name}'s function {function.signature.name!r} have one name")
        if len(self.library) < len(library):
            raise BadModelError(f"two functions of the {name} have one name")
        self._shared_library = Library(self.library)
        self._functions: dict[Hashable, Term] = {}
        self._open: list[str] = []
        self._has_branches: bool | None = None

    def has_lists(self) -> bool:
        """Whether its functions make TensorLists: where it is lowered, arrays are looked at as values."""
        return any(node.op in LISTS for function in self.library.values() for node in function.node_def)

    def program(
        self,
        fed: Mapping[str, Hashable] | None = None,
        replaced: Mapping[str, NodeDef] | None = None,
        lowers: bool = False,
    ) -> Program:
        """An empty flat graph over this model; see `Program`."""
        return Program(self.nodes, self._shared_library, fed, replaced, lowers)

    def side(self, program: Program, initial: Callable[[Cell], Term]) -> Side:
        """A call of this model as one side of a comparison."""
        if program.problem:
            raise BadModelError(program.problem)
        side = Side(self.shared, self.name, program.nodes, initial, self.function, program.lowers)
        side.kept = program.kept
        return side

    def has_branches(self) -> bool:
        """Whether there is functional control flow in it, or in one of its functions."""
        if self._has_branches is None:
            bodies = (function.node_def for function in self.library.values())
            self._has_branches = any(node.op in BRANCHES for nodes in (self.nodes.values(), *bodies) for node in nodes)
        return self._has_branches

    def function(self, name: str, attrs: Mapping[str, AttrValue]) -> Term:
        """The term of a function: what it gives for arguments that are its own, where it does nothing else."""
        key = (name, tuple(sorted((k, v.SerializeToString(deterministic=True)) for k, v in attrs.items())))
        if key not in self._functions:
            if name in self._open or len(self._open) > _MOST_NESTED:
                return self.shared.terms.unknown(f"the function {name!r} calls itself, or too many others")
            self._open.append(name)
            self._functions[key] = self._function(name, attrs)
            self._open.pop()
        return self._functions[key]

    def _function(self, name: str, attrs: Mapping[str, AttrValue]) -> Term:
        terms = self.shared.terms
        function = self.library.get(name)
        if function is None:
            return terms.unknown(f"there is no function {name!r}")
        program = Program({}, self._shared_library)
        parameters = []
        for number, arg in enumerate(function.signature.input_arg):
            if arg.number_attr or arg.type_list_attr:
                return terms.unknown(f"the function {name!r} takes a list")
            if arg.type % REF == _RESOURCE:
                cell = Cell(("parameter", number), "argument", None, arg.name)
                parameters.append(Flat(CELL, arg.name, arg.name, {}, cell))
            else:
                parameters.append(given(arg.name, ("parameter", number), arg.type))
        outputs = program.call(name, parameters, attrs)
        if outputs is None or program.problem:
            return terms.unknown(program.problem or f"the function {name!r} cannot be read")
        own: list[str] = []

        def initial(cell: Cell) -> Term:
            if cell.kind != "argument":
                own.append(cell.label)
            return terms.make("held by", cell.key)

        side = self.side(program, initial)
        side.is_body = True
        if side.has_loops:
            return terms.unknown(f"the function {name!r} has a v1 loop")
        run(side)
        if side.found_written or program.loose() or any(message[0] == "unknown" for message in side.messages):
            return terms.unknown(f"the function {name!r} changes a state, and how is not worked out")
        values = [
            fetched(side, tensor) if not terms.cells(side.value(tensor)) else side.value(tensor) for tensor in outputs
        ]
        if own:
            return terms.unknown(f"the function {name!r} reads {own[0]!r}, which it is not given; others may write it")
        lives = tuple(side.live(tensor) for tensor in outputs)
        if any(live is None for live in lives):
            return terms.unknown(f"the function {name!r} gives what is never there")
        messages = tuple(sorted({(m[1], ordered(m[2]), m[3]) for m in side.messages}))
        # What it computes besides may fail.
        others = sorted({(made, ordered(side.lives[place])) for place, made in side.made.items()})
        when = tuple(live for _, live in others)
        more = (len(parameters), len(values), lives, messages, when)
        term = terms.make(FUNCTION, more, (*values, *(made for made, _ in others)))
        if side.is_random:
            self.shared.random_functions.add(term)
        if messages:
            self.shared.saying_functions[term] = any(is_printed for _, _, is_printed in messages)
        return term
