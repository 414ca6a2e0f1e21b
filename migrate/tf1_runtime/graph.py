"""Prepares a graph for TensorFlow 1.15.5: the part that a Session needs, without what only later releases know."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from migrate.errors import first_few
from migrate.frozen import frozen
from migrate.graph.graph import attribute, input_nodes
from migrate.graph.protos import AttrValue, FunctionDef, GraphDef, MetaGraphDef, NodeDef
from migrate.tf1_runtime.guards import guarded

_DEFAULTS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "graph", "attr_defaults.tsv")
_OURS = "1.15"
_CLASS, _LOC = "_class", b"loc:@"
_MARKS = frozenset({"debug_name", "metadata"})
"""Attributes of later releases that say something for people: the name of a variable, that of a dataset."""


class NotTakenError(Exception):
    """TensorFlow 1.15.5 does not know something that the graph needs; the message says what."""


@frozen
class Op:
    """An op of TensorFlow 1.15.5.

    Attributes:
      attributes: names of its attributes.
      library: path of the op library that registers it, in the runtime's directory; empty for one of TensorFlow's own.
    """

    attributes: frozenset[str]
    library: str = ""


@frozen
class Prepared:
    """A graph as TensorFlow 1.15.5 is given it.

    Attributes:
      graph_def: serialized.
      libraries: the op libraries that it needs.
      ops: its ops by name of the node, without those in functions.
    """

    graph_def: bytes
    libraries: tuple[str, ...]
    ops: Mapping[str, str]


def prepared(meta_graph: MetaGraphDef, wanted: Iterable[str], ops: Mapping[str, Op]) -> Prepared:
    """The part of a graph that is behind some nodes.

    An attribute that only later releases have is left out where it has their default: they added it so that graphs
    without it mean the same. Stale `_output_shapes` and the jobs of a cluster mean nothing to a Session.

    Args:
      meta_graph: with the graph.
      wanted: names of nodes or tensors.
      ops: what TensorFlow 1.15.5 knows.

    Raises:
      NotTakenError: it needs what TensorFlow 1.15.5 does not know.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    kept = _behind(nodes, (name.partition(":")[0] for name in wanted))
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    graph = GraphDef(versions=meta_graph.graph_def.versions)
    graph.node.extend(node for name, node in nodes.items() if name in kept)
    called = _called(graph.node, library)
    graph.library.function.extend(library[name] for name in sorted(called))
    graph.library.gradient.extend(
        gradient
        for gradient in meta_graph.graph_def.library.gradient
        if gradient.function_name in called and gradient.gradient_func in called
    )
    every = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    unknown = sorted({node.op for node in every} - ops.keys() - called)
    if unknown:
        raise NotTakenError(f"it has no op {first_few(unknown, 3)}")
    for node in every:
        if node.op in ops:
            _make_old(node, ops[node.op], kept)
    for function in graph.library.function:
        _make_function_old(function)
        function.node_def.extend(guarded(function.node_def, function))
    libraries = {ops[node.op].library for node in every if node.op in ops} - {""}
    by_name = {node.name: node.op for node in graph.node}
    graph.node.extend(guarded(graph.node))
    return Prepared(graph.SerializeToString(), tuple(sorted(libraries)), by_name)


def _behind(nodes: Mapping[str, NodeDef], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name in nodes and name not in found:
            found.add(name)
            stack += input_nodes(nodes[name])
    return found


def _called(nodes: Iterable[NodeDef], library: Mapping[str, FunctionDef]) -> set[str]:
    """Names of all functions that nodes name, and those that these name."""
    found: set[str] = set()
    parts: list[Iterable[NodeDef]] = [nodes]
    for part in parts:  # grows while it is read
        for node in part:
            for name in (node.op, *_named(node)):
                if name in library and name not in found:
                    found.add(name)
                    parts.append(library[name].node_def)
    return found


def _named(node: NodeDef) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (function.name for function in value.list.func)


def _make_old(node: NodeDef, op: Op, kept: Collection[str]) -> None:
    """Takes out of a node what TensorFlow 1.15.5 does not know, where that says nothing."""
    node.attr.pop("_output_shapes", None)
    parts = node.device.split("/")
    node.device = "/".join(part for part in parts if not part.startswith(("job:", "replica:", "task:")))
    if _CLASS in node.attr:
        places = [place for place in attribute(node, _CLASS).list.s if place.removeprefix(_LOC).decode() in kept]
        if places:
            node.attr[_CLASS].list.s[:] = places
        else:
            del node.attr[_CLASS]
    for name in [name for name in node.attr if not name.startswith("_") and name not in op.attributes]:
        if name not in _MARKS and node.attr[name] != _later_defaults().get((node.op, name)):
            raise NotTakenError(f"its op {node.op} has no attribute {name!r} ({node.name})")
        del node.attr[name]


def _make_function_old(function: FunctionDef) -> None:
    """The same of a function: facts of its arguments, which later releases add, are for their compilers."""
    function.arg_attr.clear()
    function.resource_arg_unique_id.clear()


@functools.cache
def _later_defaults() -> Mapping[tuple[str, str], AttrValue]:
    """Defaults of the attributes that ops of TensorFlow 1.15 have in later releases only, by op and attribute."""
    found = {}
    with open(_DEFAULTS, encoding="utf-8") as stream:
        releases = next(stream).rstrip("\n").split("\t")[2:]
        for line in stream:
            op, name, *cells = line.rstrip("\n").split("\t")
            by_release = dict(zip(releases, cells, strict=True))
            later = {cell for release, cell in by_release.items() if release != _OURS and cell not in ("", "-")}
            if not by_release[_OURS] and len(later) == 1:
                found[op, name] = AttrValue.FromString(bytes.fromhex(later.pop()))
    return found
