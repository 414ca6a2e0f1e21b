"""Which output of a node a tensor is, as graphs and functions write it. No TensorFlow."""

from __future__ import annotations

from migrate.graph.graph import is_output
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef


def output_number(tensor: str, node: NodeDef) -> int | None:
    """The number of an output among all of its node's; None where that is not known.

    Args:
      tensor: `node`, `node:1`, or in a function `node:output:1`, where 1 is its number among those of that name.
      node: the node that gives it.

    Example:
      >>> output_number("u:count:0", NodeDef(name="u", op="UniqueWithCountsV2"))
      2
    """
    _, _, rest = tensor.partition(":")
    output, _, last = rest.rpartition(":")
    if not rest:
        return 0
    if not is_output(last):
        return None
    if not output:
        return int(last)
    first = first_number(output, node) if node.op in load_op_table() else None
    return None if first is None else first + int(last)


def first_number(output: str, node: NodeDef) -> int | None:
    """The number, among all outputs of a node, of the first one of a name; None where that is not known.

    Args:
      output: name of an output in the op's definition. An op of which no outputs are known has one.
      node: the node.
    """
    known = load_op_table().get(node.op)
    number = 0
    for name, length in (known.outputs if known is not None else ()) or ((output, ""),):
        if name == output:
            return number
        count = _count(node, length)
        if count is None:
            return None
        number += count
    return None


def _count(node: NodeDef, length: str) -> int | None:
    """How many tensors an output is: one, as many as an int attribute says, or as a list of types is long."""
    if not length:
        return 1
    if length not in node.attr or node.attr[length].placeholder:
        return None
    attr = node.attr[length]
    return len(attr.list.type) if attr.HasField("list") else attr.i
