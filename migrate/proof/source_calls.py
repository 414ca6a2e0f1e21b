"""Calls of the source, each worked out once: by a Session, by the loaded object, and beside those of other signatures.

Signatures that feed the same tensors and write nothing are looked at as one graph, since what a node gives depends on
nothing but what is behind it. What is told of one of them is what of that graph it runs.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Hashable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import SignatureDef
from migrate.proof.equations import ARRAYS, BRANCHES, LISTS, WRITES
from migrate.proof.model import BadModelError, inputs_of, tensors_of
from migrate.proof.numbering import run
from migrate.proof.program import Program
from migrate.proof.records import OutputName, Result
from migrate.proof.same_call import FunctionCall
from migrate.proof.side import Side
from migrate.proof.variables import Variables

Tensor = tuple[int, int]
Found = tuple[dict[OutputName, Result], Result]
"""What is proved of each output of a signature, and of what a call leaves behind."""


@frozen
class SourceCall:
    """A call of the source.

    Attributes:
      side: of the comparison.
      program: its flat graph.
      wanted: places of the tensors of each output.
    """

    side: Side
    program: Program
    wanted: Mapping[str, Sequence[Tensor]]


class SourceCalls:
    """The calls of the source.

    Attributes:
      variables: of both models.
      asked: by signature that was looked at: the function's call that the candidate makes, in a Session and as an
        object; None where it is more.
      found: by signature: what was proved of it.
    """

    def __init__(self, variables: Variables) -> None:
        """Begins with none."""
        self.variables = variables
        self.asked: dict[str, FunctionCall | None] = {}
        self.found: dict[str, Found] = {}
        self._known: dict[tuple[str, bool], SourceCall] = {}
        self._tried: set[tuple[str, bool]] = set()

    def call(self, key: str, lowers: bool) -> SourceCall:
        """The call of a signature.

        Args:
          key: the signature's.
          lowers: whether functional control flow is replaced by what it stands for.

        Raises:
          BadModelError: it cannot be understood at all.
        """
        if (key, lowers) not in self._known and (key, lowers) not in self._tried:
            self._known.update(self._together(key, lowers))
        if (key, lowers) not in self._known:
            program, wanted = self._program([key], lowers)
            side = self._side(program)
            side.drawn_elsewhere = self.variables.loaded.drawn
            self._known[key, lowers] = SourceCall(side, program, wanted[key])
        return self._known[key, lowers]

    def _together(self, key: str, lowers: bool) -> dict[tuple[str, bool], SourceCall]:
        """The calls of a signature and of all that feed the same; nothing where they do more than compute."""
        definitions = self.variables.pair.source.meta_graph.signature_def
        fed = set(given_keys(definitions[key]).values())
        keys = []
        for known in contract.signatures(self.variables.pair.source.meta_graph):
            try:
                if set(given_keys(definitions[known.key]).values()) == fed:
                    output_tensors(definitions[known.key])
                    keys.append(known.key)
            except BadModelError:
                continue
        self._tried.update((each, lowers) for each in keys)
        if len(keys) < 2 or key not in keys:
            return {}
        program, wanted = self._program(keys, lowers)
        if program.problem or program.kept or program.loose():
            return {}
        side = self._side(program)
        if side.has_frames or not _only_computes(side):
            return {}
        run(side, is_first=True)
        if side.fault():
            return {}
        found = {}
        for each in keys:
            places = _behind(side, [tensor for tensors in wanted[each].values() for tensor in tensors])
            found[each, lowers] = SourceCall(_part(side, places), program, wanted[each])
        return found

    def _program(self, keys: Sequence[str], lowers: bool) -> tuple[Program, dict[str, dict[str, list[Tensor]]]]:
        pair = self.variables.pair
        definitions = [pair.source.meta_graph.signature_def[key] for key in keys]
        fed = {tensor: ("argument", "=", tensor) for tensor in inputs_of(definitions[0])}
        program = pair.source.program(fed, pair.replaced, lowers)
        wanted = {
            key: {
                name: [program.tensor(tensor) for tensor in tensors]
                for name, tensors in output_tensors(definition).items()
            }
            for key, definition in zip(keys, definitions, strict=True)
        }
        program.keep(is_session=True)
        return program, wanted

    def _side(self, program: Program) -> Side:
        return self.variables.pair.source.side(program, self.variables.source_initial)


def given_keys(definition: SignatureDef) -> dict[Hashable, Hashable]:
    """Each input of a signature of the source, as `inputs_of` names it -> the key of what its tensor is fed.

    Of two inputs on one tensor it is the last that is fed; the other one is nothing that a call sees.
    """
    return {argument: ("argument", "=", tensor) for tensor, argument in inputs_of(definition).items()}


def fed_as(definition: SignatureDef, keys: Mapping[Hashable, Hashable]) -> dict[str, Hashable]:
    """Full name of each tensor that a signature of the candidate feeds -> the key of the input, see `given_keys`."""
    return {tensor: keys.get(argument, argument) for tensor, argument in inputs_of(definition).items()}


def output_tensors(definition: SignatureDef) -> dict[str, list[str]]:
    """Full names of the tensors of each output, in the order of the outputs' names."""
    return {name: [canonical(t) for t in tensors_of(info)] for name, info in sorted(definition.outputs.items())}


def _only_computes(side: Side) -> bool:
    """Whether each node gives the same, whatever other nodes of the graph run beside it."""
    table = load_op_table()
    for op in {node.op for node in side.nodes}:
        if op in WRITES or op in ARRAYS or op in LISTS or op in BRANCHES or op == "TemporaryVariable":
            return False
        if op in table and table[op].effect == "random":
            return False
    return True


def _behind(side: Side, tensors: Sequence[Tensor]) -> Collection[int]:
    """The nodes that some tensors need."""
    nodes = side.nodes
    found = {place for place, _ in tensors}
    pending = list(found)
    while pending:
        node = nodes[pending.pop()]
        for place in (*(source for source, _ in node.data), *node.controls, *node.within):
            if place not in found:
                found.add(place)
                pending.append(place)
    return found


def _part(side: Side, places: Collection[int]) -> Side:
    """A call that runs some of the nodes of another one, which writes nothing."""
    part = copy.copy(side)
    part.order = [place for place in side.order if place in places]
    part.values = {tensor: term for tensor, term in side.values.items() if tensor[0] in places}
    part.made = {place: term for place, term in side.made.items() if place in places}
    said = [number for number, place in enumerate(side.said) if place in places]
    part.messages = [side.messages[number] for number in said]
    part.said = [side.said[number] for number in said]
    keys = {side.nodes[place].key for place in places}
    part.given = {key: form for key, form in side.given.items() if key in keys}
    return part
