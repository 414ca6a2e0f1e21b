"""Checks before kernels of TensorFlow 1.15.5 that read memory which is not their input's.

What such a call answers depends on what else is in the memory, so that TensorFlow 1 has no answer to it. With a check
in front of the kernel the call ends in an error, in each process alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute, unique_name
from migrate.graph.protos import FunctionDef, NodeDef

_FLOAT, _INT32, _INT64, _STRING = (dtype_value(name) for name in ("float32", "int32", "int64", "string"))
_MESSAGE = b"the kernel would read memory behind its input, which has no defined answer"
_FIELDS = {_INT32: "int_val", _INT64: "int64_val", _STRING: "string_val"}
_OUTPUTS = {
    "Assert": "", "Cast": "y", "Ceil": "y", "Const": "output", "FloorDiv": "z", "FloorMod": "z", "Identity": "output",
    "Less": "z", "Max": "output", "Maximum": "z", "Mul": "z", "AddV2": "z", "Range": "output", "RealDiv": "z",
    "Shape": "output", "Size": "output", "Unpack": "output",
}  # fmt: skip
"""Name of the output of each op that a check is made of, as the nodes of a function write it."""


def guarded(nodes: Sequence[NodeDef], function: FunctionDef | None = None) -> list[NodeDef]:
    """Nodes that check the input of others, which are changed to take it from them.

    Args:
      nodes: of a graph or of a function.
      function: the function; None for a graph.
    """
    unsafe = [node for node in nodes if node.op in _CHECKED and node.input]
    if not unsafe:
        return []
    names = {node.name for node in nodes}
    if function is not None:
        names |= {argument.name for argument in function.signature.input_arg}
    added: list[NodeDef] = []
    for node in unsafe:
        added += _Check(node, names, is_function=function is not None).nodes
    return added


class _Check:
    """The nodes in front of one PeriodicResample.

    contrib/periodic_resample/kernels/periodic_resample_op.h, InputIndexer. Dimension a is free, t its size in the
    output, in[q] and out[q] the other sizes, c[q] = ceil(out[q] / in[q]) in single precision. The element at o is the
    input's at the sum over q of

        stride[q] * (o[q] div c[q]) + stride[a] * t * (c[0] * .. * c[q - 1]) * (o[q] mod c[q])

    and stride[a] * o[a]. Each dimension adds to it by itself, so the greatest index is the sum of the greatest parts.
    """

    def __init__(self, node: NodeDef, names: set[str], *, is_function: bool) -> None:
        self.nodes: list[NodeDef] = []
        self._node, self._names, self._is_function = node, names, is_function
        wanted = [dim.size for dim in attribute(node, "shape").shape.dim]
        free = [q for q, size in enumerate(wanted) if size < 1]
        if len(free) == 1:  # Else the kernel fails.
            self._add(wanted, free[0])

    def _add(self, wanted: Sequence[int], free: int) -> None:
        given: str = self._node.input[0]
        dtype, rank = attribute(self._node, "T").type, len(wanted)
        shape = self._op("Shape", given, T=dtype, out_type=_INT64)
        sizes = self._unpacked(shape, rank)
        count = self._op("Size", given, T=dtype, out_type=_INT64)
        others = self._const(math.prod(size for size in wanted if size >= 1))
        left = self._op("FloorDiv", count, others, T=_INT64)
        target = [left if q == free else self._const(size) for q, size in enumerate(wanted)]
        zero, one = self._const(0), self._const(1)
        shares = [self._share(target[q], self._op("Maximum", sizes[q], one, T=_INT64)) for q in range(rank)]
        strides = [self._product(sizes[q + 1 :]) for q in range(rank)]
        step = self._op("Mul", strides[free], left, T=_INT64)
        axis = self._const(0, _INT32)
        greatest = self._op("Mul", strides[free], self._op("AddV2", left, self._const(-1), T=_INT64), T=_INT64)
        for q in range(rank):
            if q == free:
                continue
            along = self._op("Range", zero, target[q], one, Tidx=_INT64)
            there = self._op("Mul", self._op("FloorDiv", along, shares[q], T=_INT64), strides[q], T=_INT64)
            jump = self._op("Mul", self._product(shares[:q]), step, T=_INT64)
            moved = self._op("Mul", self._op("FloorMod", along, shares[q], T=_INT64), jump, T=_INT64)
            part = self._op("Max", self._op("AddV2", there, moved, T=_INT64), axis, T=_INT64, Tidx=_INT32)
            greatest = self._op("AddV2", greatest, part, T=_INT64)
        holds = self._op("Less", greatest, count, T=_INT64)
        check = self._new("Assert", [holds, self._const(_MESSAGE, _STRING)])
        check.attr["T"].list.type.append(_STRING)
        self._node.input[0] = self._op("Identity", given, f"^{check.name}", T=dtype)

    def _share(self, target: str, size: str) -> str:
        floats = [self._op("Cast", each, SrcT=_INT64, DstT=_FLOAT) for each in (target, size)]
        ceiling = self._op("Ceil", self._op("RealDiv", *floats, T=_FLOAT), T=_FLOAT)
        return self._op("Cast", ceiling, SrcT=_FLOAT, DstT=_INT64)

    def _product(self, factors: Iterable[str]) -> str:
        found = self._const(1)
        for factor in factors:
            found = self._op("Mul", found, factor, T=_INT64)
        return found

    def _new(self, op: str, inputs: Iterable[str]) -> NodeDef:
        name = unique_name(f"{self._node.name}/reads_within/{op.lower()}_{len(self.nodes)}", self._names)
        self._names.add(name)
        self.nodes.append(NodeDef(name=name, op=op, input=inputs, device=self._node.device))
        return self.nodes[-1]

    def _tensor(self, node: NodeDef, number: int = 0) -> str:
        if self._is_function:
            return f"{node.name}:{_OUTPUTS[node.op]}:{number}"
        return f"{node.name}:{number}" if number else node.name

    def _op(self, op: str, *inputs: str, **types: int) -> str:
        node = self._new(op, inputs)
        for key, value in types.items():
            node.attr[key].type = value
        return self._tensor(node)

    def _unpacked(self, vector: str, count: int) -> Sequence[str]:
        node = self._new("Unpack", [vector])
        node.attr["T"].type = _INT64
        node.attr["num"].i = count
        return [self._tensor(node, number) for number in range(count)]

    def _const(self, value: int | bytes, dtype: int = _INT64) -> str:
        # It is in the frame and branch of the input; a function has none, and an argument is no node.
        beside = [] if self._is_function else [f"^{self._node.input[0].partition(':')[0]}"]
        node = self._new("Const", beside)
        node.attr["dtype"].type = node.attr["value"].tensor.dtype = dtype
        node.attr["value"].tensor.tensor_shape.SetInParent()
        getattr(node.attr["value"].tensor, _FIELDS[dtype]).append(value)
        return self._tensor(node)


_CHECKED = frozenset({"PeriodicResample"})
"""Ops whose kernel reads memory that is not its input's."""
