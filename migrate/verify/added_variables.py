"""Variables of a candidate that are none of its source's. No TensorFlow.

Code in Python finds them in `variables` and `trainable_variables`, trains them and writes them into checkpoints. What
the source has as a constant is a variable where the user has asked for that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from migrate.graph.graph import data_inputs
from migrate.graph.nodes import giver
from migrate.graph.op_table import REF_VARIABLES, load_op_table
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.made_variables import LARGE, LEAST_BYTES
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch
from migrate.verify.object_graph import VARS, children, named

_VARIABLES = REF_VARIABLES | {"VarHandleOp"}
_HANDS_ON = frozenset({"Identity", "Enter", "RefEnter", "RefIdentity", "RefSwitch", "Switch"})


def added_differences(
    graphs: Collection[MetaGraphDef], new: MetaGraphDef, asked: bool | str, path: str
) -> Iterator[Mismatch]:
    """Variables that a candidate has and its source does not.

    Args:
      graphs: the source's, with the training graph that the candidate has a branch of.
      new: the candidate's.
      asked: which constants may be variables, see `records.Options.variables`.
      path: of the differences, see `records.Mismatch`.
    """
    saved = new.object_graph_def
    if not saved.nodes or VARS not in children(saved, 0) or any(graph.object_graph_def.nodes for graph in graphs):
        return  # Another exporter's, which may call its variables as it likes.
    main: set[str] = set()
    inner: set[str] = set()
    for graph in graphs:
        for number, (_, _, nodes) in enumerate(bodies(graph)):
            (inner if number else main).update(node.name for node in nodes if node.op in _VARIABLES)
        main |= _used_as_variables(graph.graph_def.node)
    constants = {node.name for graph in graphs for node in graph.graph_def.node if _may_be_made(node, asked)}
    for name in named(saved):
        # A function's body may be put in the place of its call, whose name then comes first.
        is_inner = any(name == body or name.endswith(f"/{body}") for body in inner)
        if name not in main and name not in constants and not is_inner:
            reason = "the source has no such variable, and none was asked for"
            yield mismatch("variable-added", path, reason, "", name)


def _may_be_made(node: NodeDef, asked: bool | str) -> bool:
    """Whether a constant becomes a variable where the user asks for such."""
    if not asked or node.op != "Const" or "value" not in node.attr:
        return False
    tensor = node.attr["value"].tensor
    return bool(tensor.tensor_shape.dim) and (asked != LARGE or len(tensor.tensor_content) >= LEAST_BYTES)


def _used_as_variables(nodes: Iterable[NodeDef]) -> set[str]:
    """Constants that ops write or take as handles: what was a variable before a graph was frozen while it trained."""
    nodes = list(nodes)
    by_name = {node.name: node for node in nodes}
    table = load_op_table()
    found: set[str] = set()
    for node in nodes:
        known = table.get(node.op)
        positions = range(len(data_inputs(node))) if node.op == "RefSwitch" else known.writes if known else ()
        if node.op in _READS:
            positions = (0,)
        taken = data_inputs(node)
        for position in positions:
            held = giver(by_name, taken[position], _HANDS_ON) if position < len(taken) else None
            if held is not None and held.op == "Const":
                found.add(held.name)
    return found


_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarIsInitializedOp", "VariableShape"})
