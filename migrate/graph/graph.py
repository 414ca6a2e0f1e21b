"""An index over the nodes of one graph, and the part of it that one Session call runs."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, ClassVar, NamedTuple, TypeVar

from migrate.frozen import frozen
from migrate.graph.protos import AttrValue, GraphDef, NodeDef, TensorShapeProto

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
_FEW = 16
"""Less than one of so many nodes is few: it is faster to sort them than to pass over all."""


def split(tensor: str) -> tuple[str, int]:
    """Splits a data input or tensor name (`a`, `a:1`) into node name and output index; -1 where that is no index.

    Example:
      >>> split("a"), split("a:1"), split("a:out:0")
      (('a', 0), ('a', 1), ('a', -1))
    """
    node, colon, index = tensor.partition(":")
    if not colon:
        return node, 0
    return node, int(index) if is_output(index) else -1


def is_output(index: str) -> bool:
    """Whether a text is an output index."""
    # More digits than these are no int32, and `int` takes the digits of every script.
    return len(index) < 10 and index.isdecimal() and index.isascii()


def canonical(tensor: str) -> str:
    """The full tensor name (`a:0`) of a data input as NodeDefs write it (`a`).

    Example:
      >>> canonical("a"), canonical("a:1")
      ('a:0', 'a:1')
    """
    return tensor if ":" in tensor else tensor + ":0"


def as_input(tensor: str) -> str:
    """The short form (`a` for `a:0`) in which NodeDef.input names a tensor.

    Example:
      >>> as_input("a:0"), as_input("a:1")
      ('a', 'a:1')
    """
    return tensor[:-2] if tensor.endswith(":0") else tensor


def data_inputs(node: NodeDef) -> list[str]:
    """Full names of the tensors that a node takes, in order.

    Example:
      >>> data_inputs(NodeDef(input=["a", "b:1", "^c"]))
      ['a:0', 'b:1']
    """
    # Spelt out: it is asked some times for every node of a model.
    return [name if ":" in name else name + ":0" for name in node.input[:] if name[:1] != "^"]


def attribute(node: NodeDef, name: str) -> AttrValue:
    """An attribute of a node, or an empty one: to read a missing key of a proto map would add it to the node."""
    return node.attr[name] if name in node.attr else AttrValue()


def control_inputs(node: NodeDef) -> list[str]:
    """Names of the nodes that a node waits for by a control edge.

    Example:
      >>> control_inputs(NodeDef(input=["a", "^c"]))
      ['c']
    """
    return [name[1:] for name in node.input if name.startswith("^")]


def input_nodes(node: NodeDef) -> Iterator[str]:
    """Names of all nodes behind a node's data and control inputs, with repetitions."""
    for name in node.input:
        yield name[1:] if name[:1] == "^" else name.partition(":")[0]


class Wire(NamedTuple):
    """What the walks over a graph ask of a node, read off its NodeDef once: fields of protos are slow to read.

    Attributes:
      op: the node's op.
      data: full names of the tensors that it takes, in order.
      sources: names of the nodes that give them, in the same order.
      controls: names of the nodes that it waits for by a control edge.
      behind: both, with repetitions.
      is_short: whether its inputs are as NodeDefs write them: `a` for `a:0`, control inputs last.
      is_sound: whether each data input has an output index that is one.
    """

    op: str
    data: tuple[str, ...]
    sources: tuple[str, ...]
    controls: tuple[str, ...]
    behind: tuple[str, ...]
    is_short: bool
    is_sound: bool


def wire(node: NodeDef) -> Wire:
    """Reads a node's op and inputs."""
    names = node.input[:]  # A slice is one list; to iterate asks the proto for each name.
    # One text for all nodes of an op: the proto makes another one each time that it is asked.
    op = sys.intern(node.op)
    if not names:
        return _source(op)
    data: list[str] = []
    sources: list[str] = []
    controls: list[str] = []
    is_short = is_sound = True
    for name in names:
        if name[:1] == "^":
            controls.append(name[1:])
            continue
        source, colon, output = name.partition(":")
        sources.append(source)
        data.append(name if colon else name + ":0")
        if colon:
            is_sound = is_sound and is_output(output)
            is_short = is_short and output != "0"
        if controls:
            is_short = False
    of_data, of_control = tuple(sources), tuple(controls)
    return Wire(op, tuple(data), of_data, of_control, of_data + of_control, is_short, is_sound)


@functools.lru_cache(1 << 10)
def _source(op: str) -> Wire:
    """What is known of a node that takes nothing: the same for all of an op."""
    return Wire(op, (), (), (), (), True, True)


_MOST_REMEMBERED = 1_000_000
"""Names in the answers of `Nodes.needed` that are kept: a model may have many signatures of many nodes."""


class Nodes(Mapping[str, NodeDef]):
    """Every node of a MetaGraphDef by name. What its runs share is read and indexed once.

    Attributes:
      producer: version of the GraphDef, which some ops ask for; None means the newest.
    """

    def __init__(self, producer: int | None = None) -> None:
        self.producer = producer
        self._needed: dict[object, Mapping[str, bool]] = {}
        self._remembered = 0
        self.graphs: weakref.WeakValueDictionary[object, Graph] = weakref.WeakValueDictionary()

    def wire(self, name: str) -> Wire:
        """Op and inputs of a node."""
        return wire(self[name])

    def needed(self, fed: Collection[str], fetches: Iterable[str], targets: Iterable[str] = ()) -> Mapping[str, bool]:
        """What one call runs, see `prune`.

        Args:
          fed: full names of tensors.
          fetches: full names of tensors.
          targets: names of nodes.

        Returns:
          For each node name whether something that the node takes is fed.
        """
        asked = frozenset(fed), frozenset(fetches), frozenset(targets)
        known = self._needed.get(asked)
        if known is None:
            known = self._behind(*asked)
            self._remembered += len(known)
            if self._remembered < _MOST_REMEMBERED:
                self._needed[asked] = known
        return known

    def fed_placeholders(self, fed: Iterable[str]) -> set[str]:
        """Names of the placeholders among the nodes whose outputs are fed."""
        parts = map(split, fed)
        return {name for name, output in parts if output == 0 and name in self and self[name].op in PLACEHOLDERS}

    def _behind(self, fed: Set[str], fetches: Set[str], targets: Set[str]) -> Mapping[str, bool]:
        placeholders = self.fed_placeholders(fed)
        needed: dict[str, bool] = {}
        stack = [split(tensor)[0] for tensor in fetches if tensor not in fed]
        stack.extend(target for target in targets if target not in placeholders)
        while stack:
            name = stack.pop()
            if name in needed or name in placeholders or name not in self:
                continue
            known = self.wire(name)
            is_cut = not (fed.isdisjoint(known.data) and placeholders.isdisjoint(known.controls))
            needed[name] = is_cut
            if not is_cut:
                stack += known.sources
                stack += known.controls
            else:
                pairs = zip(known.data, known.sources, strict=True)
                stack.extend(source for tensor, source in pairs if tensor not in fed)
                stack += known.controls
        return needed

    def key_of(self, needed: Mapping[str, bool]) -> object:
        """What tells one answer of `needed` from another."""
        return frozenset(needed)

    def part(self, needed: Mapping[str, bool], fed: Sequence[NodeDef], cut: Callable[[NodeDef], NodeDef]) -> Graph:
        """A graph of some of the nodes.

        Args:
          needed: which, as `needed` answers.
          fed: Placeholders that stand for what is fed.
          cut: leads the edges of a node to these.
        """
        chosen = {node.name: node for node in fed}
        wires = {node.name: wire(node) for node in fed}
        for name in self.in_order(needed):
            node = self[name]
            chosen[name] = cut(node) if needed[name] else node
            wires[name] = wire(chosen[name]) if needed[name] else self.wire(name)
        return Graph(chosen, wires)

    def in_order(self, names: Collection[str]) -> Iterable[str]:
        """Some of the names in the graph's order; for a few of them it does not pass over the whole graph each time."""
        if len(names) * _FEW > len(self):
            return (name for name in self if name in names)
        return sorted(names, key=self._places.__getitem__)

    @functools.cached_property
    def _places(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self)}

    @functools.cached_property
    def by_op(self) -> Mapping[str, Sequence[str]]:
        """Names of the nodes of each op, in the graph's order."""
        result: dict[str, list[str]] = {}
        for name, node in self.items():
            result.setdefault(node.op, []).append(name)
        return result


class ParsedNodes(dict[str, NodeDef], Nodes):
    """Nodes that are all in memory."""

    def __init__(self, nodes: Iterable[NodeDef], producer: int | None = None) -> None:
        dict.__init__(self, ((node.name, node) for node in nodes))
        Nodes.__init__(self, producer)
        self._wires: dict[str, Wire] = {}

    def wire(self, name: str) -> Wire:
        """See `Nodes`."""
        known = self._wires.get(name)
        if known is None:
            known = self._wires[name] = wire(self[name])
        return known


@frozen
class Graph:
    """The nodes of one graph by name, and how they hang together.

    Attributes:
      nodes: NodeDef by name. Nobody changes a NodeDef of it; an edit puts a new one in its place.
      wires: op and inputs of each node.
      answers: what functions have said of this graph, see `remembered`. Nothing there leads back to the graph: in a
        cycle of references it would live on, with its protos, until Python looks for such.
    """

    nodes: Mapping[str, NodeDef]
    wires: Mapping[str, Wire]
    answers: dict[object, Any] = dataclasses.field(default_factory=dict)
    is_stored: ClassVar[bool] = False

    __eq__ = object.__eq__  # Identity: to compare all nodes would take long.
    __hash__ = object.__hash__

    @functools.cached_property
    def consumers(self) -> Mapping[str, Sequence[tuple[str, int]]]:
        """For each full tensor name the (node name, data input index) pairs that take it."""
        result: dict[str, list[tuple[str, int]]] = {}
        for name, known in self.wires.items():
            for position, tensor in enumerate(known.data):
                result.setdefault(tensor, []).append((name, position))
        return result

    @functools.cached_property
    def by_op(self) -> Mapping[str, Sequence[str]]:
        """Names of the nodes of each op, in the graph's order."""
        result: dict[str, list[str]] = {}
        for name, known in self.wires.items():
            result.setdefault(known.op, []).append(name)
        return result

    def has(self, ops: Set[str]) -> bool:
        """Whether some node has one of these ops."""
        return not self.by_op.keys().isdisjoint(ops)

    def named(self, ops: Set[str]) -> Iterator[str]:
        """Names of the nodes that have one of these ops, in the graph's order."""
        there = self.by_op.keys() & ops
        if len(there) > 1:
            return (name for name, known in self.wires.items() if known.op in there)
        return iter(self.by_op[there.pop()] if there else ())

    def predecessors(self) -> dict[str, set[str]]:
        """For each node name the nodes behind its data and control inputs."""
        return {name: set(known.behind) for name, known in self.wires.items()}

    def successors(self) -> dict[str, set[str]]:
        """For each node name the nodes that take its outputs or wait for it."""
        result: dict[str, set[str]] = {name: set() for name in self.nodes}
        for name, known in self.wires.items():
            for source in known.behind:
                if source in result:
                    result[source].add(name)
        return result


Answer = TypeVar("Answer")


def remembered(compute: Callable[[Graph], Answer]) -> Callable[[Graph], Answer]:
    """Has a function of a graph work its answer out once for each graph; nobody may change the answer."""

    @functools.wraps(compute)
    def answer(graph: Graph) -> Answer:
        if compute not in graph.answers:
            graph.answers[compute] = compute(graph)
        known: Answer = graph.answers[compute]
        return known

    return answer


def index(nodes: Iterable[NodeDef], known: Graph | None = None) -> Graph:
    """Builds the index. Inputs that name no node are kept; `dangling` lists them.

    Args:
      nodes: the graph's nodes.
      known: a graph with some of the same NodeDefs, so that they need not be read again.
    """
    by_name = {node.name: node for node in nodes}
    if known is None:
        return Graph(by_name, {name: wire(node) for name, node in by_name.items()})
    old, wires = known.nodes, known.wires
    return Graph(
        by_name,
        {name: wires[name] if old.get(name) is node else wire(node) for name, node in by_name.items()},
    )


def dangling(graph: Graph) -> list[str]:
    """Names of nodes that take an input which no node gives, or one whose output index is none."""
    wires = graph.wires.values()
    asked = set(itertools.chain.from_iterable(known.sources for known in wires))
    asked.update(itertools.chain.from_iterable(known.controls for known in wires))
    if asked <= graph.nodes.keys() and all(known.is_sound for known in wires):
        return []
    return [
        name
        for name, known in graph.wires.items()
        if not known.is_sound or any(source not in graph.nodes for source in known.behind)
    ]


@frozen
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
    nodes: Nodes,
    key: str,
    feeds: Mapping[str, tuple[int, object]],
    fetches: Sequence[str],
    targets: Sequence[str],
) -> Run:
    """Cuts out of a graph what one call runs.

    Args:
      nodes: every node of the source graph.
      key: see `Run.key`.
      feeds: full tensor name -> (DataType enum value, TensorShapeProto or None) of each fed tensor.
      fetches: full names of fetched tensors; each must exist.
      targets: names of nodes to run; each must exist.

    Returns:
      The run. An edge to a fed tensor leads to its Placeholder; a control edge from a fed placeholder is gone,
      since a fed value is there from the start. Runs of the same nodes have one and the same Graph.
    """
    fed_placeholders = nodes.fed_placeholders(feeds)
    taken: set[str] = set()
    placeholders: dict[str, str] = {}
    for tensor in feeds:
        name, output = split(tensor)
        if name in fed_placeholders and output == 0:
            placeholders[tensor] = name
        else:
            taken = taken or set(nodes)
            placeholders[tensor] = unique_name(f"{name}/fed_{output}", taken)
            taken.add(placeholders[tensor])
    needed = nodes.needed(feeds, fetches, targets)
    told = tuple(
        (tensor, placeholders[tensor], dtype, None if shape is None else _bytes(shape))
        for tensor, (dtype, shape) in feeds.items()
    )
    of_run = (told, nodes.key_of(needed))
    graph = nodes.graphs.get(of_run)
    if graph is None:
        fed = [_placeholder(placeholders[tensor], *feeds[tensor]) for tensor in feeds]
        graph = nodes.part(needed, fed, lambda node: _cut(node, placeholders, fed_placeholders))
        nodes.graphs[of_run] = graph
    return Run(key, graph, placeholders, tuple(fetches), tuple(targets))


def _bytes(shape: object) -> bytes:
    assert isinstance(shape, TensorShapeProto)
    return shape.SerializeToString(deterministic=True)


def unique_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_1`, `name_2`... when it is taken.

    Example:
      >>> unique_name("a", {"a", "a_1"})
      'a_2'
    """
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


def reach(
    neighbours: Mapping[str, Iterable[str]], order: Iterable[str], bits: Mapping[str, int], has_loops: bool
) -> dict[str, int]:
    """For each node the marked nodes behind it, as bits.

    Args:
      neighbours: for each node the nodes one step behind it (its inputs, or its successors).
      order: all nodes, such that no step leads forward but over the back edge of a loop: topological order or its
        reverse.
      bits: one bit for each marked node.
      has_loops: whether there are back edges, so that the nodes are walked until nothing changes.
    """
    names = list(order)
    reached = dict.fromkeys(neighbours, 0)
    passed = {**reached, **bits}  # The same with each marked node's own bit.
    changed = True
    while changed:
        changed = False
        for name in names:
            known = 0
            for other in neighbours[name]:
                known |= passed.get(other, 0)
            if known != reached[name]:
                reached[name] = known
                passed[name] |= known
                changed = has_loops
    return reached
