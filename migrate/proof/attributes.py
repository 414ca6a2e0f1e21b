"""The attributes of a node in a form in which equal ones are equal: defaults filled in, marks left out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from migrate.graph.attr_defaults import encoded, encoded_defaults
from migrate.graph.protos import AttrValue
from migrate.proof.equations import DROPPED, IGNORED_ATTRIBUTES


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
    left_out = DROPPED.get(op, frozenset()) | dropped
    found: dict[str, Hashable] = {}
    for key, value in attr.items():
        if key not in IGNORED_ATTRIBUTES and key not in left_out:
            found[renamed.get(key, key)] = encoded(value)
    for known in (op,) if op == name else (op, name):
        for key, default in encoded_defaults(known).items():
            if key not in left_out and key not in IGNORED_ATTRIBUTES:
                found.setdefault(renamed.get(key, key), default)
    return tuple(sorted(found.items(), key=lambda item: item[0]))
