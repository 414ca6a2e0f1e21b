"""Exponentials of large matrices, of which the new model rounds the products differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.checks.subject import Subject
from migrate.errors import count_words
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute
from migrate.graph.nodes import Located, labels
from migrate.graph.protos import NodeDef
from migrate.records import Finding, Severity

LARGEST = 25
"""Rows of the largest float32 matrices that a batch multiplies one after another with Eigen, as the old kernel does:
25 * 25 * 25 is at most 128 * 128 (kMaxCostOuterParallelism in core/kernels/matmul_op_impl.h)."""
_FLOAT32 = dtype_value("float32")


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_exponentials`."""
    return find_exponentials(subject.located)


def find_exponentials(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds exponentials of float32 matrices that are larger than `LARGEST`, or of which this is not known.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One warning, `rounds-differently`, or nothing.
    """
    found: list[Located] = []
    given: dict[tuple[str, str], NodeDef] = {}
    for each in nodes:  # A graph that is read node by node is never in memory as a whole.
        if each.node.op == "MatrixExponential" and _is_float32(each.node):
            found.append(each)
        elif each.node.op == "Placeholder":
            given[each.where, each.node.name] = each.node
    found = [each for each in found if not _is_small(each, given)]
    if not found:
        return ()
    return (
        Finding(
            "rounds-differently",
            Severity.WARNING,
            f"the new model rounds {count_words(len(found), 'MatrixExponential')} differently where a matrix of "
            f"float32 has more than {LARGEST} rows",
            labels(found),
            "if the model is mismatched for that, convert it with --judge=tf1, which compares within bounds "
            "(migrate runtime install), or allow some --max_ulps",
        ),
    )


def _is_float32(node: NodeDef) -> bool:
    return bool(attribute(node, "T").type == _FLOAT32)


def _is_small(found: Located, given: Mapping[tuple[str, str], NodeDef]) -> bool:
    """Whether the matrices are what the caller gives, and have few rows."""
    placeholder = given.get((found.where, found.node.input[0].removesuffix(":0"))) if found.node.input else None
    if placeholder is None:
        return False
    dims = attribute(placeholder, "shape").shape.dim
    return bool(dims) and 0 <= dims[-1].size <= LARGEST
