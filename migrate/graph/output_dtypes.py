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


def lacking_output(tensor: str, node: NodeDef, library: Mapping[str, FunctionDef]) -> str:
    """What a node gives, if that is known and the output that a tensor names is none of it; else nothing.

    Args:
      tensor: full name, `node:1`.
      node: the node that it names.
      library: the graph's functions by name.

    Example:
      >>> lacking_output("x:1", NodeDef(name="x", op="Placeholder"), {})
      "Placeholder 'x' gives output 0 alone"
    """
    index = split(tensor)[1]
    dtypes = output_dtypes(node, library)
    if index >= 0 and (dtypes is None or index < len(dtypes) or not _says_how_many(node, library)):
        return ""
    if dtypes is None:
        return f"{node.op} {node.name!r} gives outputs with numbers"
    if not dtypes:
        return f"{node.op} {node.name!r} gives no output"
    gives = "output 0 alone" if len(dtypes) == 1 else f"outputs 0 to {len(dtypes) - 1}"
    return f"{node.op} {node.name!r} gives {gives}"


def _says_how_many(node: NodeDef, library: Mapping[str, FunctionDef]) -> bool:
    """Whether a node has all attributes that say how many outputs it has; defaults may have been stripped."""
    if node.op in library:
        return True
    written, *_ = load_op_table()[node.op].dtypes.split(" ")
    asked = {name for output in written.split("|") for name in _counting(output)}
    return all(name in node.attr for name in asked)


def _counting(output: str) -> list[str]:
    number, _, kind = output.rpartition("*")
    return [name for name in (number, kind[2:] if kind.startswith("@@") else "") if name]


def _type(attr: Mapping[str, AttrValue], name: str, defaults: Mapping[str, str]) -> int:
    if name in attr and attr[name].type:
        return int(attr[name].type) % REF
    return dtype_value(defaults[name]) if name in defaults else 0
