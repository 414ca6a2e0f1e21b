"""The functions that a plan's runs call, and the ops in runs and functions that no TF2 model can run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrate.checks.operations import find_unavailable_ops
from migrate.checks.python_ops import PYTHON_OPS, find_python_ops
from migrate.graph.graph import Graph
from migrate.graph.nodes import called_functions, locate
from migrate.graph.op_table import unavailable
from migrate.graph.protos import FunctionDef, FunctionDefLibrary
from migrate.plan.records import SourceGraph
from migrate.records import Finding, Severity, refusal
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.rules.table import RULED_OPS


def plan_functions(
    source: SourceGraph, runs: Sequence[Rewritten]
) -> tuple[tuple[FunctionDef, ...], tuple[Finding, ...]]:
    """The functions that runs call, in the order in which calls were met, and the refusals of those that hold state."""
    library = source.functions
    if not library:
        return (), ()
    bodies = {name: function.node_def for name, function in library.items()}
    called = [library[n] for n in called_functions([n for r in runs for n in r.graph.nodes.values()], bodies)]
    return tuple(called), tuple(finding for function in called for finding in _stateful(function, source.ref_ops))


def _stateful(function: FunctionDef, ref_ops: frozenset[str]) -> Iterator[Finding]:
    refs = [node for node in function.node_def if node.op in ref_ops]
    if refs:
        yield refusal(
            "ref-in-function",
            f"function {function.signature.name!r} has the ref op {refs[0].op} in its body, and what calls it "
            "(tf.data, a gradient, another function, an If, Case or While with other state in its bodies) "
            "keeps that body out of the graph; a v1 Session may run it, but this tool has no rewrite for it",
            tuple(node.name for node in refs),
            "move the state out of the function",
        )
    handles = [node for node in function.node_def if node.op == "VarHandleOp"]
    if handles:
        yield refusal(
            "variable-in-function",
            f"function {function.signature.name!r} makes the variable {handles[0].name!r} in its body",
            tuple(node.name for node in handles),
        )


def unrunnable(graph: Graph, library: FunctionDefLibrary) -> tuple[Finding, ...]:
    """Refusals for ops that no TF2 model can run; the rewrite's own refusals speak of ref ops."""
    known = all(op in RULED_OPS or unavailable(op) is None for op in graph.by_op)
    if known and not library.function and not graph.has(PYTHON_OPS):
        return ()
    located = locate(graph.nodes.values(), library)
    functions = {function.signature.name for function in library.function}
    found = (*find_unavailable_ops(located, functions, RULED_OPS), *find_python_ops(located))
    return tuple(f for f in found if f.severity is Severity.REFUSAL)
