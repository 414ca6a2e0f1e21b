"""What both sides of a proof have in common: terms, and what is known of constants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import OpInfo, load_op_table
from migrate.graph.protos import AttrValue, NodeDef, TensorProto
from migrate.proof import constants
from migrate.proof.liveness import Atom
from migrate.proof.terms import Term, Terms

_STRING = dtype_value("string")
_LARGE = 4096
"""Elements of a constant that is told by a digest alone."""


_BOOL = dtype_value("bool")


class Shared:
    """What both sides of a proof have in common.

    Attributes:
      terms: all terms.
      tensors: of the term of a constant: the constant.
      attributes: of a node's definition and a canonical name: its attributes.
      random_functions: the terms of functions that draw.
      saying_functions: the terms of those that check or print something, with whether they print.
      shapes: static shapes of the source's variables, by key, where the rank is known; -1 for an unknown size.
      truths: of a term of a scalar constant, or of a predicate whose value is known, that value.
    """

    def __init__(self) -> None:
        """Begins with nothing."""
        self.terms = Terms()
        self._scalars: dict[Term, bool | int | float | bytes] = {}
        self._truths: dict[Term, bool | None] = {}
        self._constants: dict[bytes, Term] = {}
        self._of_nodes: dict[int, Term] = {}
        self._texts: dict[Term, list[bytes]] = {}
        self._infos: dict[str, OpInfo | None] = {}
        self.random_functions: set[Term] = set()
        self.saying_functions: dict[Term, bool] = {}
        self.tensors: dict[Term, TensorProto] = {}
        self.shapes: dict[Hashable, Sequence[int]] = {}
        self.attributes: dict[tuple[int, str], Hashable] = {}

    def constant_of(self, definition: NodeDef) -> Term:
        """The term of a Const of a model, which is worked out once: it may be large."""
        known = self._of_nodes.get(id(definition))
        if known is None:
            known = self._of_nodes[id(definition)] = self.constant(definition.attr)
        return known

    def info(self, op: str) -> OpInfo | None:
        """What the table of ops knows of an op."""
        if op not in self._infos:
            self._infos[op] = load_op_table().get(op)
        return self._infos[op]

    def constant(self, attr: Mapping[str, AttrValue]) -> Term:
        """The term of a Const."""
        if "value" not in attr or not attr["value"].HasField("tensor"):
            return self.terms.unknown("a constant without a value")
        proto = attr["value"].tensor
        if constants.elements(proto) > _LARGE:
            # The text of a small one tells it at less cost than its value does; a large one would be kept twice.
            return self._content(proto)
        encoded = proto.SerializeToString(deterministic=True)
        known = self._constants.get(encoded)
        if known is None:
            known = self._constants[encoded] = self._content(proto)
        return known

    def _content(self, proto: TensorProto) -> Term:
        content: Any = constants.content(proto)
        if content is None:
            # Nobody reads it alike; it is equal to itself alone.
            written = hashlib.sha256(proto.SerializeToString(deterministic=True)).digest()
            known = self.terms.make("Const", ("as written", written))
        else:
            known = self.terms.make("Const", content)
            value = constants.scalar(proto)
            if value is not None:
                self._scalars[known] = value
            if proto.dtype == _STRING and len(content[1]) < 2:
                self._texts[known] = constants.strings(proto, content[1][0] if content[1] else 1) or []
        self.tensors.setdefault(known, proto)
        return known

    def is_scalar(self, term: Term) -> bool:
        """Whether a term is a scalar constant of a common dtype."""
        return term in self._scalars

    def texts(self, term: Term) -> list[bytes] | None:
        """The elements of a constant list of strings."""
        return self._texts.get(term)

    def number(self, value: int) -> Term:
        """The term of a scalar of int32."""
        attr = {"value": AttrValue(tensor=constants.int32(value))}
        return self.constant(attr)

    def truth(self, term: Term) -> bool | None:
        """What a predicate is in every call; None where that is not known."""
        if term not in self._truths:
            self._truths[term] = self._truth(term, 0)
        return self._truths[term]

    def _truth(self, term: Term, depth: int) -> bool | None:
        value = self.scalar(term, depth)
        return value if isinstance(value, bool) else None

    def first(self, term: Term, given: Mapping[Term, Term]) -> bool | None:
        """What a predicate is where some terms are others; None where that is not known."""
        values = self._scalars
        known = {term: values[other] for term, other in given.items() if other in values}
        self._scalars = {**values, **known}
        try:
            return self._truth(term, 0)
        finally:
            self._scalars = values

    def scalar(self, term: Term, depth: int = 0) -> bool | int | float | bytes | None:
        """The value of a scalar that is computed from constants alone."""
        if term in self._scalars:
            return self._scalars[term]
        if depth > 40:
            return None
        head, more, taken = self.terms.parts(term)
        values = [self.scalar(t, depth + 1) for t in taken] if head in _COMPUTED else []
        if head == "LogicalNot" and len(values) == 1 and isinstance(values[0], bool):
            return not values[0]
        if head in _DECIDED and len(values) == 2:
            if _DECIDED[head] in [v for v in values if isinstance(v, bool)]:
                return _DECIDED[head]
            return not _DECIDED[head] if all(isinstance(v, bool) for v in values) else None
        if head in _COMPARED and len(values) == 2 and None not in values and type(values[0]) is type(values[1]):
            return _COMPARED[head](*values)
        if head == "Cast" and len(values) == 1 and type(values[0]) is int and ("DstT", ("type", _BOOL)) in more:
            return bool(values[0])
        return None


def exclusive(shared: Shared, one: frozenset[Atom], other: frozenset[Atom]) -> bool:
    """Whether two things are never there together because each needs one number to be another constant."""
    wanted, known = _equals(shared, one), _equals(shared, other)
    return any(len(wanted[term] | known[term]) > 1 for term in wanted.keys() & known.keys())


def _equals(shared: Shared, live: frozenset[Atom]) -> dict[Term, set[int]]:
    """The numbers that must be these constants for something to be there."""
    found: dict[Term, set[int]] = {}
    for kind, predicate, branch in live:
        head, _, taken = shared.terms.parts(predicate)
        if kind == "if" and branch == 1 and head == "Equal" and len(taken) == 2:
            value = shared.scalar(taken[1])
            if type(value) is int:
                found.setdefault(taken[0], set()).add(value)
    return found


_DECIDED = {"LogicalAnd": False, "LogicalOr": True}


_COMPARED: Mapping[str, Callable[..., bool]] = {
    "Equal": lambda a, b: bool(a == b),
    "Greater": lambda a, b: bool(a > b),
    "GreaterEqual": lambda a, b: bool(a >= b),
    "Less": lambda a, b: bool(a < b),
    "LessEqual": lambda a, b: bool(a <= b),
    "NotEqual": lambda a, b: bool(a != b),
}


_COMPUTED = _DECIDED.keys() | _COMPARED.keys() | {"LogicalNot", "Cast"}


def _scalar(value: bool) -> Mapping[str, AttrValue]:
    attr = AttrValue()
    attr.tensor.dtype = _BOOL
    attr.tensor.tensor_shape.SetInParent()
    attr.tensor.bool_val.append(value)
    return {"value": attr}


TRUE, FALSE = _scalar(True), _scalar(False)
"""The attributes of a Const of a truth value."""
