"""Ops that call Python code which is not in the model."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.graph.nodes import Located, by_op, labels, show_counts
from migrate.records import Finding, refusal

PYTHON_OPS = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
"""core/ops/script_ops.cc: each looks its function up by a token in the process that built the graph."""


def find_python_ops(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds nodes that call Python: no other process, a model server least of all, has what they call.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One refusal, `python-op`, or nothing.
    """
    found = [located for located in nodes if located.node.op in PYTHON_OPS]
    if not found:
        return ()
    counts = {op: len(group) for op, group in by_op(found).items()}
    return (
        refusal(
            "python-op",
            f"The model calls Python code that is not in it: {show_counts(counts)}.",
            labels(found),
            "Replace tf.py_func by TensorFlow ops, or do its work before the call, and export again.",
        ),
    )
