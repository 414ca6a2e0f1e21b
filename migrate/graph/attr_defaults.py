"""The attributes that TensorFlow's ops have where a node does not give them.

`attr_defaults.tsv` is written by `tools/make_attr_defaults.py` from the registries of several releases.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Hashable, Mapping

from migrate.graph.dtypes import REF
from migrate.graph.protos import AttrValue, NodeDef

_TABLE = os.path.join(os.path.dirname(__file__), "attr_defaults.tsv")


@functools.cache
def _rows() -> Mapping[str, list[str]]:
    rows: dict[str, list[str]] = {}
    with open(_TABLE, encoding="utf-8") as stream:
        next(stream)
        for line in stream:
            op, _, rest = line.partition("\t")
            rows.setdefault(op, []).append(rest)
    return rows


@functools.cache
def defaults(op: str) -> Mapping[str, AttrValue]:
    """The default of each attribute of an op that has one in some release of the table.

    Where releases have two defaults the attribute is left out: what is meant where it is absent depends on who asks.

    Example:
      >>> defaults("MatMul")["transpose_a"].b
      False
    """
    found: dict[str, AttrValue] = {}
    for row in _rows().get(op, ()):
        name, *cells = row.rstrip("\n").split("\t")
        given = {cell for cell in cells if cell not in ("", "-")}
        if len(given) == 1:
            found[name] = AttrValue.FromString(bytes.fromhex(given.pop()))
    return found


@functools.cache
def encoded_defaults(op: str) -> Mapping[str, Hashable]:
    """The same as `encoded` gives them."""
    return {name: encoded(value) for name, value in defaults(op).items()}


def encoded_attributes(node: NodeDef, left_out: Collection[str]) -> dict[str, Hashable]:
    """What a node's attributes say of what it computes, defaults included, as `encoded` gives it.

    Marks, whose names begin with `_`, and attributes that name functions are no part of it.

    Args:
      node: the node.
      left_out: further attributes that are none.
    """
    found = {
        key: encoded(value)
        for key, value in node.attr.items()
        if not key.startswith("_") and key not in left_out and not has_functions(value)
    }
    for key, default in encoded_defaults(node.op).items():
        if not key.startswith("_") and key not in left_out:
            found.setdefault(key, default)
    return found


def encoded(value: AttrValue) -> Hashable:
    """An attribute that names no function, as a value that can be compared; a ref's dtype is the dtype.

    Example:
      >>> encoded(AttrValue(type=101)) == encoded(AttrValue(type=1))
      True
    """
    kind = value.WhichOneof("value")
    if kind == "type":
        return ("type", value.type % REF)
    if kind == "s":
        return ("s", value.s)
    if kind == "i":
        return ("i", value.i)
    if kind == "b":
        return ("b", value.b)
    if kind == "list" and value.list.type:
        return ("types", tuple(t % REF for t in value.list.type))
    return value.SerializeToString(deterministic=True)


def has_functions(value: AttrValue) -> bool:
    """Whether an attribute names functions."""
    return value.HasField("func") or (value.HasField("list") and bool(value.list.func))
