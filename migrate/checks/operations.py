"""Ops that TensorFlow 2 does not know or cannot run."""

from __future__ import annotations

from collections.abc import Container, Iterable

from migrate.checks.known_libraries import library_of
from migrate.graph.nodes import Located, by_op, labels
from migrate.graph.op_table import Unavailable, load_op_table, unavailable
from migrate.records import Finding, Severity

_HINTS = {
    "unknown-op": "Give the library that has it, built for the TensorFlow here: --op_library=LIBRARY.so, or "
    "--import_module=PACKAGE; or export the model without it. docs/dead-ops.md says what becomes of tf.contrib's ops.",
    "op-without-kernel": "Export the model without it: TensorFlow 2 cannot run it.",
    "op-not-in-functions": "Export the model without it; inputs can be fed where an iterator gives them "
    "(--signature), and TensorFlow 2 differentiates the converted model itself.",
    "op-without-cpu-kernel": "It can be converted, but verified and served only on a machine with such a device.",
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
    return Finding(why.code, severity, f"{op} ({used}) {why.reason}.", names, _hint(op, why))


def _hint(op: str, why: Unavailable) -> str:
    if why.code != "unknown-op":
        return _HINTS[why.code]
    if op in load_op_table():
        return "Export the model without it: no rule of this version puts it together from ops of TensorFlow 2."
    known = library_of(op)
    return _HINTS[why.code] if known is None else known.hint
