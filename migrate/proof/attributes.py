"""The attributes of a node in a form in which equal ones are equal: defaults filled in, marks left out."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence

from migrate.graph.attr_defaults import encoded, encoded_defaults
from migrate.graph.protos import AttrValue
from migrate.proof.equations import DROPPED, IGNORED_ATTRIBUTES


@functools.cache
def _compared_defaults(op: str) -> Sequence[tuple[str, Hashable]]:
    return [item for item in encoded_defaults(op).items() if item[0] not in IGNORED_ATTRIBUTES]


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
        for key, default in _compared_defaults(known):
            if key not in left_out:
                found.setdefault(renamed.get(key, key), default)
    return tuple(sorted(found.items()))
