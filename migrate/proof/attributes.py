"""The attributes of a node in a form in which equal ones are equal: defaults filled in, marks left out."""

from __future__ import annotations

import functools
import os
from collections.abc import Hashable, Mapping, Sequence

from migrate.graph.dtypes import REF
from migrate.graph.protos import AttrValue
from migrate.proof.equations import DROPPED, IGNORED_ATTRIBUTES

_TABLE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "graph", "attr_defaults.tsv")


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
    """
    found: dict[str, AttrValue] = {}
    for row in _rows().get(op, ()):
        name, *cells = row.rstrip("\n").split("\t")
        given = {cell for cell in cells if cell not in ("", "-")}
        if len(given) == 1:
            found[name] = AttrValue.FromString(bytes.fromhex(given.pop()))
    return found


@functools.cache
def _encoded_defaults(op: str) -> Sequence[tuple[str, Hashable]]:
    return [(name, encoded(value)) for name, value in defaults(op).items() if name not in IGNORED_ATTRIBUTES]


def encoded(value: AttrValue) -> Hashable:
    """An attribute that names no function, as a value that can be compared."""
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


def canonical(
    op: str, name: str, attr: Mapping[str, AttrValue], renamed: Mapping[str, str], dropped: frozenset[str]
) -> Hashable:
    """The attributes of a node.

    Args:
      op: its op.
      name: canonical name of the op, whose defaults count where the op does not have the attribute.
      attr: its attributes, none of which names a function.
      renamed: name of an attribute -> canonical name.
      dropped: attributes that are left out.
    """
    left_out = DROPPED[op] | dropped if op in DROPPED else dropped
    found: dict[str, Hashable] = {}
    for key in attr:
        if key not in IGNORED_ATTRIBUTES and key not in left_out:
            found[renamed.get(key, key)] = encoded(attr[key])
    for known in (op,) if op == name else (op, name):
        for key, default in _encoded_defaults(known):
            if key not in left_out:
                found.setdefault(renamed.get(key, key), default)
    return tuple(sorted(found.items()))
