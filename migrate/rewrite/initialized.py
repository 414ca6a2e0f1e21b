"""Whether a variable is initialised, asked by the init op itself.

The new model's variables hold a value as soon as they exist, zeros where the source's checkpoint has none. A TF1
loader's variables without a checkpoint value were uninitialised until the init op assigned them, and an init op may
ask (`Variable.initialized_value`, `tf.compat.v1.report_uninitialized_variables`). The answer is known from the graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from migrate.graph.control_flow_contexts import contexts
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, Run, data_inputs, index, input_nodes, split
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity

_ASKS = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})
_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
_PASSES = frozenset({*ops.REF_CONTROL_FLOW, *ops.CONTROL_FLOW, *ops.WRITTEN_REFS, "Identity"})


def decide(run: Run, with_value: Collection[str]) -> Run | Finding:
    """Puts the answer in the place of each such question in the init op.

    Args:
      run: the init op's run, as it is in the source.
      with_value: identities of the variables that the checkpoint fills.

    Returns:
      The run, or a refusal where an assignment that may or may not run comes before the question.
    """
    graph = run.graph
    asked = {
        name: root
        for name in graph.named(_ASKS)
        if (root := _root(graph, graph.nodes[name])) is not None and root not in with_value
    }
    if not asked:
        return run
    where = contexts(graph)
    nodes: dict[str, NodeDef] = dict(graph.nodes)
    for name, root in asked.items():
        before = [w for w in _ancestors(graph, name) if graph.nodes[w].op in _ASSIGNS]
        assigns = [w for w in before if _root(graph, graph.nodes[w]) == root]
        if assigns and not any(where[w].is_root for w in assigns):
            return refusal(
                "initialized-undecided",
                f"{run.key}: {name!r} asks whether {root!r} is initialised after {assigns[0]!r}, which may not run; "
                "a variable of the new model always has a value",
                (name, assigns[0]),
                "assign the variable in the init op without a condition",
            )
        nodes[name] = _answer(graph.nodes[name], bool(assigns))
    return dataclasses.replace(run, graph=index(nodes.values(), graph))


def _root(graph: Graph, node: NodeDef) -> str | None:
    """Identity of the variable behind a node's first input."""
    source = graph.nodes.get(split(data_inputs(node)[0])[0])
    seen = {node.name}
    while source is not None and source.name not in seen and source.input:
        if source.op not in _PASSES:
            return None
        seen.add(source.name)
        source = graph.nodes.get(split(data_inputs(source)[0])[0])
    if source is None or (source.op not in ops.VARIABLES and source.op != "VarHandleOp"):
        return None
    return identity(source)


def _ancestors(graph: Graph, name: str) -> list[str]:
    seen: dict[str, None] = {}
    stack = [name]
    while stack:
        for source in input_nodes(graph.nodes[stack.pop()]):
            if source in graph.nodes and source not in seen:
                seen[source] = None
                stack.append(source)
    return list(seen)


def _answer(node: NodeDef, value: bool) -> NodeDef:
    # After the node's inputs, so that it is in their frame and is as dead as they are.
    result = NodeDef(name=node.name, op="Const", device=node.device)
    result.input.extend(_controls(node))
    tensor = result.attr["value"].tensor
    tensor.dtype = dtype_value("bool")
    tensor.tensor_shape.SetInParent()
    tensor.bool_val.append(value)
    result.attr["dtype"].type = tensor.dtype
    return result


def _controls(node: NodeDef) -> Mapping[str, None]:
    return dict.fromkeys(f"^{source}" for source in input_nodes(node))
