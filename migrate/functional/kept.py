"""What stays v1 control flow, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrate.frozen import frozen
from migrate.records import Finding, Severity


@frozen
class Kept:
    """A loop or cond that stays v1 control flow.

    Attributes:
      reason: the rest of a sentence that begins with the nodes.
      nodes: names of the nodes that it is about.
    """

    reason: str
    nodes: tuple[str, ...]


def finding(where: str, kept: Iterable[Kept]) -> Finding | None:
    """One warning for all that stays of a run."""
    found = [Kept(one.reason, one.nodes[:_TOLD]) for one in dict.fromkeys(kept)]
    lost = "answers are as before, gradients, jit_compile and converters to other formats"
    told = _told(where, found, " v1 control flow", lost)
    return Finding("control-flow-kept", Severity.WARNING, *told) if told else None


def arrays_finding(where: str, kept: Iterable[Kept]) -> Finding | None:
    """One warning for all TensorArrays of a run that stay."""
    told = _told(where, list(kept), "", "gradients and converters to other formats")
    return Finding("tensor-array-kept", Severity.WARNING, *told) if told else None


def _told(where: str, found: Sequence[Kept], stays: str, lost: str) -> tuple[str, tuple[str, ...]] | None:
    """The message and the nodes of a finding."""
    if not found:
        return None
    first = found[0]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    message = f"{where}: {first.nodes[0]!r} {first.reason}, so it stays{stays}{more}: {lost} do not work through it"
    return message, tuple(dict.fromkeys(name for one in found for name in one.nodes))[:_MOST_TOLD]


_TOLD, _MOST_TOLD = 3, 8
"""Nodes that a finding names: of one loop or cond, and in all."""
