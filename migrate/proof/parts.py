"""What takes the place of a node that is taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, TensorProto
from migrate.proof.constants import int32, int32s, made
from migrate.proof.program import UNKNOWN, Flat

Tensor = tuple[int, int]
INT32 = dtype_value("int32")
INT64 = dtype_value("int64")
BOOL = dtype_value("bool")
FLOAT = dtype_value("float32")
STRING = dtype_value("string")


def dtypes(types: Mapping[str, int]) -> dict[str, AttrValue]:
    """Attributes that are dtypes."""
    return {key: AttrValue(type=value) for key, value in types.items()}


def dtype_list(values: Sequence[int]) -> AttrValue:
    """An attribute that is a list of dtypes."""
    attr = AttrValue()
    attr.list.type.extend(values)
    return attr


class Parts:
    """What takes a node's place.

    Attributes:
      node: the node.
      place: its place.
    """

    def __init__(self, nodes: list[Flat], place: int, node: Flat) -> None:
        self._nodes, self.place, self.node = nodes, place, node

    def made(
        self, op: str, name: str, taken: Sequence[Tensor], attr: Mapping[str, AttrValue], waits: Sequence[int] = ()
    ) -> Flat:
        """A node."""
        flat = Flat(op, f"{self.node.label}/{name}" if name else self.node.label, self.node.name, attr)
        flat.hint = f"{self.node.hint}/{name}" if name else self.node.hint
        flat.data = list(taken)
        flat.controls = list(waits)
        return flat

    def add(
        self, op: str, name: str, taken: Sequence[Tensor], attr: Mapping[str, AttrValue], waits: Sequence[int] = ()
    ) -> int:
        """The place of a node beside the one that is taken apart."""
        self._nodes.append(self.made(op, name, taken, attr, waits))
        return len(self._nodes) - 1

    def op(self, op: str, name: str, taken: Sequence[Tensor], waits: Sequence[int] = (), **types: int) -> Tensor:
        """The first output of a node whose attributes are all dtypes."""
        return self.add(op, name, taken, dtypes(types), waits), 0

    def ranked(self, name: str, tensor: Tensor, dtype: int, rank: int) -> Tensor:
        """A tensor that must have so many dimensions."""
        return self.shaped(name, tensor, dtype, [-1] * rank)

    def shaped(self, name: str, tensor: Tensor, dtype: int, sizes: Sequence[int]) -> Tensor:
        """A tensor that must have these sizes, of which -1 is any."""
        shape = AttrValue()
        shape.shape.SetInParent()
        for size in sizes:
            shape.shape.dim.add(size=size)
        return self.add("EnsureShape", name, [tensor], {**dtypes({"T": dtype}), "shape": shape}), 0

    def constant(self, name: str, value: TensorProto, beside: Tensor) -> Tensor:
        """A constant that is there where another tensor is."""
        attr = {"dtype": AttrValue(type=value.dtype), "value": AttrValue(tensor=value)}
        return self.add("Const", name, [], attr, [beside[0]]), 0

    def enter(self, loop: str, tensor: Tensor, dtype: int, waits: Sequence[int], *, is_constant: bool) -> Tensor:
        """A tensor of a loop with the frame `loop`; `is_constant` if it stays the same."""
        attr = {
            "T": AttrValue(type=dtype),
            "frame_name": AttrValue(s=f"{self.node.label}/{loop}".encode()),
            "is_constant": AttrValue(b=is_constant),
            "parallel_iterations": AttrValue(i=10),
        }
        return self.add("Enter", "enter", [tensor], attr, waits), 0

    def check(self, name: str, conditions: Tensor, text: bytes) -> int:
        """The place of a node that fails where not all of some conditions hold, which are a vector."""
        axis = self.constant(f"{name}_axis", int32s(0), conditions)
        holds = self.op("All", f"{name}_holds", [conditions, axis], Tidx=INT32)
        attr = {"T": dtype_list([STRING]), "summarize": AttrValue(i=3)}
        return self.add("Assert", name, [holds, self.constant(f"{name}_text", made("string", text), conditions)], attr)

    def extend(self, place: int, tensor: Tensor) -> None:
        """Gives a node that was added another input: what comes back to a loop."""
        self._nodes[place].data.append(tensor)

    def source(self, tensor: Tensor) -> Flat:
        """The node that gives a tensor."""
        return self._nodes[tensor[0]]

    def range(self, limit: Tensor) -> Tensor:
        """The numbers from 0 up to a limit."""
        start, delta = self.constant("start", int32(0), limit), self.constant("delta", int32(1), limit)
        return self.add("Range", "range", [start, limit, delta], {"Tidx": AttrValue(type=INT32)}), 0

    def unknown(self, why: str) -> Flat:
        """A node in this one's place of which nothing is known."""
        flat = Flat(UNKNOWN, self.node.label, self.node.name, {}, f"{self.node.op} {self.node.label!r} {why}")
        flat.data, flat.controls = self.node.data, self.node.controls
        return flat

    def is_gradient(self, tensor: Tensor) -> bool:
        """Whether an array may be the gradient of another one."""
        for _ in range(LONGEST):
            node = self._nodes[tensor[0]]
            if node.op in ("TensorArray", "TensorArrayV2", "TensorArrayV3"):
                return False
            if node.op not in _HANDS_ON or len(node.data) != 1:
                return True
            tensor = node.data[0]
        return True


LONGEST = 200
_HANDS_ON = frozenset({"Enter", "RefEnter", "Identity", "RefIdentity"})
