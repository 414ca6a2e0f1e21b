"""What both models hold once they are loaded: the restore ops, the init ops, and what each object runs on loading."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from migrate.graph import contract
from migrate.graph.graph import split
from migrate.graph.protos import AttrValue, MetaGraphDef
from migrate.proof.content import file_digest
from migrate.proof.identity import key_of, name_of
from migrate.proof.model import inputs_of, tensors_of
from migrate.proof.numbering import run
from migrate.proof.pair import Pair
from migrate.proof.program import CELL, INPUT, Flat
from migrate.proof.records import PROVED, NotProved, Proved, Result
from migrate.proof.restoring import Contents, nothing, restored
from migrate.proof.settling import messages, more_computed, settle
from migrate.proof.side import VARIABLES, Cell
from migrate.proof.terms import Term

_SEEDS = ("seed", "seed2")
_SUFFIX = re.compile(r"_[0-9a-f]{16}$")


class Loaded:
    """What both models hold once they are loaded.

    Attributes:
      source: what the source holds.
      session: what the candidate's main graph holds.
      objects: what the objects hold that `tf.saved_model.load` gives.
      cells: by number of an object that is a variable or a resource: its cell; None for one that holds nothing.
      result: whether loading is proved.
      origins: a node for some terms.
      drawn: labels of random ops with a seed that several signatures reach.
      names: keys of the source's variables by what they may be called.
      read: of terms of what is read from a checkpoint: the terms of what is in it.
    """

    def __init__(self, pair: Pair) -> None:
        """Works it out."""
        self.pair, self.terms = pair, pair.terms
        self.read: dict[Term, Term] = {}
        source = restored(pair, pair.source, self.read)
        if pair.train is not None:
            more = restored(pair, pair.train, self.read)
            for key, held in more.held.items():
                source.held.setdefault(key, held)
                source.cells.setdefault(key, more.cells[key])
        session = restored(pair, pair.candidate, self.read)
        self.origins: dict[Term, Flat] = {}
        self.names = _names(pair)
        self.result: Result = PROVED
        self.drawn = _drawn(pair) if len(pair.source.meta_graph.signature_def) > 1 else frozenset()
        self._checked: set[object] = set()
        self.source, self.session = self._initialized(source, session)
        self.cells: dict[int, Cell | None] = {}
        self.objects = self._objects_loaded()

    def named(self, cell: Cell) -> Any:
        """The source's variable that one of the candidate's stands for, told by name: a hint, which all else checks."""
        _, _, name = cell.key
        for text in (cell.label, _SUFFIX.sub("", str(name)), str(name)):
            found = self.names.get(text)
            if found is not None:
                return found
        return None

    def _initialized(self, source: Contents, session: Contents) -> tuple[Contents, Contents]:
        """What the init ops leave, of the source and of the candidate's main graph."""

        def initial_of(contents: Contents) -> Callable[[Cell], Term]:
            def initial(cell: Cell) -> Term:
                held = contents.held.get(cell.key)
                if held is not None:
                    return held if cell.kind not in VARIABLES else self.terms.make("initial", ("restored", held))
                return nothing(self.terms, cell)

            return initial

        sides = []
        for model, contents in ((self.pair.source, source), (self.pair.candidate, session)):
            targets = contract.init_ops(model.meta_graph)
            replaced = self.pair.replaced if model is self.pair.source else None
            # What an init op does in a v1 cond may be in an If.
            program = model.program(self.pair.assets(model), replaced, lowers=model.has_branches())
            if model is self.pair.candidate and len(_init_names(model.meta_graph)) > 1:
                self.result = NotProved("", "", "loaders of the candidate do not agree on its init op")
            for name in targets:
                if name in model.nodes:
                    program.target(name)
                else:
                    self.result = NotProved(name, "", f"the init op {name!r} is not in the graph")
            for loose, _ in program.loose():
                self.result = NotProved("", loose, "an op with an effect runs or not as TensorFlow's inliner has it")
            sides.append(model.side(program, initial_of(contents)))
        settle(*sides)
        if isinstance(self.result, Proved) and messages(sides[0]) != messages(sides[1]):
            self.result = NotProved("", "", "what the init ops check, print or do beside filling variables differs")
        fault = sides[0].fault() or sides[1].fault()
        if isinstance(self.result, Proved) and fault:
            self.result = NotProved("", "", fault)
        more = more_computed(*sides)
        if isinstance(self.result, Proved) and more:
            self.result = NotProved("", more, "the candidate's init op computes this, and the source's does not")
        self._init_side = sides[0]
        results = []
        for side, contents in zip(sides, (source, session), strict=True):
            self.origins.update(side.origins)
            after = contents.copy()
            after.add(side)
            results.append(after)
        return results[0], results[1]

    def _objects_loaded(self) -> Contents:
        """What `tf.saved_model.load` leaves, by the number of each object that is a variable or a resource."""
        contents = Contents()
        stored = self.pair.stored["candidate"]
        if self.pair.objects.problem:
            return contents
        for number, node in enumerate(self.pair.objects.nodes):
            if node.WhichOneof("kind") == "variable":
                cell = Cell(("resource", b"object", number), "resource", None, node.variable.name, node.variable.dtype)
                self.cells[number] = contents.cells[cell.key] = cell
                key = self.pair.objects.keys.get(number)
                found = stored.content(key) if key is not None else None
                if found is not None:
                    contents.held[cell.key] = self.terms.make("stored", found)
        makers: dict[Hashable, Cell] = {}
        for number, node in enumerate(self.pair.objects.nodes):
            if node.WhichOneof("kind") == "resource":
                self.cells[number] = self._created(number, makers)
        for number, node in enumerate(self.pair.objects.nodes):
            if node.WhichOneof("kind") == "resource":
                self._initialize(number, contents)
        if isinstance(self.result, Proved) and self._checked != set(self._init_side.messages):
            self.result = NotProved("", "", "what loading checks, prints or does beside filling variables differs")
        return contents

    def _created(self, number: int, makers: dict[Hashable, Cell]) -> Cell | None:
        """The cell behind a resource object; None for one that holds nothing."""
        child = self.pair.objects.child(number, "_create_resource")
        traces = self.pair.objects.traces(child) if child is not None else []
        if len(traces) != 1 or self.pair.objects.functions.get(traces[0]):
            return None
        program = self.pair.candidate.program()
        outputs = program.call(traces[0], [])
        if outputs is None or len(outputs) != 1:
            return None
        side = self.pair.candidate.side(program, lambda cell: nothing(self.terms, cell))
        run(side, is_first=True)
        cells = self.terms.cells(side.value(outputs[0]))
        if len(cells) != 1:
            return None
        cell = side.cells[next(iter(cells))]
        return makers.setdefault(cell.key, cell)

    def _initialize(self, number: int, contents: Contents) -> None:
        child = self.pair.objects.child(number, "_initialize")
        traces = self.pair.objects.traces(child) if child is not None else []
        if not traces:
            return
        given = captured(self.pair, self.cells, traces[0], []) if len(traces) == 1 else None
        program = self.pair.candidate.program(lowers=self.pair.candidate.has_branches())
        outputs = program.call(traces[0], given) if given is not None else None
        if outputs is None:
            self.result = NotProved("", f"object {number}", "what this object runs on loading cannot be read")
            return
        for loose, _ in program.loose():
            self.result = NotProved("", loose, "an op with an effect runs or not as TensorFlow has it")
        side = self.pair.candidate.side(program, lambda cell: self._holds(contents, cell))
        if side.has_loops:
            self.result = NotProved("", f"object {number}", "what runs on loading has a v1 loop")
        run(side, is_first=True)
        more = side.fault() or more_computed(self._init_side, side)
        if more and isinstance(self.result, Proved):
            self.result = NotProved("", more, "loading the candidate computes this, and the source's init op does not")
        self._checked.update(side.messages)
        self.origins.update(side.origins)
        contents.add(side)

    def _holds(self, contents: Contents, cell: Cell) -> Term:
        held = contents.held.get(cell.key)
        if held is None:
            return nothing(self.terms, cell)
        return self.terms.make("initial", ("restored", held)) if cell.kind in VARIABLES else held


def captured(pair: Pair, cells: Mapping[int, Cell | None], function: str, leading: Sequence[Flat]) -> list[Flat] | None:
    """Nodes for the arguments of a function of the candidate: these, then what it captures.

    Args:
      pair: both models.
      cells: see `Loaded.cells`.
      function: its name.
      leading: the nodes for what it is given.
    """
    found = list(leading)
    for number in pair.objects.functions.get(function, ()):
        node = pair.objects.nodes[number]
        kind = node.WhichOneof("kind")
        label = f"object {number}"
        if kind in ("variable", "resource"):
            cell = cells.get(number)
            if cell is None:
                return None
            found.append(Flat(CELL, cell.label, cell.label, {}, cell))
        elif kind == "asset":
            files = pair.candidate.meta_graph.asset_file_def
            index = node.asset.asset_file_def_index
            if not 0 <= index < len(files):
                return None
            digest = file_digest(f"{pair.directory}/assets/{files[index].filename}")
            found.append(Flat(INPUT, label, label, {}, ("asset", digest)))
        elif kind == "constant":
            constant = pair.candidate.nodes.get(node.constant.operation)
            if constant is None or constant.op != "Const":
                return None
            found.append(Flat("Const", label, label, constant.attr))
        else:
            return None
    return found


def _init_names(meta_graph: MetaGraphDef) -> set[tuple[str, ...]]:
    """What each kind of loader takes for the init op: the signature, or one of two collections."""
    found: set[tuple[str, ...]] = set()
    key = contract.INIT_KEY
    if key in meta_graph.signature_def and key in meta_graph.signature_def[key].outputs:
        found.add((split(meta_graph.signature_def[key].outputs[key].name)[0],))
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta_graph.collection_def:
            found.add(tuple(split(name)[0] for name in meta_graph.collection_def[key].node_list.value))
    return found


def _names(pair: Pair) -> dict[str, Hashable]:
    """Keys of the source's variables by what they may be called."""
    found: dict[str, Hashable] = {}
    every = [*pair.source.nodes.items(), *(pair.train.nodes.items() if pair.train is not None else ())]
    for name, node in every:
        if node.op in ("Variable", "VariableV2", "VarHandleOp"):
            shared = name_of(node.attr["shared_name"].s) if "shared_name" in node.attr else ""
            key = key_of(node.op, node.attr, name, name)
            found.setdefault(name, key)
            found.setdefault(shared, key)
    return found


def _drawn(pair: Pair) -> frozenset[str]:
    """The random ops with a seed that several signatures reach: in a Session they share one sequence."""
    bodies = (function.node_def for function in pair.source.library.values())
    if not any(_may_have_seed(node.attr) for nodes in (pair.source.nodes.values(), *bodies) for node in nodes):
        return frozenset()
    met: dict[str, int] = {}
    for definition in pair.source.meta_graph.signature_def.values():
        program = pair.source.program(inputs_of(definition), pair.replaced)
        for info in definition.outputs.values():
            for tensor in tensors_of(info):
                program.tensor(tensor)
        for node in program.nodes:
            if _has_seed(node.attr):
                met[node.label] = met.get(node.label, 0) + 1
    return frozenset(label for label, count in met.items() if count > 1)


def _has_seed(attr: Mapping[str, AttrValue]) -> bool:
    return any(key in attr and attr[key].i for key in _SEEDS)


def _may_have_seed(attr: Mapping[str, AttrValue]) -> bool:
    """The same of a node of a function, which may take its seed from the call."""
    return any(key in attr and (attr[key].i or attr[key].placeholder) for key in _SEEDS)
