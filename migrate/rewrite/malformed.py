"""Graphs that no TensorFlow takes: the rules and the walks over a run rely on none of this being there."""

from __future__ import annotations

from migrate.graph.control_flow_contexts import on_cycle
from migrate.graph.graph import Run, canonical, dangling, data_inputs, input_nodes, split
from migrate.records import Finding, refusal
from migrate.rewrite.rule import Table

_UNRULED = {"AssignVariableOp": 2, "LookupTableImportV2": 3, "Restore": 2, "RestoreSlice": 3, "RestoreV2": 3}
"""How many inputs a node must have of an op that no rule claims and that the reading of a restore op looks at."""


def find_broken(run: Run, table: Table) -> Finding | None:
    """A refusal for an edge from nowhere, or a node without its inputs."""
    lost = dangling(run.graph)
    if lost:
        gone = [n for n in input_nodes(run.graph.nodes[lost[0]]) if n not in run.graph.nodes]
        if gone:
            message = f"takes an input from the node {_short(gone[0])}, which the graph does not have"
        else:
            tensors = [t for t in data_inputs(run.graph.nodes[lost[0]]) if split(t)[1] < 0]
            message = f"takes the input {_short(tensors[0])}, which is no tensor name"
        return refusal("graph-broken", f"{run.key}: {_short(lost[0])} {message}", tuple(lost[:8]))
    for tensor in run.fetches:
        if split(canonical(tensor))[1] < 0:
            return refusal("graph-broken", f"{run.key}: {_short(tensor)} is no tensor name", (tensor,))
    wires = run.graph.wires
    lacking: set[str] = set()
    for op, names in run.graph.by_op.items():
        fewest = table.ops[op].fewest if op in table.ops else _UNRULED.get(op, 0)
        if fewest:
            lacking.update(name for name in names if len(wires[name].data) < fewest)
    if not lacking:
        return None
    name = next(name for name in wires if name in lacking)
    message = f"{run.key}: {wires[name].op} {_short(name)} has {len(wires[name].data)} inputs; it needs more"
    return refusal("graph-broken", message, (name,))


def find_cycle(run: Run) -> Finding | None:
    """A refusal for a cycle that is no while loop."""
    cyclic = on_cycle(run.graph)
    if not cyclic:
        return None
    return refusal(
        "cyclic-graph",
        f"{run.key}: {len(cyclic)} nodes are on a cycle that is not a while loop, so the graph cannot run",
        tuple(sorted(cyclic)[:8]),
    )


def _short(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-60:]}"
