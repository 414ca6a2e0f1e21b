"""Recurrent networks of cuDNN, in whose place the new model has loops that any device runs."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.checks.subject import Subject
from migrate.errors import counted
from migrate.graph.nodes import Located, labels
from migrate.graph.op_table import NETWORKS
from migrate.records import Finding, Severity


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_networks`."""
    return find_networks(subject.located)


def find_networks(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds the networks of cuDNN: no CPU runs the source, and the new model rounds in other places.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One warning, `cudnn-replaced`, or nothing.
    """
    found = [located for located in nodes if located.node.op in NETWORKS]
    if not found:
        return ()
    return (
        Finding(
            "cudnn-replaced",
            Severity.WARNING,
            f"cuDNN computes {counted(len(found), 'recurrent network')} here, on a GPU; the new model has loops "
            "instead, which round in other places",
            labels(found),
            "Record answers on the machine with the GPU (migrate record --print_script) and give them with --golden.",
        ),
    )
