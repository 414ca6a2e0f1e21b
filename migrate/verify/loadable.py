"""Whether TensorFlow can load a candidate at all, told by its graph alone.

What does not end or crashes a process is found here, before a child opens the candidate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.checks.structure import DEEPEST_CALLS, find_unreadable_structure
from migrate.errors import first_few
from migrate.graph.nodes import named_functions
from migrate.graph.op_table import load_op_table, may_call
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch

CODE = "graph-unloadable"
"""Of what makes it useless to open a candidate."""
_WRAPPERS = 8
"""Functions that an export may put around those of a source: the signature's, the one that it wraps, calls of both."""


def load_differences(meta_graph: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """What keeps a candidate from being loaded.

    Args:
      meta_graph: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    for finding in find_unreadable_structure(meta_graph, DEEPEST_CALLS + _WRAPPERS):
        yield mismatch(CODE, path, finding.message, "", first_few(finding.nodes, 3))
    library = {function.signature.name for function in meta_graph.graph_def.library.function}
    for where, arguments, nodes in bodies(meta_graph):
        ops = {node.name: node.op for node in nodes}
        behind = {node.name: [_node(taken) for taken in node.input[:]] for node in nodes}
        missing = next((name for node in nodes for name in _missing(node, ops[node.name], library)), None)
        if missing is not None:
            yield mismatch(CODE, path, f"{where} calls a function that is not in the library", "", missing)
        known = {*ops, *arguments}
        stray = next((name for name, taken in behind.items() if not known.issuperset(taken)), None)
        if stray is not None:
            yield mismatch(CODE, path, f"{where} takes an input from a node that is not there", "", stray)
        circle = _circle(ops, behind)
        if circle:
            yield mismatch(CODE, path, f"{where} has a circle of nodes that wait for each other", "", circle)
    objects = meta_graph.object_graph_def
    for name, function in sorted(objects.concrete_functions.items()):
        if name not in library:
            yield mismatch(CODE, path, "the object graph has a function that is not in the library", "", name)
        if any(not 0 <= place < len(objects.nodes) for place in function.bound_inputs):
            yield mismatch(CODE, path, "the object graph binds an object that is not there", "", name)
    for place, node in enumerate(objects.nodes):
        if any(not 0 <= child.node_id < len(objects.nodes) for child in node.children):
            yield mismatch(CODE, path, f"object {place} of the object graph has a child that is not there")
    if not objects.nodes:
        reason = "there is no object graph, so tf.saved_model.load gives a TF1 graph, without variables to train"
        yield mismatch("object-graph-missing", path, reason)


def _node(taken: str) -> str:
    """The node, or the argument, behind an input as nodes name it."""
    return taken[1:] if taken[:1] == "^" else taken.partition(":")[0]


def _missing(node: NodeDef, op: str, library: Collection[str]) -> Iterator[str]:
    """Names of functions that a node calls and the library does not have."""
    # An op that the table does not have is one of a library of the user's, and what opens the model knows it.
    if op in load_op_table() and may_call(op):
        yield from (name for name in named_functions(node) if name and name not in library)


_BACK = frozenset({"NextIteration", "RefNextIteration"})
"""What closes a loop of v1 control flow."""


def _circle(ops: Mapping[str, str], behind: Mapping[str, Sequence[str]]) -> str:
    """A node of a circle that no loop of v1 control flow explains, or empty."""
    takers: dict[str, list[str]] = {}
    left = {}
    for name, taken in behind.items():
        waits = {one for one in taken if one in ops and ops[one] not in _BACK}
        left[name] = len(waits)
        for one in waits:
            takers.setdefault(one, []).append(name)
    ready = [name for name, count in left.items() if not count]
    for name in ready:  # grows while it is read
        for taker in takers.get(name, ()):
            left[taker] -= 1
            if not left[taker]:
                ready.append(taker)
    return next((name for name, count in left.items() if count), "")
