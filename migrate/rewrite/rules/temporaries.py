"""TemporaryVariable as plain dataflow: what is assigned to it, what is added, and what its destruction gives.

Its buffer lives for one step. No resource does that in a loaded model, where calls may run side by side and the
loader gives every resource made in a function a name of its own (function_deserialization.py, fix_node_def). TF1's
own use of it, `accumulate_n`, is a sum in a straight line, which needs no variable.
"""

from __future__ import annotations

import dataclasses

from migrate.graph.control_flow_contexts import contexts, topological_order
from migrate.graph.graph import Graph, Run, data_inputs, index
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.new_nodes import replaced

OPS = frozenset({"DestroyTemporaryVariable", "TemporaryVariable"})
"""The ops that this pass takes out of a run."""

_SUMS = {"AssignAdd": "AddV2", "AssignSub": "Sub"}
_WRITES = frozenset({"Assign", *_SUMS})


def as_dataflow(run: Run) -> Run | Finding:
    """Takes the temporary variables out of a run, or refuses."""
    graph = run.graph
    found = list(graph.by_op.get("TemporaryVariable", ()))
    if not found:
        return run
    order, _ = topological_order(graph)
    where = contexts(graph)
    place = {name: number for number, name in enumerate(order)}
    nodes: dict[str, NodeDef] = dict(graph.nodes)
    for name in found:
        users = _users(graph, name, run.fetches)
        if users is None or any(user not in place or where[user] != where[name] for user in users):
            return _refusal(run, name, "is not only assigned, added to and destroyed, all in one place")
        users.sort(key=place.__getitem__)
        ops = [graph.nodes[user].op for user in users]
        if not ops or ops[0] != "Assign" or ops[-1] not in (*_WRITES, "DestroyTemporaryVariable"):
            return _refusal(run, name, "is used before it is assigned")
        if ops.count("DestroyTemporaryVariable") > 1 or "DestroyTemporaryVariable" in ops[:-1]:
            return _refusal(run, name, "is used after it is destroyed")
        nodes[name] = replaced(graph.nodes[name], "NoOp", [])
        nodes[name].attr.clear()
        current = ""
        for user in users:
            nodes[user] = _value(graph.nodes[user], current)
            nodes[user].input.append(f"^{name}")
            current = user
    return dataclasses.replace(run, graph=index(nodes.values(), graph))


def _users(graph: Graph, name: str, fetches: tuple[str, ...]) -> list[str] | None:
    """The nodes that take the variable's ref, or None where one of them does something else with it."""
    users: dict[str, None] = {}
    refs = [f"{name}:0"]
    while refs:
        ref = refs.pop()
        if ref in fetches:
            return None
        for consumer, position in graph.consumers.get(ref, ()):
            op = graph.nodes[consumer].op
            if position or (op not in _WRITES and op != "DestroyTemporaryVariable"):
                return None
            if consumer not in users:
                users[consumer] = None
                if op in _WRITES:
                    refs.append(f"{consumer}:0")
    return list(users)


def _value(node: NodeDef, current: str) -> NodeDef:
    if node.op == "Assign":
        # Not Identity, which would go on showing the buffer of a variable that is assigned here and written later.
        result = replaced(node, "DeepCopy", data_inputs(node)[1:])
    elif node.op in _SUMS:
        result = replaced(node, _SUMS[node.op], [current, *data_inputs(node)[1:]])
    else:
        result = replaced(node, "Identity", [current])
    kept = result.attr["T"].type
    result.attr.clear()
    result.attr["T"].type = kept
    return result


def _refusal(run: Run, name: str, why: str) -> Finding:
    return refusal(
        "ref-op-unsupported",
        f"{run.key}: TemporaryVariable {name!r} cannot be rewritten: it {why}; its buffer lives for one step, which "
        "no resource does",
        (name,),
        "docs/ref-ops.md says what becomes of each ref op",
    )
