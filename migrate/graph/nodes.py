"""The nodes that the checks look at, and how a finding names them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from migrate.graph.graph import Nodes, ParsedNodes, attribute
from migrate.graph.op_table import may_call
from migrate.graph.protos import AttrValue, FunctionDefLibrary, MetaGraphDef, NodeDef, is_stored


class Located(NamedTuple):
    """A node and where it is.

    Attributes:
      node: the node; it must not be changed.
      where: the function whose body it is in, or empty for the graph itself.
    """

    node: NodeDef
    where: str = ""

    @property
    def label(self) -> str:
        """The node's name, after its function's where it has one."""
        return f"{self.where}/{self.node.name}" if self.where else self.node.name


def nodes_by_name(meta_graph: MetaGraphDef) -> Mapping[str, NodeDef]:
    """The nodes of the main graph; of a name that several have, the last."""
    if is_stored(meta_graph):
        from migrate.graph.stored_nodes import StoredByName  # Few graphs are that large.

        return StoredByName(meta_graph.graph_def.node[:])
    return {node.name: node for node in meta_graph.graph_def.node}


def read_nodes(meta_graph: MetaGraphDef) -> Nodes:
    """Every node of a MetaGraphDef's main graph, by name."""
    nodes, producer = meta_graph.graph_def.node, meta_graph.graph_def.versions.producer
    if is_stored(meta_graph):
        from migrate.graph.stored import KeptNodes  # Few graphs are that large.

        return KeptNodes(nodes[:], producer)
    return ParsedNodes(nodes, producer)


def giver(nodes: Mapping[str, NodeDef], tensor: str, passed: Collection[str] = ()) -> NodeDef | None:
    """The node that gives a tensor, behind those that hand their first input on.

    Args:
      nodes: by name, of a graph or of a function's body.
      tensor: as a node takes it.
      passed: ops that hand their first input on.

    Returns:
      None where there is no such node, or where such ops go round in a circle.

    Example:
      >>> nodes = {n.name: n for n in (NodeDef(name="v", op="Const"), NodeDef(name="r", op="Identity", input=["v"]))}
      >>> giver(nodes, "r:0").name, giver(nodes, "r:0", {"Identity"}).name
      ('r', 'v')
    """
    seen: set[str] = set()
    name = tensor.partition(":")[0]
    while name in nodes and name not in seen:
        node = nodes[name]
        first = next((i for i in node.input if not i.startswith("^")), None) if node.op in passed else None
        if first is None:
            return node
        seen.add(name)
        name = first.partition(":")[0]
    return None


def numbered(nodes: Mapping[str, NodeDef]) -> Mapping[str, int]:
    """The places of nodes in their order, by name."""
    if isinstance(nodes, dict):
        return {name: number for number, name in enumerate(nodes)}
    from migrate.graph.stored_nodes import Places

    return Places(nodes)


_MANY_NODES = 200_000
"""To hold a record of each costs more memory than to make it again for each check costs time."""


class _Each(Collection[Located]):
    """Nodes of the main graph, located when they are asked for."""

    def __init__(self, nodes: Collection[NodeDef]) -> None:
        self._nodes = nodes

    def __iter__(self) -> Iterator[Located]:
        return map(Located, self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, located: object) -> bool:
        return any(located == other for other in self)


def locate(nodes: Collection[NodeDef], library: FunctionDefLibrary) -> Collection[Located]:
    """Adds to a graph's nodes those in the bodies of the functions that they call, directly or not.

    A function is called through an attribute (PartitionedCall, If, MapDataset), through an attribute of a function
    that an attribute names, as an op of its own name, or for a function that is called (`companions`).

    Args:
      nodes: nodes of the graph, those that are needed.
      library: the graph's functions.

    Returns:
      The nodes in their order, then each called function's, in the order in which calls were met.
    """
    bodies = {function.signature.name: function.node_def for function in library.function}
    if not bodies and len(nodes) > _MANY_NODES:
        return _Each(nodes)
    found = [Located(node) for node in nodes]
    for name in called_functions((located.node for located in found), bodies, companions(library)):
        found += [Located(node, name) for node in bodies[name]]
    return tuple(found)


def companions(library: FunctionDefLibrary) -> Mapping[str, Sequence[str]]:
    """The functions that may run where a function is called, by the latter's name.

    That is the one that computes its gradient (GradientDef, function.proto), and each one with the same attribute
    `api_implements`, which TensorFlow's optimiser may put in its place (grappler, implementation_selector.cc).
    """
    found: dict[str, list[str]] = {g.function_name: [g.gradient_func] for g in library.gradient}
    twins: dict[bytes, list[str]] = {}
    for function in library.function:
        if _IMPLEMENTS in function.attr:
            twins.setdefault(function.attr[_IMPLEMENTS].s, []).append(function.signature.name)
    for names in twins.values():
        for name in names if len(names) > 1 else ():
            found.setdefault(name, []).extend(names)
    return found


_IMPLEMENTS = "api_implements"


def called_functions(
    nodes: Iterable[NodeDef],
    bodies: Mapping[str, Iterable[NodeDef]],
    companions: Mapping[str, Sequence[str]] | None = None,
) -> tuple[str, ...]:
    """Names of the functions that nodes call, directly or not, in the order in which calls were met.

    Args:
      nodes: nodes of the graph.
      bodies: the nodes of each function by its name.
      companions: see `companions`; given, those of a called function count as called.
    """
    found: dict[str, None] = {}
    pending = [*nodes] if bodies else []
    for node in pending:  # grows while it is read
        op = node.op
        if op not in bodies and not may_call(op):
            continue
        names = [*names_called(node)]
        for name in names:  # grows while it is read
            if name in bodies and name not in found:
                found[name] = None
                pending += bodies[name]
                names += (companions or {}).get(name, ())
    return tuple(found)


def callers_of(functions: Iterable[str], bodies: Mapping[str, Iterable[NodeDef]]) -> frozenset[str]:
    """Names of the functions that call one of `functions`, directly or not, and of these themselves.

    Args:
      functions: names of functions.
      bodies: the nodes of each function by its name.
    """
    callers: dict[str, set[str]] = {}
    for caller, body in bodies.items():
        for node in body:
            for name in names_called(node):
                if name in bodies:
                    callers.setdefault(name, set()).add(caller)
    return frozenset(reachable(functions, lambda name: callers.get(name, ())))


def names_called(node: NodeDef) -> Iterator[str]:
    """What may be names of functions that a node calls itself: its op, and what its attributes name."""
    op = node.op
    yield op
    if may_call(op):
        yield from named_functions(node)
        if op == "TRTEngineOp":  # Before TF 1.14 it names the function that it was made of by a string.
            yield attribute(node, "segment_funcdef_name").s.decode("utf-8", "replace")


def named_functions(node: NodeDef) -> Iterator[str]:
    """Names of the functions that a node's attributes name: by themselves, in a list, or at any depth in the
    attributes of a function that they name."""
    pending = _of_functions(node.attr)
    for attr in pending:  # grows while it is read
        for function in (attr.func, *attr.list.func) if attr.HasField("func") else attr.list.func:
            yield function.name
            pending += _of_functions(function.attr)


def _of_functions(attrs: Mapping[str, AttrValue]) -> list[AttrValue]:
    """The attributes that may name functions, in the order of their names."""
    found = [(key, attr) for key, attr in attrs.items() if attr.HasField("func") or attr.HasField("list")]
    # A map's own order is another one in each process.
    return [attr for _, attr in sorted(found, key=_key)] if found else []


def _key(item: tuple[str, AttrValue]) -> str:
    return item[0]


class NodesByName(Protocol):
    """What `behind` walks over: a mapping, or what knows a graph's nodes as one."""

    def __contains__(self, name: object) -> bool: ...

    def __getitem__(self, name: str) -> NodeDef: ...


def behind(nodes: NodesByName, tensors: Iterable[str]) -> set[str]:
    """Names of the nodes that tensors depend on, by data or control edges."""

    def inputs(name: str) -> Iterable[str] | None:
        return [i.lstrip("^").partition(":")[0] for i in nodes[name].input[:]] if name in nodes else None

    return reachable((tensor.partition(":")[0] for tensor in tensors), inputs)


def reachable(starts: Iterable[str], steps: Callable[[str], Iterable[str] | None]) -> set[str]:
    """All names that can be reached from some, which are among them.

    Args:
      starts: names.
      steps: gives the names that are one step from a name, or None for a name that does not count.

    >>> sorted(reachable("a", {"a": "bc", "b": "a"}.get))
    ['a', 'b']
    """
    found: set[str] = set()
    stack = list(starts)
    while stack:
        name = stack.pop()
        if name not in found and (further := steps(name)) is not None:
            found.add(name)
            stack += further
    return found


def by_op(nodes: Iterable[Located]) -> Mapping[str, Sequence[Located]]:
    """Groups nodes by their op, ops in the order of their names."""
    groups: dict[str, list[Located]] = collections.defaultdict(list)
    for located in nodes:
        groups[located.node.op].append(located)
    return dict(sorted(groups.items()))


def labels(nodes: Iterable[Located]) -> tuple[str, ...]:
    """The names by which a finding shows nodes."""
    return tuple(located.label for located in nodes)


def show_counts(counts: Mapping[str, int]) -> str:
    """Shows how often each thing occurs: `PyFunc (2), EagerPyFunc (1)`."""
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
