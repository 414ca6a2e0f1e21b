"""What the two object graphs of a TF2 SavedModel say of its variables, as TensorFlow's loaders read them.

`SavedObjectGraph` (saved_object_graph.proto, in saved_model.pb) is what `tf.saved_model.load` builds objects from;
`TrackableObjectGraph` (trackable_object_graph.proto, in the checkpoint) says which entry each object is filled from.
No TensorFlow here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph

VALUE = "VARIABLE_VALUE"  # trackable/base.py, VARIABLE_VALUE_KEY
VARS = "vars"
"""The attribute in which a new model has its variables by their TF1 names."""
ATTRIBUTES = (VARS, "variables", "trainable_variables", "regularization_losses")
CALL = "__call__"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@frozen
class Place:
    """One variable of a SavedModel.

    Attributes:
      node: its number in the SavedObjectGraph.
      path: attribute by attribute from the root, a shortest way.
      name: that the saved object has.
      is_trainable: what the saved object says.
    """

    node: int
    path: tuple[str, ...]
    name: str
    is_trainable: bool


def places(graph: Any) -> tuple[Place, ...]:
    """The variables that the root of a SavedObjectGraph leads to, nearest first.

    Args:
      graph: a SavedObjectGraph.
    """
    found = []
    for number, path in paths_of(graph).items():
        node = graph.nodes[number]
        if node.WhichOneof("kind") == "variable":
            found.append(Place(number, path, node.variable.name.partition(":")[0], node.variable.trainable))
    return tuple(found)


def paths_of(graph: Any) -> dict[int, tuple[str, ...]]:
    """A shortest way to each object that the root of a SavedObjectGraph leads to, by its number, nearest first.

    Args:
      graph: a SavedObjectGraph.
    """
    paths: dict[int, tuple[str, ...]] = {0: ()} if graph.nodes else {}
    queue = [*paths]
    for number in queue:
        for child in graph.nodes[number].children:
            if child.node_id not in paths and 0 <= child.node_id < len(graph.nodes):
                paths[child.node_id] = (*paths[number], child.local_name)
                queue.append(child.node_id)
    return paths


def children(graph: Any, number: int) -> dict[str, int]:
    """Numbers of an object's children by the names of its attributes (of a dict its keys, of a list its positions)."""
    return {child.local_name: child.node_id for child in graph.nodes[number].children}


def named(graph: Any) -> dict[str, Place]:
    """The variables by the names that a TF1 user knows them by.

    These are the keys of the root's `vars`. In a model that has no such attribute they are the names of the saved
    variables, or else their attributes, of those that no other variable has.
    """
    every = places(graph)
    holder = children(graph, 0).get(VARS) if graph.nodes else None
    by_number = {place.node: place for place in every}
    if holder is not None:
        return {key: by_number[node] for key, node in children(graph, holder).items() if node in by_number}
    return {**_unique(every, lambda place: "/".join(place.path)), **_unique(every, lambda place: place.name)}


def _unique(every: tuple[Place, ...], name_of: Any) -> dict[str, Place]:
    groups: dict[str, list[Place]] = {}
    for place in every:
        groups.setdefault(name_of(place), []).append(place)
    return {name: group[0] for name, group in groups.items() if len(group) == 1}


def restored_keys(graph: Any, stored: TrackableObjectGraph) -> dict[int, str]:
    """The checkpoint entry that TensorFlow's loader fills each variable from, by its number.

    Args:
      graph: the SavedObjectGraph.
      stored: the checkpoint's.
    """
    return {number: value.checkpoint_key for number, value in _restored(graph, stored).items()}


def stored_names(graph: Any, stored: TrackableObjectGraph) -> dict[int, str]:
    """The name that TF1's Saver finds each variable by in a checkpoint of objects, by its number; arguments as above.

    Source: object_graph_key_mapping (training/saver.py).
    """
    return {number: value.full_name for number, value in _restored(graph, stored).items()}


def _restored(graph: Any, stored: TrackableObjectGraph) -> dict[int, Any]:
    """What a checkpoint says of the value of each variable.

    The loader walks both graphs from their roots at once, attribute by attribute (checkpoint/restore.py).
    """
    if not graph.nodes or not stored.nodes:
        return {}
    values: dict[int, Any] = {}
    pairs = [(0, 0)]
    seen = {0}
    for number, other in pairs:
        if graph.nodes[number].WhichOneof("kind") == "variable":
            found = [a for a in stored.nodes[other].attributes if a.name == VALUE]
            if found:
                values[number] = found[0]
        ours = children(graph, number)
        for name, child in children(stored, other).items():
            own = ours.get(name)
            if own is not None and own not in seen and 0 <= child < len(stored.nodes) and 0 <= own < len(graph.nodes):
                seen.add(own)
                pairs.append((own, child))
    return values


def handles(meta_graph: MetaGraphDef) -> dict[int, frozenset[str]]:
    """The nodes of the main graph that a v1 Session has in the place of each variable, by its number.

    A call of a saved function takes its captures after its arguments, in the order that the function's record has
    (saved_object_graph.proto, SavedConcreteFunction.bound_inputs).
    """
    graph = meta_graph.object_graph_def
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    found: dict[int, set[str]] = {}
    for node in meta_graph.graph_def.node:
        for number, given in _captures(graph.concrete_functions, node):
            giver = nodes.get(given.partition(":")[0])
            if giver is not None and giver.op == "VarHandleOp":
                found.setdefault(number, set()).add(giver.name)
    return {number: frozenset(names) for number, names in found.items()}


def _captures(functions: Mapping[str, Any], node: Any) -> Iterator[tuple[int, str]]:
    if node.op not in _CALLS or node.attr["f"].func.name not in functions:
        return
    bound = functions[node.attr["f"].func.name].bound_inputs
    given = [name for name in node.input if not name.startswith("^")]
    if bound and len(bound) <= len(given):
        yield from zip(bound, given[-len(bound) :], strict=True)
