"""What the object graph of a candidate says of itself, as far as files alone contradict it. No TensorFlow.

What tf.saved_model.load would give has attributes. Here nothing is loaded: they are read from the object graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from migrate.graph.contract import RESERVED_KEYS
from migrate.graph.op_table import REF_VARIABLES
from migrate.graph.protos import MetaGraphDef
from migrate.records import Mismatch
from migrate.verify.calls import Further, Golden, Held, Trained
from migrate.verify.compare_surface import compare_surface
from migrate.verify.differences import mismatch
from migrate.verify.further import default_of
from migrate.verify.messages import CandidateState, Surface
from migrate.verify.object_graph import ATTRIBUTES, CALL, VARS, children, named, places
from migrate.verify.variables import definitions, trainable

_PLAIN, _KERAS = "_generic_user_object", "_tf_keras_"
"""Kinds of roots (saved_object_graph.proto, SavedUserObject.identifier): of a tf.Module, and of Keras."""
ROOT = "root"
"""What a difference of the root itself is of: `Mismatch.output`."""


def root_differences(source: MetaGraphDef, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """A root that tf.saved_model.load makes an object of another kind of.

    Args:
      source: the source's; a TF2 SavedModel's root may be of any kind.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    graph = new.object_graph_def
    if not graph.nodes or source.object_graph_def.nodes:
        return
    root = graph.nodes[0]
    kind = root.user_object.identifier if root.WhichOneof("kind") == "user_object" else root.WhichOneof("kind")
    if kind != _PLAIN and not str(kind).startswith(_KERAS):
        yield mismatch("attribute-differs", path, f"the loaded object is of the kind {kind!r}", "", ROOT)


def root_function_differences(graphs: Sequence[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Functions of the root that answer nothing of the source; how replicas of variables are kept, and where they are.

    Args:
      graphs: the source's MetaGraphDefs.
      new: the candidate's; another exporter's may have any attributes.
      path: of the differences, see `records.Mismatch`.
    """
    graph = new.object_graph_def
    if not graph.nodes or VARS not in children(graph, 0) or any(one.object_graph_def.nodes for one in graphs):
        return
    for name, number in children(graph, 0).items():
        if name.startswith("_") or not 0 <= number < len(graph.nodes):
            continue  # `__call__` answers a signature; the others are TensorFlow's own.
        if graph.nodes[number].WhichOneof("kind") in ("function", "bare_concrete_function"):
            yield mismatch("attribute-added", path, "the source has no function that this one could be", "", name)
    known = {
        definition.variable_name.partition(":")[0]: (definition.synchronization, definition.aggregation)
        for one in graphs
        for collection in ("variables", "local_variables", "trainable_variables", "model_variables")
        for definition in definitions(one, collection)
    }
    for name, place in named(graph).items():
        saved = graph.nodes[place.node].variable
        found = saved.synchronization, saved.aggregation
        if found not in ((0, 0), known.get(name)):
            reason = f"expected synchronization and aggregation {known.get(name, (0, 0))}, found {found}"
            yield mismatch("run-setting-differs", path, reason, "", name)
        if saved.device:
            yield mismatch("device-pinned", path, f"the variable is on {saved.device!r}", "", name)


def attribute_differences(
    source: MetaGraphDef, train: MetaGraphDef | None, new: MetaGraphDef, path: str, droppable: Collection[str] = ()
) -> Iterator[Mismatch]:
    """What `compare_surface` tells of a loaded candidate, told by its object graph; all but the values of losses.

    Args:
      source: the source's.
      train: the training graph that the candidate has a branch of, or None.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
      droppable: keys of signatures that the candidate may lack; `__call__` answers one of those that it has.
    """
    if not new.object_graph_def.nodes or source.object_graph_def.nodes:
        return
    dropped = frozenset(droppable) - new.signature_def.keys()
    keys = [key for key in source.signature_def if key not in RESERVED_KEYS and key not in dropped]
    trained = Trained(names=_variables(train), trainable=_trainable(train), has_losses=False) if train else None
    golden = Golden(
        *((), (), (), {}, {}, "", ""),
        held=Held(_variables(source), trainable=_trainable(source)),
        further=Further(default_of(keys)),
        training=trained,
    )
    surface, state = _surface(new.object_graph_def)
    for found in compare_surface(golden, surface, state):
        yield dataclasses.replace(found, path=path)


def _variables(graph: MetaGraphDef) -> Mapping[str, tuple[str, ...]]:
    """All nodes of each variable, by the first of them; see `variables.variables_of`."""
    groups: dict[object, list[str]] = {}
    for node in graph.graph_def.node:
        if node.op == "VarHandleOp":
            buffer: tuple[object, ...] = (True, node.attr["container"].s, node.attr["shared_name"].s)
        elif node.op in REF_VARIABLES:
            buffer = (False, node.attr["container"].s, node.attr["shared_name"].s or node.name.encode())
        else:
            continue
        groups.setdefault(buffer, []).append(node.name)
    return {names[0]: tuple(names) for names in groups.values()}


def _trainable(graph: MetaGraphDef) -> tuple[str, ...]:
    listed = trainable(graph)
    return tuple(name for name, nodes in _variables(graph).items() if not listed.isdisjoint(nodes))


def _surface(graph: Any) -> tuple[Surface, CandidateState]:
    """The attributes that the root of a SavedObjectGraph has, and where its variables are."""
    has = children(graph, 0)
    every = {place.node: place for place in places(graph)}
    paths = {number: "/".join(place.path) for number, place in every.items()}

    def listed(name: str) -> tuple[str, ...]:
        within = children(graph, has[name]) if name in has and 0 <= has[name] < len(graph.nodes) else {}
        return tuple(paths.get(within[key], "") for key in sorted(within, key=lambda key: (len(key), key)))

    surface = Surface(
        graph.nodes[0].user_object.identifier,
        tuple(name for name in (*ATTRIBUTES, CALL) if name in has),
        {paths[number]: place.name for number, place in every.items()},
        tuple(paths[number] for number, place in every.items() if place.is_trainable),
        listed("variables"),
        listed("trainable_variables"),
    )
    names = {name: paths[place.node] for name, place in named(graph).items()}
    return surface, CandidateState(names, VARS in has, listed("variables"))
