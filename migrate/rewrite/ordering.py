"""Reads and writes of one variable that no edge orders: TF1 never gave them a defined answer.

Estimator's metrics are the common case: `eval` fetches a metric's value and its update in one call. Such an output
cannot be compared, and a user should know of it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import (
    ENTERS,
    MERGES,
    NEXT_ITERATIONS,
    SWITCHES,
    Context,
    contexts,
    topological_order,
)
from migrate.graph.dtypes import REF
from migrate.graph.function_calls import callees
from migrate.graph.graph import Graph, attribute, reach, remembered, split
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.records import Finding, Severity
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.marks import Marks
from migrate.rewrite.new_nodes import DT_RESOURCE

if TYPE_CHECKING:
    from migrate.rewrite.expanded import Touched

PASSES = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
"""Ops of a rewritten run that hand a handle on."""
_WRITES = frozenset(ops.WRITES.values())
ASKS = frozenset({"IsVariableInitialized", "VarIsInitializedOp", "VariableShape"})
"""Ops that take a handle, or a ref in a source, and do not look at the value."""


@frozen
class Unordered:
    """One output that depends on a read which no edge orders against a write.

    Attributes:
      tensor: full name of the output's tensor in the rewritten graph.
      variable: identity of the variable.
      read: name of the node that reads it.
      write: name of the node that writes it.
    """

    tensor: str
    variable: str
    read: str
    write: str


def _never_run(graph: Graph) -> frozenset[str]:
    if not graph.has(SWITCHES):
        return frozenset()
    from migrate.rewrite.fold import never_run

    return never_run(graph)


def _calls(graph: Graph, library: Mapping[str, FunctionDef]) -> frozenset[str]:
    """Names of the nodes that call functions."""
    wires = graph.wires.items()
    return frozenset(name for name, wire in wires if wire.op in library or any(callees(graph.nodes[name])))


def _touched(node: NodeDef, library: Mapping[str, FunctionDef], known: dict[str, Touched]) -> Touched | None:
    from migrate.rewrite.expanded import touched_by

    return touched_by(node, library, _WRITES, PASSES, known)


def unordered_outputs(
    graph: Graph, fetches: Iterable[str], library: Mapping[str, FunctionDef] | None = None
) -> tuple[Unordered, ...]:
    """Finds the fetched tensors of a rewritten run that depend on an unordered read.

    Args:
      graph: a rewritten run.
      fetches: full names of tensors.
      library: the functions that it calls, by name. What a call does counts as done by the call, for a v1 Session
        starts it when all its inputs are there; control flow that it lowers is part of the graph.
    """
    library = library or {}
    writing = any(node.op in _WRITES for function in library.values() for node in function.node_def[:])
    if not (graph.has(_WRITES) or writing):
        return ()
    calls = _calls(graph, library) if library else frozenset[str]()
    moved: Mapping[str, str] = {}
    if calls:
        from migrate.rewrite.expanded import lower  # Few graphs have functions.

        graph, moved = lower(graph, library)
    order, _ = topological_order(graph)
    dead = _never_run(graph)
    carried = handles(graph)
    reads: dict[str, set[str]] = {}
    writes: dict[str, set[str]] = {}
    known: dict[str, Touched] = {}
    for name in order:
        wire = graph.wires[name]
        if wire.op in PASSES or wire.op in ASKS or name in dead or carried.keys().isdisjoint(wire.data):
            continue
        touched = _touched(graph.nodes[name], library, known) if calls else None
        for position, tensor in enumerate(wire.data):
            for root in carried.get(tensor, ()):
                if touched is None:
                    (writes if wire.op in _WRITES else reads).setdefault(root, set()).add(name)
                    continue
                if position in touched.reads or position in touched.writes:
                    reads.setdefault(root, set()).add(name)
                if position in touched.writes:
                    writes.setdefault(root, set()).add(name)
    shared = {root for root in reads if root in writes}
    if not shared:
        return ()
    marks = Marks(graph, sorted({write for root in shared for write in writes[root]}))
    where = contexts(graph)
    laps = _Laps(marks, where) if graph.has(NEXT_ITERATIONS) else None
    racing: dict[str, tuple[str, str]] = {}
    for root in sorted(shared):
        every = marks.of(*writes[root])
        for read in sorted(reads[root]):
            others = every & ~marks.of(read)
            ordered = marks.before[read] | marks.after[read]
            for write in marks.named(others & ~ordered):
                if not _exclude(where[read], where[write]):
                    racing[read] = (root, write)
                    break
            if read in racing or laps is None or not where[read].frames:
                continue
            for write in marks.named(others & ordered):
                if not laps.order(read, write):
                    racing[read] = (root, write)
                    break
    asked = {moved.get(tensor, tensor): tensor for tensor in fetches}
    found = _outputs(graph, asked, racing)
    return tuple(dataclasses.replace(u, tensor=asked[u.tensor]) for u in found)


class _Laps:
    """Whether what one iteration of a loop does is ordered with what the others do: several run at one time."""

    def __init__(self, writes: Marks, where: Mapping[str, Context]) -> None:
        graph = writes.graph
        self._where = where
        self._writes = writes
        self._steps = Marks(graph, [name for name in graph.named(NEXT_ITERATIONS) if name in where])
        self._one_by_one = {
            where[name].frames
            for name in graph.named(ENTERS)
            if name in where and attribute(graph.nodes[name], "parallel_iterations").i == 1
        }

    def order(self, read: str, write: str) -> bool:
        """Whether each read comes before the writes of later iterations, and each write before their reads.

        Args:
          read: a node.
          write: another one, which some edges order with the read in one iteration.
        """
        bit = self._writes.of(write)
        pairs = zip(self._where[read].frames, self._where[write].frames, strict=False)
        shared = tuple(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        for depth in range(1, len(shared) + 1):
            if shared[:depth] in self._one_by_one:
                continue
            steps = self._steps.of(*(s for s in self._steps.names if self._where[s].frames == shared[:depth]))
            forth = any(self._writes.after[s] & bit for s in self._steps.named(steps & self._steps.after[read]))
            back = any(self._writes.before[s] & bit for s in self._steps.named(steps & self._steps.before[read]))
            if not (forth and back):
                return False
        return True


def assigned(graph: Graph) -> frozenset[str]:
    """Identities of the variables that a rewritten run may give a value."""
    carried = handles(graph)
    assigns = graph.by_op.get("AssignVariableOp", ())
    return frozenset[str]().union(*(carried.get(graph.wires[name].data[0], frozenset()) for name in assigns))


def assigned_first(graph: Graph, variables: Collection[str]) -> frozenset[str]:
    """Which variables a run gives a value before it looks at them, whatever branch is taken.

    Args:
      graph: the run, as it was in the source or rewritten.
      variables: identities of variables that may have no value when the call begins.
    """
    users = _users(graph, variables)
    bits, before = _sets_before(graph, users)
    where = contexts(graph)

    def comes_first(first: str, names: Iterable[str]) -> bool:
        return all(n == first or (before[n] & bits[first] and _implies(where[n], where[first])) for n in names)

    return frozenset(
        root for root, names in users.items() if not names or any(comes_first(n, names) for n in names if n in bits)
    )


def surely_fails(
    graph: Graph, variables: Collection[str], library: Mapping[str, FunctionDef] | None = None
) -> str | None:
    """A node at which a run fails where variables have no value, whatever branch is taken; else None.

    Args:
      graph: the run, as it was in the source or rewritten.
      variables: identities of variables that have no value when the call begins.
      library: the functions that it calls, by name.
    """
    users = _users(graph, variables)
    bits, before = _sets_before(graph, users)
    where = contexts(graph)
    carried = handles(graph)
    looks: dict[str, frozenset[tuple[int, str, int]]] = {}
    for root, names in users.items():
        own = sum(bits[name] for name in names if name in bits)
        for name in names:
            wire = graph.wires[name]
            if wire.op in ASKS or wire.op in _SETS or where[name].frames:
                continue
            positions = [p for p, tensor in enumerate(wire.data) if root in carried.get(tensor, ())]
            if not looks_surely(graph.nodes[name], positions, library or {}):
                continue
            if not before.get(name, 0) & own:
                looks[name] = where[name].conditions
    return next(iter(looks), None) if _hold_always(set(looks.values())) else None


def looks_surely(node: NodeDef, positions: Iterable[int], library: Mapping[str, FunctionDef]) -> bool:
    """Whether a node looks at a variable each time that it runs, for all that is known.

    Args:
      node: takes the variable's handle.
      positions: of the handle among its data inputs.
      library: the functions that it may call, by name.
    """
    if node.op in library:
        return _reads(node.op, positions, library)
    arguments = [p - (node.op in _CHOOSES) for p in positions]
    return all(_reads(function, arguments, library) for function in callees(node))


_CHOOSES = frozenset({"Case", "If", "StatelessCase", "StatelessIf"})


def _reads(function: str, positions: Iterable[int], library: Mapping[str, FunctionDef]) -> bool:
    """Whether each call of a function reads one of its arguments before anything in it could write there."""
    body = library.get(function)
    if body is None or any(node.op in _SETS or node.op in SWITCHES for node in body.node_def):
        return False
    arguments = {body.signature.input_arg[p].name for p in positions if 0 <= p < len(body.signature.input_arg)}
    return any(node.op == "ReadVariableOp" and node.input[:1] and node.input[0] in arguments for node in body.node_def)


def _hold_always(conditions: Collection[frozenset[tuple[int, str, int]]], depth: int = 0) -> bool:
    """Whether one of some sets of conditions holds, whatever branches are taken."""
    if frozenset() in conditions:
        return True
    if not conditions or depth == _MOST_PREDICATES:
        return False
    _, predicate, _ = min(min(found) for found in conditions)
    for branch in (0, 1):
        left = {
            frozenset(c for c in found if c[1] != predicate)
            for found in conditions
            if all(c[1] != predicate or c[2] == branch for c in found)
        }
        if not _hold_always(left, depth + 1):
            return False
    return True


_MOST_PREDICATES = 6
"""Conds in conds; each one doubles the work."""


def _users(graph: Graph, variables: Collection[str]) -> dict[str, list[str]]:
    """For each variable the nodes that take its handle or ref and do more than hand it on."""
    order, _ = topological_order(graph)
    carried = handles(graph)
    users: dict[str, list[str]] = {root: [] for root in variables}
    for name in order:
        wire = graph.wires[name]
        if f"{name}:0" not in carried and not carried.keys().isdisjoint(wire.data):
            for root in {root for tensor in wire.data for root in carried.get(tensor, ()) if root in users}:
                users[root].append(name)
    return users


def _sets_before(graph: Graph, users: Mapping[str, Iterable[str]]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """One bit for each node that sets a variable, and for each node those before it."""
    sets = [n for names in users.values() for n in names if graph.wires[n].op in _SETS]
    bits = {name: 1 << position for position, name in enumerate(dict.fromkeys(sets))}
    # What a back edge brings comes in a later iteration, when the variable has long been set or not.
    return bits, reach(_forward(graph), topological_order(graph)[0], bits, False) if bits else {}


_SETS = frozenset({"Assign", "AssignVariableOp"})


def _forward(graph: Graph) -> dict[str, set[str]]:
    """For each node the nodes behind its inputs, less the back edges of loops."""
    result = graph.predecessors()
    for name in graph.named(MERGES):
        result[name] -= {s for s in result[name] if s in graph.wires and graph.wires[s].op in NEXT_ITERATIONS}
    return result


def _implies(one: Context, other: Context) -> bool:
    """Whether a node runs only where, and in no iteration but those in which, another one runs."""
    return one.frames[: len(other.frames)] == other.frames and one.conditions >= other.conditions


def finding(where: str, unordered: Iterable[tuple[str, Unordered]]) -> Finding | None:
    """One warning for all unordered outputs of a signature, given as (output name, what was found) pairs."""
    found = list(unordered)
    if not found:
        return None
    _, first = found[0]
    names = ", ".join(dict.fromkeys(repr(name) for name, _ in found))
    return Finding(
        "unordered-access",
        Severity.WARNING,
        f"{where}: no edge orders the read {first.read!r} of {first.variable!r} and its write {first.write!r}; "
        f"TF1 gave no defined answer, and neither does the new model, for {names}",
        (first.read, first.write),
        "these outputs are compared on names, dtypes and shapes only",
    )


def _exclude(one: Context, other: Context) -> bool:
    """Whether two nodes are in different branches of one cond, so that a call runs one of them at the most."""
    if one.frames or other.frames:
        return False  # Another iteration may take the other branch.
    taken = {(depth, predicate): branch for depth, predicate, branch in other.conditions}
    return any(taken.get((depth, predicate), branch) != branch for depth, predicate, branch in one.conditions)


def _outputs(graph: Graph, fetches: Iterable[str], racing: Mapping[str, tuple[str, str]]) -> Iterable[Unordered]:
    successors = graph.successors()
    tainted: dict[str, str] = {}
    for read in racing:
        stack = [read]
        while stack:
            name = stack.pop()
            if name in tainted:
                continue
            tainted[name] = read
            # What a control edge passes on is a time, not a value.
            stack.extend(s for s in successors[name] if name in graph.wires[s].sources)
    for tensor in fetches:
        read_by = tainted.get(split(tensor)[0])
        if read_by is not None:
            root, write = racing[read_by]
            yield Unordered(tensor, root, read_by, write)


@remembered
def handles(graph: Graph) -> Mapping[str, frozenset[str]]:
    """For each tensor that carries variable handles, or refs in a source, the identities behind it."""
    found: dict[str, frozenset[str]] = {}
    if not graph.has(_HANDLES):
        return found
    for name in topological_order(graph)[0]:
        wire = graph.wires[name]
        if wire.op in _HANDLES:
            found[f"{name}:0"] = frozenset({identity(graph.nodes[name])})
        elif wire.op in _CARRIES and not found.keys().isdisjoint(wire.data):
            if wire.op in PASSES and attribute(graph.nodes[name], "T").type % REF != DT_RESOURCE:
                continue
            roots = frozenset[str]().union(*(found.get(tensor, frozenset()) for tensor in wire.data))
            for output in range(2 if wire.op in SWITCHES else 1):
                found[f"{name}:{output}"] = roots
    return found


_HANDLES = frozenset({"VarHandleOp", *ops.VARIABLES})
_CARRIES = PASSES | ops.REF_CONTROL_FLOW
