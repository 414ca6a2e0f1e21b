"""An index over the nodes of one graph, and the part of it that one Session call runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.sources.protos import GraphDef, NodeDef

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def split(tensor: str) -> tuple[str, int]:
    """Splits a data input or tensor name (`a`, `a:1`) into node name and output index; -1 where that is no index."""
    node, colon, index = tensor.partition(":")
    if not colon:
        return node, 0
    # More digits than these are no int32, and `int` takes the digits of every script.
    return node, int(index) if index.isascii() and index.isdecimal() and len(index) < 10 else -1


def canonical(tensor: str) -> str:
    """The full tensor name (`a:0`) of a data input as NodeDefs write it (`a`)."""
    return tensor if ":" in tensor else tensor + ":0"


def as_input(tensor: str) -> str:
    """The short form (`a` for `a:0`) in which NodeDef.input names a tensor."""
    return tensor[:-2] if tensor.endswith(":0") else tensor


def data_inputs(node: NodeDef) -> list[str]:
    """Full names of the tensors that a node takes, in order."""
    # Spelt out: it is asked some times for every node of a model.
    return [name if ":" in name else name + ":0" for name in node.input if name[:1] != "^"]


def control_inputs(node: NodeDef) -> list[str]:
    """Names of the nodes that a node waits for by a control edge."""
    return [name[1:] for name in node.input if name.startswith("^")]


def input_nodes(node: NodeDef) -> Iterator[str]:
    """Names of all nodes behind a node's data and control inputs, with repetitions."""
    for name in node.input:
        yield name[1:] if name[:1] == "^" else name.partition(":")[0]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The nodes of one graph by name, with their consumers.

    Attributes:
      nodes: NodeDef by name. Nobody changes a NodeDef that stands here; an edit puts a new one in its place.
      consumers: for each full tensor name the (node name, data input index) pairs that take it.
    """

    nodes: Mapping[str, NodeDef]
    consumers: Mapping[str, Sequence[tuple[str, int]]]

    def predecessors(self) -> dict[str, set[str]]:
        """For each node name the nodes behind its data and control inputs."""
        return {name: set(input_nodes(node)) for name, node in self.nodes.items()}

    def successors(self) -> dict[str, set[str]]:
        """For each node name the nodes that take its outputs or wait for it."""
        result: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name, node in self.nodes.items():
            for source in input_nodes(node):
                if source in result:
                    result[source].add(name)
        return result


def index(nodes: Iterable[NodeDef]) -> Graph:
    """Builds the index. Inputs that name no node are kept; `dangling` lists them."""
    by_name = {node.name: node for node in nodes}
    consumers: dict[str, list[tuple[str, int]]] = {}
    for node in by_name.values():
        for position, tensor in enumerate(data_inputs(node)):
            consumers.setdefault(tensor, []).append((node.name, position))
    return Graph(by_name, consumers)


def dangling(graph: Graph) -> list[str]:
    """Names of nodes that take an input which no node gives, or one whose output index is none."""
    return [
        name
        for name, node in graph.nodes.items()
        if any(source not in graph.nodes for source in input_nodes(node))
        or any(split(tensor)[1] < 0 for tensor in data_inputs(node))
    ]


@dataclasses.dataclass(frozen=True)
class Run:
    """What one `Session.run` call executes: the closure of its fetches and targets, cut at its feeds.

    TensorFlow's own pruning (RewriteGraphForExecution, tensorflow/core/graph/subgraph.cc) keeps just these nodes.

    Attributes:
      key: what the run is for, as messages name it (`signature 'predict'`, `the init op`).
      graph: its nodes; each fed tensor has become a Placeholder of its own.
      feeds: full name of a fed tensor in the source -> name of the Placeholder node that stands for it.
      fetches: full names of the fetched tensors.
      targets: names of the nodes that are run for their effect.
    """

    key: str
    graph: Graph
    feeds: Mapping[str, str]
    fetches: tuple[str, ...]
    targets: tuple[str, ...]


def prune(
    nodes: Mapping[str, NodeDef],
    key: str,
    feeds: Mapping[str, tuple[int, object]],
    fetches: Sequence[str],
    targets: Sequence[str],
) -> Run:
    """Cuts out of a graph what one call runs.

    Args:
      nodes: every node of the source graph by name.
      key: see `Run.key`.
      feeds: full tensor name -> (DataType enum value, TensorShapeProto or None) of each fed tensor.
      fetches: full names of fetched tensors; each must exist.
      targets: names of nodes to run; each must exist.

    Returns:
      The run. An edge to a fed tensor leads to its Placeholder; a control edge from a fed placeholder is gone,
      since a fed value is there from the start.
    """
    taken = set(nodes)
    placeholders: dict[str, str] = {}
    for tensor in feeds:
        name, output = split(tensor)
        if nodes[name].op in PLACEHOLDERS and output == 0:
            placeholders[tensor] = name
        else:
            placeholders[tensor] = unique_name(f"{name}/fed_{output}", taken)
            taken.add(placeholders[tensor])
    fed_placeholders = {name for name in placeholders.values() if name in nodes}

    needed: dict[str, NodeDef] = {}
    stack = [split(tensor)[0] for tensor in fetches if tensor not in placeholders]
    stack.extend(target for target in targets if target not in fed_placeholders)
    while stack:
        name = stack.pop()
        if name in needed or name in fed_placeholders:
            continue
        node = nodes.get(name)
        if node is None:
            continue
        if any(canonical(i) in placeholders or (i.startswith("^") and i[1:] in fed_placeholders) for i in node.input):
            node = _cut(node, placeholders, fed_placeholders)
        needed[name] = node
        stack.extend(
            source
            for source in input_nodes(node)
            if source not in needed and source not in fed_placeholders and source in nodes
        )
    ordered = [_placeholder(placeholders[tensor], *feeds[tensor]) for tensor in feeds]
    ordered.extend(needed[name] for name in nodes if name in needed)
    return Run(key, index(ordered), placeholders, tuple(fetches), tuple(targets))


def unique_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_1`, `name_2`... when it is taken."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _cut(node: NodeDef, placeholders: Mapping[str, str], fed: set[str]) -> NodeDef:
    result = NodeDef()
    result.CopyFrom(node)
    del result.input[:]
    for name in node.input:
        if name.startswith("^"):
            if name[1:] not in fed:
                result.input.append(name)
        else:
            result.input.append(placeholders.get(canonical(name), name))
    return result


def _placeholder(name: str, dtype: int, shape: object) -> NodeDef:
    node = NodeDef(name=name, op="Placeholder")
    node.attr["dtype"].type = dtype
    if shape is None:
        node.attr["shape"].shape.unknown_rank = True
    else:
        node.attr["shape"].shape.CopyFrom(shape)
    return node


def graph_def(graph: Graph) -> GraphDef:
    """The nodes of a graph as a GraphDef, in the graph's order."""
    result = GraphDef()
    result.node.extend(graph.nodes.values())
    return result


def reach(neighbours: Mapping[str, Iterable[str]], order: Iterable[str], bits: Mapping[str, int]) -> dict[str, int]:
    """For each node the marked nodes behind it, as bits.

    Args:
      neighbours: for each node the nodes one step behind it (its inputs, or its successors).
      order: all nodes, such that few steps lead forward: topological order or its reverse. Loops are walked until
        nothing changes.
      bits: one bit for each marked node.
    """
    names = list(order)
    reached = dict.fromkeys(neighbours, 0)
    changed = True
    while changed:
        changed = False
        for name in names:
            known = reached[name]
            for other in neighbours[name]:
                known |= reached.get(other, 0) | bits.get(other, 0)
            if known != reached[name]:
                reached[name] = known
                changed = True
    return reached
