"""Ops that TensorFlow 2 does not know or cannot run."""

from __future__ import annotations

from collections.abc import Container, Iterable

from migrate.graph.nodes import Located, by_op, labels
from migrate.graph.op_table import Unavailable, unavailable
from migrate.records import Finding, Severity

_HINTS = {
    "unknown-op": "Export the model without it: ops of other libraries (tf.contrib, TensorFlow Text, custom "
    "ops) are not supported.",
    "op-without-kernel": "Export the model without it: TensorFlow 2 cannot run it.",
    "op-not-in-functions": "Export the model without it; inputs can be fed where an iterator gives them "
    "(--signature), and TensorFlow 2 differentiates the converted model itself.",
    "op-without-cpu-kernel": "It can be converted, but be verified and served only where such a device is.",
    "op-deprecated": "Export the model with the op that took its place.",
}


def find_unavailable_ops(
    nodes: Iterable[Located], functions: Container[str] = (), rewritten: Container[str] = ()
) -> tuple[Finding, ...]:
    """Finds nodes whose op TensorFlow 2 does not know, has removed, or has no kernel of.

    Args:
      nodes: the nodes that are needed, with those in function bodies.
      functions: names of the graph's own functions, which nodes may have as their op.
      rewritten: ops that the rewrite replaces, so that it does not matter whether TensorFlow 2 has them.

    Returns:
      One finding per op: a refusal `unknown-op`, `op-without-kernel`, `op-not-in-functions` or `op-deprecated`, or a
      warning `op-without-cpu-kernel`.
    """
    return tuple(
        _finding(op, group, reason)
        for op, group in by_op(nodes).items()
        if op not in functions and op not in rewritten and (reason := unavailable(op)) is not None
    )


def _finding(op: str, nodes: Iterable[Located], why: Unavailable) -> Finding:
    severity = Severity.WARNING if why.code == "op-without-cpu-kernel" else Severity.REFUSAL
    names = labels(nodes)
    used = f"{len(names)} node{'s' if len(names) > 1 else ''}"
    return Finding(why.code, severity, f"{op} ({used}) {why.reason}.", names, _HINTS[why.code])
