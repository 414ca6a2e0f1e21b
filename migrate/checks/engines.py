"""TensorRT engines that compute with less precision than the model they were made of."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.checks.subject import Subject
from migrate.graph.graph import attribute
from migrate.graph.nodes import Located, labels
from migrate.records import Finding, Severity

_EXACT = (b"", b"FP32")


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_reduced_precision`."""
    return find_reduced_precision(subject.located)


def find_reduced_precision(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds engines of FP16 or INT8: the new model computes what they were made of, in full precision.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One warning, `reduced-precision`, or nothing.
    """
    engines = [located for located in nodes if located.node.op == "TRTEngineOp"]
    found = [located for located in engines if _mode(located) not in _EXACT]
    if not found:
        return ()
    shown = " and ".join(sorted({_mode(located).decode("utf-8", "replace") for located in found}))
    return (
        Finding(
            "reduced-precision",
            Severity.WARNING,
            f"TensorRT computed with {shown} here; the new model computes with full precision.",
            labels(found),
            "Compare its answers with those of the old server: they are nearer to the model that was trained.",
        ),
    )


def _mode(engine: Located) -> bytes:
    return bytes(attribute(engine.node, "precision_mode").s.upper())
