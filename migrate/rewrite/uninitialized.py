"""Uses of variables that may have no value: they fail as TF1 did, with FailedPrecondition.

A loaded variable without a value is an empty tensor of no dtype, of which a read says InvalidArgument, and so does a
write that adds to it (resource_variable_ops.cc). Where TF1 said "Attempting to use uninitialized value", the new graph
reads a variable that is not there, whose name is that message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, as_input, data_inputs, split
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.rewrite.new_nodes import DT_RESOURCE, new_node
from migrate.rewrite.ordering import ASKS, PASSES, handles, looks_surely


def guards(
    graph: Graph, variables: Collection[str], library: Mapping[str, FunctionDef] | None = None
) -> dict[str, tuple[NodeDef, ...]]:
    """Nodes that each use of some variables must wait for; the last of each tuple is the one to wait for.

    Args:
      graph: a rewritten run.
      variables: identities of variables that may have no value.
      library: the functions that it calls, by name.

    Returns:
      For each node that surely reads or updates one of them what fails when it has no value.
    """
    if not variables:
        return {}
    carried = handles(graph)
    result: dict[str, tuple[NodeDef, ...]] = {}
    for name, node in graph.nodes.items():
        if node.op in PASSES or node.op in ASKS or node.op == "AssignVariableOp":
            continue
        for position, tensor in enumerate(data_inputs(node)):
            roots = sorted(carried.get(tensor, frozenset()) & frozenset(variables))
            if roots and name not in result and looks_surely(node, (position,), library or {}):
                result[name] = tuple(_guard(graph, node, tensor, roots[0]))
    return result


def _guard(graph: Graph, node: NodeDef, handle: str, root: str) -> Iterator[NodeDef]:
    """Nothing when the variable has a value; else a read that fails. Both ends meet in a Merge, which is alive."""
    prefix = f"{node.name}/initialized"
    # After all that the node waits for: what comes before it may be what sets the variable.
    others = [f"^{split(tensor)[0]}" for tensor in data_inputs(node) if tensor != handle]
    waits = [*dict.fromkeys([*others, *(i for i in node.input if i.startswith("^"))])]
    yield NodeDef(name=prefix, op="VarIsInitializedOp", input=[as_input(handle), *waits])
    # After the question, so that it is in its loop and branch.
    missing = NodeDef(name=f"{prefix}/missing", op="VarHandleOp", input=[f"^{prefix}"])
    missing.attr["dtype"].type = _DT_BOOL
    missing.attr["shape"].shape.SetInParent()
    missing.attr["shared_name"].s = f"Attempting to use uninitialized value {root}".encode()
    yield missing
    yield new_node("Switch", f"{prefix}/if", [missing.name, prefix], T=DT_RESOURCE)
    fails = NodeDef(name=f"{prefix}/fails", op="ReadVariableOp", input=[f"{prefix}/if"])
    fails.attr["dtype"].type = _DT_BOOL
    yield fails
    yield new_node("Switch", f"{prefix}/answer", [prefix, prefix], T=_DT_BOOL)
    done = new_node("Merge", f"{prefix}/done", [fails.name, f"{prefix}/answer:1"], T=_DT_BOOL)
    done.attr["N"].i = 2
    yield done


_DT_BOOL = dtype_value("bool")
