"""What a rule is: the ops it is about, and what it proposes for a node of one.

A rule proposes, the engine applies. Every other table of ops in this package is derived from what the rules carry
(`ops.py`), so that a new rule is described in one place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.new_nodes import Edit
from migrate.rewrite.op_facts import Op, OpFacts
from migrate.rewrite.scope import Scope

Rewrite = Callable[[NodeDef, Scope], Edit | Finding | None]


@frozen
class Rule:
    """One idea: the ops it is about, and what it proposes for a node of such an op.

    Attributes:
      name: of the rule and of its examples in tests/rewrite/rules.
      ops: what is known of each op; no two rules of the table claim the same one.
      rewrite: gives an `Edit`, a refusal (`records.Finding`), or None where the node may stay as it is.
      needs_refs: whether a node is refused where a value comes for one of its refs; in a v1 Session it fails.
      always: whether it looks at its nodes in a graph without ref ops, too; one that only follows refs does not.
    """

    name: str
    ops: Mapping[str, Op]
    rewrite: Rewrite
    needs_refs: bool = False
    always: bool = True


@frozen
class Table(OpFacts):
    """Rules by op, and what follows from them.

    Attributes:
      rules: the rule of each op.
    """

    rules: Mapping[str, Rule]

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @functools.cached_property
    def always(self) -> frozenset[str]:
        """Ops for which a run is rewritten although none of its ops is a ref op."""
        return frozenset(name for name, rule in self.rules.items() if rule.always)


def by_op(rules: tuple[Rule, ...]) -> Table:
    """The table of some rules.

    Raises:
      InternalError: two rules claim the same op, or have the same name.
    """
    result: dict[str, Rule] = {}
    for rule in rules:
        for op in rule.ops:
            if op in result:
                raise InternalError(f"two rules claim the op {op}: {result[op].name} and {rule.name}")
            result[op] = rule
    if len({rule.name for rule in rules}) < len(rules):
        raise InternalError("two rules have one name")
    return Table({op: rule.ops[op] for op, rule in result.items()}, result)
