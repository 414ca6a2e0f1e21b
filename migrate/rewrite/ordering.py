"""Reads and writes of one variable that no edge orders: TF1 never gave them a defined answer.

Estimator's metrics are the common case: `eval` fetches a metric's value and its update in one call. Such an output
cannot be compared, and a user should know of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from migrate.records import Finding, Severity
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.contexts import Context, contexts, topological_order
from migrate.rewrite.graph import Graph, canonical, data_inputs, reach, split
from migrate.sources.dtypes import base_name

_PASSES = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
_WRITES = frozenset(twin.op for twin in ops.WRITES.values())
_ASKS = frozenset({"VarIsInitializedOp", "VariableShape"})


@dataclasses.dataclass(frozen=True)
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


def unordered_outputs(graph: Graph, fetches: Iterable[str]) -> tuple[Unordered, ...]:
    """Finds the fetched tensors of a rewritten run that depend on an unordered read."""
    order, _ = topological_order(graph)
    handles = _handles(graph, order)
    reads: dict[str, set[str]] = {}
    writes: dict[str, set[str]] = {}
    for name in order:
        node = graph.nodes[name]
        if node.op in _PASSES or node.op in _ASKS:
            continue
        for tensor in data_inputs(node):
            for root in handles.get(tensor, ()):
                (writes if node.op in _WRITES else reads).setdefault(root, set()).add(name)
    shared = {root for root in reads if root in writes}
    if not shared:
        return ()
    bits = {name: 1 << i for i, name in enumerate(sorted({w for root in shared for w in writes[root]}))}
    before = reach(graph.predecessors(), order, bits)
    after = reach(graph.successors(), order[::-1], bits)
    where = contexts(graph, order)
    racing: dict[str, tuple[str, str]] = {}
    for root in sorted(shared):
        for read in sorted(reads[root]):
            for write in sorted(writes[root]):
                if not bits[write] & (before[read] | after[read]) and not _exclude(where[read], where[write]):
                    racing.setdefault(read, (root, write))
    return tuple(_outputs(graph, fetches, racing))


def assigned_first(graph: Graph, variables: Collection[str]) -> frozenset[str]:
    """The variables to which a rewritten run gives a value before it looks at them, whatever branch is taken.

    Args:
      graph: the run.
      variables: identities of variables that may have no value when the call begins.
    """
    order, _ = topological_order(graph)
    handles = _handles(graph, order)
    users: dict[str, dict[str, None]] = {variable: {} for variable in variables}
    for name in order:
        node = graph.nodes[name]
        if node.op in _PASSES:
            continue
        for tensor in data_inputs(node):
            for variable in handles.get(tensor, ()):
                if variable in users:
                    users[variable][name] = None
    where = contexts(graph, order)
    # Where several assign, which of them comes first is more than this looks at.
    sets = {
        variable: [n for n in names if graph.nodes[n].op == "AssignVariableOp" and where[n].is_root]
        for variable, names in users.items()
    }
    first = {variable: names[0] for variable, names in sets.items() if len(names) == 1}
    bits = {name: 1 << i for i, name in enumerate(sorted(set(first.values())))}
    before = reach(graph.predecessors(), order, bits) if bits else {}
    return frozenset(
        variable
        for variable, names in users.items()
        if not names
        or (variable in first and all(n == first[variable] or before[n] & bits[first[variable]] for n in names))
    )


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
    """Whether two nodes stand in different branches of one cond, so that a call runs one of them at the most."""
    if one.frames or other.frames:
        return False  # Another iteration may take the other branch.
    return any(
        (depth, predicate, 1 - branch) in other.conditions for depth, predicate, branch in one.conditions if branch < 2
    )


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
            stack.extend(s for s in successors[name] if any(split(t)[0] == name for t in data_inputs(graph.nodes[s])))
    for tensor in fetches:
        read_by = tainted.get(split(tensor)[0])
        if read_by is not None:
            root, write = racing[read_by]
            yield Unordered(tensor, root, read_by, write)


def _handles(graph: Graph, order: Iterable[str]) -> dict[str, frozenset[str]]:
    """For each tensor that carries variable handles the identities behind it."""
    found: dict[str, frozenset[str]] = {}
    for name in order:
        node = graph.nodes[name]
        if node.op == "VarHandleOp":
            found[f"{name}:0"] = frozenset({identity(node)})
        elif node.op in _PASSES and base_name(node.attr["T"].type) == "resource":
            roots = frozenset[str]().union(*(found.get(canonical(t), frozenset()) for t in data_inputs(node)))
            for output in range(2 if node.op == "Switch" else 1):
                found[f"{name}:{output}"] = roots
    return found
