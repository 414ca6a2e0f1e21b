"""The tensors that a node gives: how many, and of which dtypes."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.graph.dtypes import REF, dtype_value
from migrate.graph.graph import split
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, FunctionDefLibrary, NodeDef


def functions_of(library: FunctionDefLibrary) -> dict[str, FunctionDef]:
    """Functions by name; of several of a name the first, as a search for it finds."""
    found: dict[str, FunctionDef] = {}
    for function in library.function:
        found.setdefault(function.signature.name, function)
    return found


_MOST_OUTPUTS = 1 << 20
"""No graph that a TensorFlow has made has a node with as many; an attribute alone may claim more than memory holds."""


def output_dtypes(node: NodeDef, library: Mapping[str, FunctionDef]) -> tuple[int, ...] | None:
    """DataType values of a node's outputs, a ref's without the ref; None for an op that nobody knows.

    None as well where a node claims to have more than a million.

    Args:
      node: a node of the main graph.
      library: its functions by name, which may be ops.
    """
    function = library.get(node.op)
    if function is not None:
        return tuple(
            arg.type if not arg.type_attr else _type(node.attr, arg.type_attr, {})
            for arg in function.signature.output_arg
        )
    info = load_op_table().get(node.op)
    if info is None:
        return None
    written, *given = info.dtypes.split(" ")
    defaults = dict(default[1:].split("=") for default in given)
    found: list[int] = []
    for output in filter(None, written.split("|")):
        number, _, kind = output.rpartition("*")
        if kind.startswith("@@"):
            # `in` first: reading a map's missing key makes it.
            types = [t % REF for t in node.attr[kind[2:]].list.type] if kind[2:] in node.attr else []
        elif kind.startswith("@"):
            types = [_type(node.attr, kind[1:], defaults)]
        else:
            types = [dtype_value(kind)]
        times = (node.attr[number].i if number in node.attr else 0) if number else 1
        if len(found) + times * len(types) > _MOST_OUTPUTS:
            return None
        found += types * times
    return tuple(found)


def missing_tensor(tensor: str, nodes: Mapping[str, NodeDef], library: Mapping[str, FunctionDef]) -> str:
    """Why a graph does not have a tensor, to follow its name in a message; empty if it has it.

    An output is taken to be there where it is not known how many its node has.

    Args:
      tensor: full name, `node:1`.
      nodes: the graph's nodes by name.
      library: its functions by name.

    Example:
      >>> missing_tensor("x:1", {"x": NodeDef(name="x", op="Placeholder")}, {})
      "but Placeholder 'x' gives output 0 alone"
    """
    name, index = split(tensor)
    node = nodes.get(name)
    if node is None:
        return "which the graph does not have"
    dtypes = output_dtypes(node, library)
    if index >= 0 and (dtypes is None or index < len(dtypes) or not _says_how_many(node, library)):
        return ""
    gives = "outputs with numbers" if dtypes is None else "no output"
    if dtypes:
        gives = "output 0 alone" if len(dtypes) == 1 else f"outputs 0 to {len(dtypes) - 1}"
    return f"but {node.op} {name!r} gives {gives}"


def _says_how_many(node: NodeDef, library: Mapping[str, FunctionDef]) -> bool:
    """Whether a node has all attributes that say how many outputs it has; defaults may have been stripped."""
    return node.op in library or all(
        not length or length in node.attr for _, length in load_op_table()[node.op].outputs
    )


def _type(attr: Mapping[str, AttrValue], name: str, defaults: Mapping[str, str]) -> int:
    if name in attr and attr[name].type:
        return int(attr[name].type) % REF
    return dtype_value(defaults[name]) if name in defaults else 0
