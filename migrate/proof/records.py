"""What a proof says of each output, effect and variable: that it is proved, or where the two models part."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.frozen import frozen

INLINED = "runs or not as TensorFlow's inliner has it"
CHECKS_DIFFER = "what a call checks, prints or does beside computing differs"
"""Why what a call leaves behind is not proved where both sides are known, and one of them does more or less."""


@frozen
class Proved:
    """The candidate computes what TF1 computes on the source."""


@frozen
class NotProved:
    """That is not shown; it may still be so.

    Attributes:
      source: the node of the source at which the two part, or empty.
      candidate: the node of the candidate, or empty.
      why: the first reason, for an engineer.
    """

    source: str
    candidate: str
    why: str


@frozen
class ProvedUnordered:
    """The candidate computes what TF1 may compute on the source, which leaves it open: see `unordered`.

    Each answer that the candidate can give is one that TF1 can give.

    Attributes:
      why: two accesses that no edge of the source orders.
    """

    why: str


Result = Proved | ProvedUnordered | NotProved
PROVED = Proved()
_BEST_FIRST = (Proved, ProvedUnordered, NotProved)


def either(one: Result, other: Result) -> Result:
    """What is shown where two proofs are tried, the second of which looks further."""
    return one if _BEST_FIRST.index(type(one)) < _BEST_FIRST.index(type(other)) else other


def both(one: Result, other: Result) -> Result:
    """What is shown of two things together: the first that is not shown, or not in one order."""
    return one if _BEST_FIRST.index(type(one)) >= _BEST_FIRST.index(type(other)) else other


@frozen
class OutputName:
    """One output of a signature, or what a call of it leaves behind.

    Attributes:
      signature: the signature's key.
      output: the output's name; empty for what the call leaves behind (variables, tables, messages).
    """

    signature: str
    output: str


@frozen
class Proof:
    """What is proved of a candidate.

    Attributes:
      outputs: by signature and output, for each output that the source has.
      effects: by signature: whether a call leaves the same state.
      loading: whether loading leaves the same state of what calls read: checkpoint, then init op.
      variables: by the name of the variable's node in the source.
      losses: by name of the tensor: the regularisation losses of a TF1 Hub module.
      calls: what the loaded object itself gives when it is called, by `__call__` or `__call__(training=True)` and
        output; an empty output stands for what the call leaves behind, where that is not proved.
      problem: why nothing at all can be proved, or empty.
    """

    outputs: Mapping[OutputName, Result]
    effects: Mapping[str, Result]
    loading: Result
    variables: Mapping[str, Result]
    losses: Mapping[str, Result]
    calls: Mapping[OutputName, Result]
    problem: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of it is proved, and nothing left open by TF1."""
        results = (
            *self.outputs.values(),
            *self.effects.values(),
            self.loading,
            *self.variables.values(),
            *self.losses.values(),
            *self.calls.values(),
        )
        return not self.problem and all(isinstance(result, Proved) for result in results)
