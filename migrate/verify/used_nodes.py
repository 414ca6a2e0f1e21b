"""The nodes of a candidate that its calls and its loading run. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrate.frozen import frozen
from migrate.graph.contract import tensor_names
from migrate.graph.nodes import behind, called_functions
from migrate.graph.protos import MetaGraphDef, NodeDef

PREFIX = "source/"
"""Before the names of nodes in a function some of whose arguments are called as nodes are."""
_LIFE = frozenset({"_create_resource", "_initialize", "_destroy_resource"})


@frozen
class Used:
    """The nodes of one graph or function that are run.

    Attributes:
      where: what it is called in a sentence.
      nodes: these.
      has_names: whether they may have names of the source's: TensorFlow's exporter names those of the main graph, and
        those of functions that make, fill and destroy a resource.
      of_resource: whether it is such a function, which a signature may call as well.
    """

    where: str
    nodes: Sequence[NodeDef]
    has_names: bool
    of_resource: bool = False


def used_nodes(new: MetaGraphDef) -> Iterator[Used]:
    """The nodes of the main graph that signatures run, and the functions that these and objects call.

    Args:
      new: the candidate's.
    """
    main = {node.name: node for node in new.graph_def.node}
    infos = [info for signature in new.signature_def.values() for info in signature.outputs.values()]
    tensors = [tensor for info in infos for tensor in tensor_names(info)]
    needed = behind(main, filter(None, tensors))
    called = [main[name] for name in sorted(needed)]
    bodies = {function.signature.name: function.node_def for function in new.graph_def.library.function}
    objects = sorted(name for name in new.object_graph_def.concrete_functions if name in bodies)
    starts = [*called, *(node for name in objects for node in bodies[name])]
    resources = _of_resources(new)
    exporters = resources - set(called_functions(called, bodies))
    yield Used("the main graph", called, False)
    for name in dict.fromkeys([*objects, *called_functions(starts, bodies)]):
        yield Used(f"the function {name!r}", bodies[name], name not in exporters, name in resources)


def _of_resources(new: MetaGraphDef) -> set[str]:
    """The functions that make, fill and destroy a resource, as the object graph has them."""
    objects = new.object_graph_def.nodes
    found: set[str] = set()
    for node in objects:
        if node.WhichOneof("kind") != "resource":
            continue
        for child in node.children:
            if child.local_name in _LIFE and 0 <= child.node_id < len(objects):
                found.update(objects[child.node_id].function.concrete_functions)
    return found
