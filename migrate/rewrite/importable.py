"""A rewritten run as a GraphDef that TensorFlow's importer takes into a function body."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.control_flow_contexts import ENTERS, contexts
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import PLACEHOLDERS, Graph, input_nodes, split, unique_name
from migrate.graph.protos import FunctionDef, FunctionDefLibrary, GraphDef, NodeDef
from migrate.rewrite import ops, typed_handles
from migrate.rewrite.aliases import identity
from migrate.rewrite.calls import in_order
from migrate.rewrite.custom_gradients import keep_apart
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.uninitialized import guards

_STALE = ("_class", "_output_shapes")
# A function runs where its caller is: job, replica and task name a cluster that is gone; the device type may matter.
_DEVICE_TYPE = re.compile(r"(?:^|/)(?:device:)?(cpu|gpu|tpu)(?::(\d+|\*))?$", re.IGNORECASE)


@frozen
class Importable:
    """What the importer needs.

    Attributes:
      graph_def: the nodes, less handles and fed placeholders.
      variables: name of each variable handle node that is left out -> identity of its variable.
      resources: name of each other handle node that is left out -> identity of its resource.
    """

    graph_def: GraphDef
    variables: Mapping[str, str]
    resources: Mapping[str, str]


def importable(
    run: Rewritten, functions: Iterable[FunctionDef], producer: int, uninitialized: Collection[str] = ()
) -> Importable:
    """Prepares a run for `tf.graph_util.import_graph_def`.

    Handles and placeholders are left out because the importer's `input_map` puts captures and arguments in their
    place. Attributes go that TensorFlow takes for truth although nobody kept them true: `_output_shapes` (stale in
    real models, and the importer believes it) and `_class` (may name a node that is no longer there).

    Args:
      run: what to import.
      functions: the library that it needs.
      producer: GraphDef version of the source.
      uninitialized: identities of variables that may have no value when they are used.
    """
    graph_def = GraphDef()
    graph_def.versions.producer = producer
    graph_def.library.function.extend(functions)
    for function in graph_def.library.function:
        for node in function.node_def:
            _clean(node)
    fed = set(run.run.feeds.values())
    nodes = run.graph.nodes
    variables = {name: identity(nodes[name]) for name in run.graph.by_op.get("VarHandleOp", ())}
    resources = {name: identity(nodes[name]) for name in run.graph.named(ops.NAMED_RESOURCES)}
    left_out = {*variables, *resources, *fed}
    inside = _inside(run.graph, {*variables, *resources})
    library = {function.signature.name: function for function in graph_def.library.function}
    guarded = guards(run.graph, uninitialized, library)
    for name, node in run.graph.nodes.items():
        if name in left_out:
            continue
        new = graph_def.node.add()
        new.CopyFrom(node)
        if name in guarded:
            new.input.append(f"^{guarded[name][-1].name}")
    graph_def.node.extend(node for nodes in guarded.values() for node in nodes)
    for new in graph_def.node:
        if not left_out.isdisjoint(input_nodes(new)):
            renamed = [_renamed(i, inside, left_out) for i in new.input]
            del new.input[:]
            new.input.extend(i for i in renamed if i)
    graph_def.node.extend(node for chain in inside.values() for node in chain)
    if run.graph.has(typed_handles.STRICT):
        _give_types(graph_def)
    for new in graph_def.node:
        _clean(new)
    if graph_def.library.function:
        fetched = {split(tensor)[0] for tensor in run.fetches.values()} | {*run.run.targets}
        nodes_in_order, called = in_order(graph_def.node, fetched, graph_def.library.function)
        needed = FunctionDefLibrary(function=called)
        graph_def = GraphDef(node=nodes_in_order, library=needed, versions=graph_def.versions)
    return Importable(graph_def, variables, resources)


def _renamed(written: str, inside: Mapping[str, Sequence[NodeDef]], left_out: Container[str]) -> str:
    """A node's input in the graph to be imported; empty for a control edge from a node that is left out."""
    control = "^" if written.startswith("^") else ""
    name = written[len(control) :]
    if name in inside:
        return control + inside[name][-1].name
    return "" if control and name in left_out else written


def _inside(graph: Graph, handles: Iterable[str]) -> dict[str, list[NodeDef]]:
    """Nodes that lead a captured handle into the loop or branch in which its node stood.

    Args:
      graph: the run's nodes.
      handles: names of handle nodes. One that waits for a node of a loop or branch runs there, and so must what
        takes its handle alone: a read that runs outside is alive when its branch is dead.

    Returns:
      For each of those the chain: an Enter a frame, then an Identity under the handle node's control inputs.
    """
    held = [name for name in handles if graph.nodes[name].input]
    if not held:
        return {}
    where = contexts(graph)
    frames = {where[name].frames: node for name, node in graph.nodes.items() if node.op in ENTERS and name in where}
    result: dict[str, list[NodeDef]] = {}
    for name in held:
        if where[name].is_root:
            continue
        chain: list[NodeDef] = []
        for depth in range(1, len(where[name].frames) + 1):
            enter = NodeDef(name=unique_name(f"{name}/enter", graph.nodes), op="Enter")
            enter.name += f"_{depth}" if depth > 1 else ""
            enter.input.append(chain[-1].name if chain else name)
            enter.attr["is_constant"].b = True
            for key in ("frame_name", "parallel_iterations"):
                enter.attr[key].CopyFrom(frames[where[name].frames[:depth]].attr[key])
            chain.append(enter)
        here = NodeDef(name=unique_name(f"{name}/here", graph.nodes), op="Identity")
        here.input.extend([chain[-1].name if chain else name, *graph.nodes[name].input])
        chain.append(here)
        for node in chain:
            node.attr["T"].type = dtype_value("resource")
        result[name] = chain
    return result


def _give_types(graph_def: GraphDef) -> None:
    taken = {node.name for node in graph_def.node}
    for new in list(graph_def.node):
        if typed_handles.needs_type(new, taken):
            made = list(typed_handles.typed_handle(new, taken))
            graph_def.node.extend(made)
            new.input[0] = made[-1].name


def _clean(node: NodeDef) -> None:
    for key in _STALE:
        if key in node.attr:
            del node.attr[key]
    keep_apart(node)
    node.device = device_type(node.device)
    if node.op in PLACEHOLDERS and "shape" not in node.attr:
        node.attr["shape"].shape.unknown_rank = True


def device_type(device: str) -> str:
    """What is left of a device string: its type and number (`/device:GPU:0`), without job, replica and task."""
    found = _DEVICE_TYPE.search(device)
    if not found:
        return ""
    number = found.group(2)
    return f"/device:{found.group(1).upper()}" + (f":{number}" if number else "")
