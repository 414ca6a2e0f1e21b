"""Which variable of the candidate stands for which one of the source, and what a call of both begins with."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

from migrate.graph.dtypes import base_name
from migrate.graph.protos import NodeDef
from migrate.proof import constants, tables
from migrate.proof.content import as_stored
from migrate.proof.difference import difference
from migrate.proof.identity import key_of
from migrate.proof.loading import Loaded
from migrate.proof.pair import Pair
from migrate.proof.records import PROVED, NotProved, Proved, Result
from migrate.proof.restored_tables import filled
from migrate.proof.restoring import Contents, nothing
from migrate.proof.side import VARIABLES, Cell
from migrate.proof.terms import Term


class Variables:
    """The variables of both models, and what cells hold when a call begins.

    Attributes:
      pair: both models.
      loaded: what they hold once they are loaded.
      tables: which table of the candidate stands for which one of the source.
      twins: for `session` and `objects`: of the key of each variable of the candidate the one that it stands for.
    """

    def __init__(self, pair: Pair, loaded: Loaded) -> None:
        """Compares them."""
        self.pair, self.loaded, self.terms = pair, loaded, pair.terms
        self._constants: dict[Term, Term] | None = None
        self.tables = tables.Tables()
        self.twins: dict[str, dict[Hashable, Any]] = {"session": {}, "objects": {}}
        results: dict[Any, Result] = {}
        for way, state in (("session", loaded.session), ("objects", loaded.objects)):
            taken: set[Hashable] = set()
            cells = dict(state.cells)
            known = self._by_key() if way == "objects" else {}
            if way == "session":
                for name, node in pair.candidate.nodes.items():
                    if node.op == "VarHandleOp":
                        made = key_of(node.op, node.attr, name, name)
                        cells.setdefault(made, Cell(made, "resource", None, name))
            for key, cell in cells.items():
                if cell.kind not in VARIABLES:
                    continue
                other = known[key] if key in known else loaded.named(cell)
                if other is None or other in taken:
                    continue
                taken.add(other)
                self.twins[way][key] = other
                here, there = loaded.source.held.get(other), state.held.get(key)
                if here is None and there is None:
                    result: Result = PROVED
                elif here is None:
                    result = NotProved(
                        str(other[2]), cell.label, "it has no value in the source until a call gives it one"
                    )
                elif there is None:
                    result = NotProved(str(other[2]), cell.label, f"{way}: no value is restored")
                elif not self._fits(way, cell, there, other):
                    result = NotProved(str(other[2]), cell.label, f"{way}: what is restored is of another form")
                else:
                    result = difference(self.terms, here, there, loaded.origins, loaded.origins)
                    if isinstance(result, NotProved):
                        result = NotProved(str(other[2]), cell.label, f"{way}: {result.why}")
                if isinstance(results.get(other, PROVED), Proved):
                    results[other] = result
                like = self._source_node(other)
                if like is not None and "shape" in like.attr and not like.attr["shape"].shape.unknown_rank:
                    pair.shared.shapes[other] = tuple(dim.size for dim in like.attr["shape"].shape.dim)
        self._results = results

    def results(self) -> dict[str, Result]:
        """Each variable of the source that the candidate has, by the name of its node: whether they begin alike."""
        return {str(key[2]): result for key, result in self._results.items()}

    def _fits(self, way: str, cell: Cell, held: Term, other: Any) -> bool:
        """Whether a variable can take what it is given: a loader, and an Assign, compare dtypes and shapes."""
        head, content, _ = self.terms.parts(held)
        if head == "stored":
            dtype, shape = content[0], content[1]
        else:  # What is computed fits the source's variable.
            like = self._source_node(other)
            if like is None or "shape" not in like.attr or like.attr["shape"].shape.unknown_rank:
                return True
            dtype, shape = base_name(like.attr["dtype"].type), [dim.size for dim in like.attr["shape"].shape.dim]
        if way == "objects":
            variable = self.pair.objects.nodes[cell.key[2]].variable
            declared, wanted = variable.shape, base_name(variable.dtype)
        else:
            node = self.pair.candidate.nodes.get(cell.label)
            if node is None or "shape" not in node.attr:
                return True
            declared, wanted = node.attr["shape"].shape, base_name(node.attr["dtype"].type)
        sizes = None if declared.unknown_rank else [dim.size for dim in declared.dim]
        return dtype == wanted and (
            sizes is None or (len(sizes) == len(shape) and all(s in (-1, d) for s, d in zip(sizes, shape, strict=True)))
        )

    def _source_node(self, key: Any) -> NodeDef | None:
        """A variable's node in the source."""
        cell = self.loaded.source.cells.get(key)
        return self.pair.source.nodes.get(cell.label) if cell is not None else None

    def _by_key(self) -> dict[Hashable, Any]:
        """The source's variables for loaded objects that hold what a variable of the main graph is restored from."""
        found: dict[Hashable, Any] = {}
        for number, key in self.pair.objects.keys.items():
            other = self.twins["session"].get(self.loaded.session.keys.get(key))
            if other is not None:
                found["resource", b"object", number] = other
        return found

    def state(self, way: str) -> Contents:
        """What the candidate holds once it is loaded, in a Session or as the objects have it."""
        return self.loaded.session if way == "session" else self.loaded.objects

    def source_initial(self, cell: Cell) -> Term:
        """What a cell of the source holds when a call begins."""
        if cell.kind not in VARIABLES:
            return self._table(self.loaded.source, cell, ("table", cell.key))
        if isinstance(self._results.get(cell.key), Proved):
            kind = "variable" if cell.key in self.loaded.source.held else "empty variable"
            return self.terms.make("initial", (kind, cell.key))
        return self.terms.make("initial", ("of the source alone", cell.key))

    def initial(self, way: str) -> Callable[[Cell], Term]:
        """What a cell of the candidate holds when a call begins, in a Session or as the objects have it."""
        state = self.state(way)

        def initial(cell: Cell) -> Term:
            if cell.kind not in VARIABLES:
                one = self.tables.twins[way].get(cell.key)
                which = ("table of the candidate alone", way, cell.key) if one is None else ("table", one)
                return self._table(state, cell, which)
            other = self.twins[way].get(cell.key)
            if other is not None and isinstance(self._results.get(other), Proved):
                kind = "variable" if other in self.loaded.source.held else "empty variable"
                return self.terms.make("initial", (kind, other))
            held = state.held.get(cell.key)
            constant = self.constant_of(held) if held is not None and other is None else None
            if constant is not None and held is not None and self._fits(way, cell, held, None):
                # It holds what a constant of the source holds, as if that were assigned to it.
                return self.terms.make("write", ("Assign", (), frozenset(), 0), (constant,))
            return self.terms.make("initial", ("of the candidate alone", way, cell.key))

        return initial

    def constant_of(self, held: Term) -> Term | None:
        """The constant of the source that has the bytes which a variable of the candidate is restored from."""
        if self._constants is None:
            self._constants = {}
            for node in self.pair.source.nodes.values():
                if node.op != "Const" or "value" not in node.attr or not node.attr["value"].tensor.tensor_shape.dim:
                    continue
                proto = node.attr["value"].tensor
                shape, dtype = constants.shape_of(proto), base_name(proto.dtype)
                data = constants.numbers(proto, dtype, math.prod(shape)) if shape is not None else None
                if data is not None and shape is not None:
                    stored = self.terms.make("stored", as_stored(dtype, shape, data))
                    self._constants[stored] = self.pair.shared.constant(node.attr)
        return self._constants.get(held)

    def _table(self, state: Contents, cell: Cell, which: Hashable) -> Term:
        held = filled(self.pair.shared, state.held.get(cell.key, nothing(self.terms, cell)), self.loaded.read)
        return tables.initial(self.terms, cell, held, which)

    def is_spare(self, key: Hashable, way: str) -> bool:
        """Whether a variable of the source is one that nothing can ask for but a call that reads it.

        A function makes it, it has no value when the model is loaded, and the candidate does not have it. What a call
        leaves in it is not compared, and nothing is proved of an output that depends on what an earlier call left.
        """
        is_known = key in self.loaded.source.held or key in self.twins[way].values()
        is_variable = isinstance(key, tuple) and key[0] in VARIABLES
        return is_variable and not is_known and key not in self.loaded.names.values()
