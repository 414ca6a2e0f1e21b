"""What a predicate is, where it is the same in every call and in each iteration of a loop."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Collection, Mapping
from typing import Any

from migrate.graph.control_flow_contexts import MERGES, NEXT_ITERATIONS, SWITCHES
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, split
from migrate.graph.protos import NodeDef

_DT_BOOL = dtype_value("bool")


class Constants:
    """The values of scalars that are the same in every call and iteration.

    What has such a value may be dead at times; what takes it is dead, too, then.
    """

    def __init__(self, graph: Graph, fed: Collection[str]) -> None:
        self._graph = graph
        self._fed = fed
        self._known: dict[str, _Scalar | None] = {}

    def predicate(self, tensor: str) -> bool | None:
        """The value of what a Switch takes for its predicate, else None."""
        known = self._graph.wires.get(split(tensor)[0])
        if known is not None and known.op in SWITCHES:
            # What waits for a Switch by a control edge does not learn which output is alive.
            return None
        value = self._value(tensor, 0)
        return value if isinstance(value, bool) else None

    def _value(self, tensor: str, depth: int) -> _Scalar | None:
        passed = []
        value: _Scalar | None = None
        while True:
            if tensor in self._known:
                value = self._known[tensor]
                break
            self._known[tensor] = None  # While it is looked for, so that a circle ends.
            passed.append(tensor)
            following = self._handed_on(tensor)
            if following is None:
                value = self._computed(tensor, depth + 1) if depth < _DEEPEST else None
                break
            tensor = following
        self._known.update(dict.fromkeys(passed, value))
        return value

    def _handed_on(self, tensor: str) -> str | None:
        """The tensor whose value another one has, where its op only hands it on."""
        name, output = split(tensor)
        known = self._graph.wires.get(name)
        if known is None or name in self._fed or known.op not in _HANDS_ON:
            return None
        is_switch = known.op in SWITCHES
        return known.data[0] if len(known.data) == 1 + is_switch and 0 <= output <= is_switch else None

    def _computed(self, tensor: str, depth: int) -> _Scalar | None:
        name, output = split(tensor)
        known = self._graph.wires.get(name)
        if known is None or name in self._fed or output != 0:
            return None
        if known.op == "Const":
            return _scalar(self._graph.nodes[name])
        if known.op in MERGES:
            return self._loop_variable(name, depth)
        values = [self._value(given, depth) for given in known.data] if known.op in _COMPUTES else []
        if known.op == "Cast":
            target = self._graph.nodes[name].attr["DstT"].type
            return bool(values[0]) if target == _DT_BOOL and len(values) == 1 and type(values[0]) is int else None
        if known.op == "LogicalNot":
            return not values[0] if len(values) == 1 and isinstance(values[0], bool) else None
        if known.op in _DECIDED_BY:
            decided = _DECIDED_BY[known.op]
            if decided in values:
                return decided
            return not decided if len(values) == 2 and None not in values else None
        if known.op in _COMPARES and len(values) == 2 and None not in values and type(values[0]) is type(values[1]):
            return bool(_COMPARES[known.op](*values))
        return None

    def _loop_variable(self, name: str, depth: int) -> _Scalar | None:
        """The value that enters a loop at a Merge, where no iteration changes it."""
        wires = self._graph.wires
        enters: list[str] = []
        for given, source in zip(wires[name].data, wires[name].sources, strict=True):
            if source not in wires or wires[source].op not in NEXT_ITERATIONS:
                enters.append(given)
            elif not self._comes_from(given, f"{name}:0"):
                return None
        return self._value(enters[0], depth) if len(enters) == 1 else None

    def _comes_from(self, tensor: str, origin: str) -> bool:
        """Whether a tensor is another one, handed on."""
        for _ in range(_LONGEST):
            if tensor == origin:
                return True
            following = self._handed_on(tensor)
            if following is None:
                return False
            tensor = following
        return False


_Scalar = bool | int | float | bytes
_HANDS_ON = frozenset(
    {"Enter", "GuaranteeConst", "Identity", "NextIteration", "PlaceholderWithDefault", "StopGradient", "Switch"}
)
"""Ops that a value goes through. RefSwitch and the like are none: a ref may be written to."""
_COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equal": operator.eq,
    "Greater": operator.gt,
    "GreaterEqual": operator.ge,
    "Less": operator.lt,
    "LessEqual": operator.le,
    "NotEqual": operator.ne,
}
_DECIDED_BY = {"LogicalAnd": False, "LogicalOr": True}
"""Ops whose result is known as soon as one of the two values is."""
_COMPUTES = _COMPARES.keys() | _DECIDED_BY.keys() | {"Cast", "LogicalNot"}
_DEEPEST = 50
_LONGEST = 20
"""Ops that hand on a loop variable in one iteration. Ordinary graphs have two or three; a damaged one has a circle."""


def _scalar(const: NodeDef) -> _Scalar | None:
    """The value of a Const that is a scalar of a dtype that predicates are computed from."""
    proto = const.attr["value"].tensor
    form = _FORMS.get(proto.dtype)
    if form is None or proto.tensor_shape.dim or proto.tensor_shape.unknown_rank:
        return None
    field, code = form
    if not proto.tensor_content or not code:
        values = getattr(proto, field)
        found: _Scalar = values[0] if values else _ABSENT.get(code, 0)
        return found
    try:
        (found,) = struct.unpack(f"<{code}", proto.tensor_content)
    except struct.error:
        return None
    return found


_FORMS = {
    dtype_value(dtype): form
    for dtype, form in {
        "bool": ("bool_val", "?"),
        "float32": ("float_val", "f"),
        "float64": ("double_val", "d"),
        "int32": ("int_val", "i"),
        "int64": ("int64_val", "q"),
        "string": ("string_val", ""),
    }.items()
}
"""Where a TensorProto has the value, and how `tensor_content` has it."""
_ABSENT: Mapping[str, _Scalar] = {"?": False, "": b""}
