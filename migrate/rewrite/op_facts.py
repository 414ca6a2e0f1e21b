"""What is known of an op that a rule claims."""

from __future__ import annotations

import enum
import functools
import sys
from collections.abc import Mapping

from migrate.frozen import frozen

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
class OpFacts:
    """What is known of all ops that rules claim.

    Attributes:
      ops: what is known of each.
    """

    ops: Mapping[str, Op]

    @functools.cached_property
    def sources(self) -> frozenset[str]:
        """Ops that give a ref or handle which they take from no input; the others only hand it on."""
        return frozenset(name for name, op in self.ops.items() if op.gives in SOURCES)

    @functools.cached_property
    def writers(self) -> frozenset[str]:
        """Ops that write the variables behind their refs."""
        return frozenset(name for name, op in self.ops.items() if op.writes)
