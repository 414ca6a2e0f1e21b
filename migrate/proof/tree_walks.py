"""Decision trees as tables of their nodes, and the way down through them, for equations.

A tree is walked down from the root, for all rows and trees at once, as many steps as the deepest tree has; a leaf leads
to itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from migrate.graph.protos import AttrValue, TensorProto
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, INT64, STRING, Parts, Tensor, dtypes

_CODES = {BOOL: "?", FLOAT: "f", INT32: "i", INT64: "q"}


def serialized(parts: Parts, tensor: Tensor) -> bytes | None:
    """The one string of a constant; None for another tensor."""
    node = parts.source(tensor)
    proto = node.attr["value"].tensor if node.op == "Const" and "value" in node.attr else TensorProto()
    if proto.dtype != STRING or constants.shape_of(proto) != ():
        return None
    found = constants.strings(proto, 1)
    return None if found is None else found[0]


def numbers(dtype: int, values: Sequence[float], *shape: int) -> TensorProto:
    """A tensor of some numbers; a vector where no shape is given."""
    proto = TensorProto(dtype=dtype, tensor_content=struct.pack(f"<{len(values)}{_CODES[dtype]}", *values))
    for size in shape or (len(values),):
        proto.tensor_shape.dim.add(size=size)
    return proto


def gathered(parts: Parts, name: str, values: Tensor, at: Tensor, axis: int, dtype: int, batch: int = 0) -> Tensor:
    """The elements of a tensor at some indices."""
    along = parts.constant(f"{name}_axis", constants.int32(axis), at)
    attr = {**dtypes({"Tparams": dtype, "Tindices": INT32, "Taxis": INT32}), "batch_dims": AttrValue(i=batch)}
    return parts.add("GatherV2", name, [values, at, along], attr), 0


def joined(parts: Parts, name: str, tensors: Sequence[Tensor], axis: int, dtype: int = INT32) -> Tensor:
    """Tensors one after the other along an axis."""
    along = parts.constant(f"{name}_axis", constants.int32(axis), tensors[0])
    attr = {**dtypes({"T": dtype, "Tidx": INT32}), "N": AttrValue(i=len(tensors))}
    return parts.add("ConcatV2", name, [*tensors, along], attr), 0


def sliced(parts: Parts, name: str, tensor: Tensor, start: int, size: int, dtype: int = INT32) -> Tensor:
    """A part of a vector."""
    at = [parts.constant(f"{name}_{k}", constants.int32s(value), tensor) for k, value in enumerate((start, size))]
    return parts.op("Slice", name, [tensor, *at], T=dtype, Index=INT32)


class Walk:
    """Trees as one list of nodes.

    Attributes:
      roots: the root of each tree.
      children: of each node the two nodes that a step leads to: where its test holds, and where not.
      steps: how many steps lead to the farthest leaf.
    """

    def __init__(self, trees: Sequence[Sequence[tuple[int, int] | None]]) -> None:
        """Numbers the nodes.

        Args:
          trees: for each node of each tree its children in the tree; None for a leaf.

        Raises:
          ValueError: a tree has no nodes, or a child that is not there, or goes round in a circle.
        """
        self.roots: list[int] = []
        self.children: list[tuple[int, int]] = []
        self.steps = 0
        for tree in trees:
            first = len(self.children)
            self.roots.append(first)
            level, steps = {0}, 0
            while True:
                if any(not 0 <= node < len(tree) for node in level) or steps > len(tree):
                    raise ValueError("a tree is broken")
                level = {child for node in level for child in tree[node] or ()}
                if not level:
                    break
                steps += 1
            self.steps = max(self.steps, steps)
            for number, children in enumerate(tree):
                here, there = children or (number, number)
                self.children.append((first + here, first + there))

    def leaves(self, parts: Parts, rows: Tensor, holds: Callable[[Tensor, str], Tensor]) -> Tensor:
        """The leaf that each row comes to in each tree.

        Args:
          parts: takes the nodes.
          rows: a vector with the number of rows.
          holds: gives for a matrix of nodes whether their tests hold.
        """
        many = parts.constant("trees", constants.int32s(len(self.roots)), rows)
        grid = joined(parts, "grid", [rows, many], 0)
        roots = parts.constant("roots", numbers(INT32, self.roots), rows)
        at = parts.op("BroadcastTo", "begin", [roots, grid], T=INT32, Tidx=INT32)
        sides = [parts.constant(f"side_{k}", numbers(INT32, [c[k] for c in self.children]), rows) for k in (0, 1)]
        for step in range(self.steps):
            name = f"step_{step}"
            both = [gathered(parts, f"{name}_{k}", side, at, 0, INT32) for k, side in enumerate(sides)]
            at = parts.op("SelectV2", name, [holds(at, name), *both], T=INT32)
        return at
