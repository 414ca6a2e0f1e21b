"""The tensors that a node gives: how many, and of which dtypes."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.graph.dtypes import REF, dtype_value
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, FunctionDefLibrary, NodeDef


def functions_of(library: FunctionDefLibrary) -> dict[str, FunctionDef]:
    """Functions by name; of several of a name the first, as a search for it finds."""
    found: dict[str, FunctionDef] = {}
    for function in library.function:
        found.setdefault(function.signature.name, function)
    return found


def output_dtypes(node: NodeDef, library: Mapping[str, FunctionDef]) -> tuple[int, ...] | None:
    """DataType values of a node's outputs, a ref's without the ref; None for an op that nobody knows.

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
            types = [t % REF for t in node.attr[kind[2:]].list.type]
        elif kind.startswith("@"):
            types = [_type(node.attr, kind[1:], defaults)]
        else:
            types = [dtype_value(kind)]
        found += types * (node.attr[number].i if number else 1)
    return tuple(found)


def _type(attr: Mapping[str, AttrValue], name: str, defaults: Mapping[str, str]) -> int:
    # `in` first: reading a map's missing key makes it.
    if name in attr and attr[name].type:
        return int(attr[name].type) % REF
    return dtype_value(defaults[name]) if name in defaults else 0
