"""Walks through decision trees in ops of TensorFlow 2: for each row and tree one node, and a step down at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, FLOAT, INT32, INT64, STRING
from migrate.rewrite.scope import Scope

DEEPEST = 256
"""Steps down a tree, each of which is some nodes of the graph."""
_CODES = {BOOL: "?", FLOAT: "f", INT32: "i", INT64: "q"}


@frozen
class Tree:
    """A tree whose nodes are numbered; the first is the root.

    Attributes:
      left: of each node the child to which a test that holds leads; None for a leaf.
      right: the same of one that does not hold.
    """

    left: Sequence[int | None]
    right: Sequence[int | None]

    def depth(self) -> int | None:
        """How many steps lead to the farthest leaf; None where a child is missing, or steps lead in a circle."""
        count = len(self.left)
        known = [-1] * count  # -2 while a node's children are looked at.
        stack = [0] if count else []
        while stack:
            node = stack[-1]
            children = (self.left[node], self.right[node])
            if children == (None, None):
                known[node] = 0
                stack.pop()
                continue
            below = [child for child in children if child is not None and 0 <= child < count]
            if len(below) < 2 or any(known[child] == -2 for child in below if known[node] != -2):
                return None
            open_children = [child for child in below if known[child] < 0]
            if known[node] == -2:
                if open_children:
                    return None
                known[node] = 1 + max(known[child] for child in below)
                stack.pop()
                continue
            known[node] = -2
            stack += dict.fromkeys(open_children)
        return known[0] if count else None


def serialized(scope: Scope, tensor: str) -> bytes | None:
    """The one string of a constant; None for another tensor."""
    made_by = scope.aliases.run.graph.nodes[producer(tensor)]
    value = attribute(made_by, "value").tensor
    if made_by.op != "Const" or value.dtype != STRING or value.tensor_shape.dim or len(value.string_val) > 1:
        return None
    return bytes(value.string_val[0]) if value.string_val else b""


def unsound(node: NodeDef, scope: Scope, why: str) -> Finding:
    """The refusal of a node whose trees cannot be taken apart."""
    return refusal(
        "trees-unsound",
        f"{scope.aliases.run.key}: {node.op} {node.name!r}: {why}",
        (node.name,),
        "export the model for prediction alone, with its checkpoint",
    )


def table(b: Builder, name: str, values: Sequence[float], dtype: int, beside: str, *shape: int) -> str:
    """A Const of many numbers, in the frame and branch of a node."""
    node = NodeDef(name=b.name(name), op="Const", input=[f"^{beside}"])
    node.attr["dtype"].type = dtype
    proto = node.attr["value"].tensor
    proto.dtype = dtype
    for size in shape or (len(values),):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_content = struct.pack(f"<{len(values)}{_CODES[dtype]}", *values)
    return b.add(node)


def looked_up(b: Builder, name: str, values: str, at: str, axis: str, dtype: int, batch_dims: int = 0) -> str:
    """The elements of a tensor at some indices."""
    return b.node(
        "GatherV2", [values, at, axis], name, {"batch_dims": batch_dims}, Tparams=dtype, Tindices=INT32, Taxis=INT32
    )


def leaves(
    b: Builder, trees: Sequence[Tree], depth: int, rows: str, beside: str, holds: Callable[[str, str], str] | None
) -> str:
    """The leaf that each row comes to in each tree, as a matrix of numbers of nodes, counted through all trees.

    Args:
      b: collects the nodes.
      trees: the trees.
      depth: the most steps down.
      rows: a vector with the number of rows.
      beside: a node in whose frame and branch the constants are.
      holds: gives, for such a matrix and the name of a step, whether the test of each node holds; None for no steps.
    """
    zero = b.constant("axis", 0, beside)
    roots: list[int] = []
    lefts: list[int] = []
    rights: list[int] = []
    for tree in trees:
        first = len(lefts)
        roots.append(first)
        for side, children in ((lefts, tree.left), (rights, tree.right)):
            side += [first + (node if child is None else child) for node, child in enumerate(children)]
    width = b.constant("trees", [len(trees)], beside)
    shape = b.node("ConcatV2", [rows, width, zero], "grid", {"N": 2}, T=INT32, Tidx=INT32)
    at = b.BroadcastTo(table(b, "roots", roots, INT32, beside), shape, name="begin", T=INT32, Tidx=INT32)
    if holds is None:
        return at
    left, right = (table(b, name, side, INT32, beside) for name, side in (("left", lefts), ("right", rights)))
    for step in range(depth):
        name = f"step_{step}"
        down = [
            looked_up(b, f"{name}_{word}", side, at, zero, INT32) for word, side in (("left", left), ("right", right))
        ]
        at = b.SelectV2(holds(at, name), *down, name=name, T=INT32)
    return at
