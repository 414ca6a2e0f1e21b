"""What a rule is: the ops it is about, what is known of each, and what it proposes for a node of one.

A rule proposes, the engine applies. Every other table of ops in this package is derived from what the rules carry
(`ops.py`), so that a new rule is described in one place.
"""

from __future__ import annotations

import enum
import functools
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.graph.protos import NodeDef
from migrate.records import Finding

if TYPE_CHECKING:
    from migrate.rewrite.scope import Scope

EVERY = sys.maxsize
"""The end of a range that goes up to the last input."""


class Gives(enum.Enum):
    """What the outputs of an op show."""

    VALUE = "a tensor of its own where the table of ops knows that the op copies; else it may be any input's buffer"
    VARIABLE = "the ref of the variable that the node is"
    RESOURCE = "a string handle to a resource, which has a name of its own"
    STEP_HANDLE = "a string handle to what lives for one step, or to a resource that another node makes"
    REF = "the ref that the first input is"
    BUFFER = "the buffer of the first input"
    RESHAPED = "the buffer of the first input under another shape or dtype"
    EITHER = "the ref or buffer of one of the inputs, which is known only while the graph runs"


SOURCES = frozenset({Gives.VARIABLE, Gives.RESOURCE, Gives.STEP_HANDLE})
"""What an op gives that takes it from no input."""


@frozen
class Op:
    """What is known of one op that a rule claims.

    Attributes:
      twin: the op that takes its place, with the same arguments in the same order; empty where the rule makes something
        of another form, or keeps the op.
      fewest: how many data inputs a node must have for the rule to look at it.
      refs: positions of the data inputs that are refs or string handles; the new graph has handles there.
      gives: what its outputs show.
      outputs: how many outputs show that.
      carried: whether the new node gives no handle itself, so that another node hands the first input's handle on once
        it ran (`Scope.carrier`).
      writes: whether it writes the variables behind its refs.
      elementwise: whether an operand may be the written buffer itself: each element is read before it is written, and
        only then.
      renamed: (attribute of the op, its name in the twin) pairs.
      dropped: attributes that the twin does not have.
    """

    twin: str = ""
    fewest: int = 1
    refs: range = range(0)
    gives: Gives = Gives.VALUE
    outputs: int = 1
    carried: bool = False
    writes: bool = False
    elementwise: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()

    def taken(self, inputs: int) -> range:
        """Those of `refs` that a node with so many data inputs has."""
        return range(self.refs.start, min(self.refs.stop, inputs))


@frozen
class Edit:
    """Nodes that take a node's place. Nodes of one name from several edits must be equal and stand once."""

    nodes: tuple[NodeDef, ...]


Rewrite = Callable[[NodeDef, "Scope"], Edit | Finding | None]


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
class Table:
    """Rules by op, and what follows from them.

    Attributes:
      rules: the rule of each op.
    """

    rules: Mapping[str, Rule]

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @functools.cached_property
    def ops(self) -> Mapping[str, Op]:
        """What is known of each op that a rule claims."""
        return {name: rule.ops[name] for name, rule in self.rules.items()}

    @functools.cached_property
    def always(self) -> frozenset[str]:
        """Ops for which a run is rewritten although none of its ops is a ref op."""
        return frozenset(name for name, rule in self.rules.items() if rule.always)

    @functools.cached_property
    def sources(self) -> frozenset[str]:
        """Ops that give a ref or handle which they take from no input; the others only hand it on."""
        return frozenset(name for name, op in self.ops.items() if op.gives in SOURCES)

    @functools.cached_property
    def writers(self) -> frozenset[str]:
        """Ops that write the variables behind their refs."""
        return frozenset(name for name, op in self.ops.items() if op.writes)


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
    return Table(result)
