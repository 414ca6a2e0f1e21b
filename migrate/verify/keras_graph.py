"""What a Keras model computes in training, by its graph: values of random numbers say too little. No TensorFlow.

Two functions that Keras traces of one model, on one release of TensorFlow, have the same ops, attributes and constants,
whatever they are called and however they are divided into functions.
"""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from migrate.graph.attr_defaults import encoded_attributes
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.verify.keras_metadata import at
from migrate.verify.object_graph import CALL, children
from migrate.verify.values import content

_HANDED_ON = frozenset(
    {
        *("Identity", "IdentityN", "NoOp", "PartitionedCall", "StatefulPartitionedCall"),
        *("Placeholder", "PlaceholderWithDefault", "ReadVariableOp"),
    }
)
"""Ops that compute nothing: how often they are there depends on how functions call each other."""
_NO_VALUES = frozenset(
    {
        *("container", "shared_name", "output_shapes", "config_proto", "config", "executor_type"),
        *("parallel_iterations", "swap_memory", "seed", "seed2"),
    }
)
"""Attributes that say nothing of what is computed, and seeds, which a process may draw."""
_CONST = "Const"
_MOST_NESTED = 60


def computed(nodes: Sequence[NodeDef], library: Mapping[str, Sequence[NodeDef]]) -> dict[str, int]:
    """How often each op is computed with its attributes, and each constant, in a graph and all functions that it calls.

    Args:
      nodes: of the graph or function.
      library: the nodes of each function by name.
    """
    found: collections.Counter[str] = collections.Counter()
    known: dict[str, collections.Counter[str]] = {}

    def of(nodes: Sequence[NodeDef], depth: int) -> collections.Counter[str]:
        own = (node for node in nodes if node.op not in _HANDED_ON and node.op not in library)
        counts = collections.Counter(map(_told, own))
        for name in (name for node in nodes for name in _called(node) if name in library and depth < _MOST_NESTED):
            if name not in known:
                known[name] = collections.Counter()  # For one that calls itself.
                known[name] = of(library[name], depth + 1)
            counts += known[name]
        return counts

    found += of(nodes, 0)
    return dict(found)


def computed_in_training(meta_graph: MetaGraphDef) -> dict[str, int]:
    """The same of the function that `__call__` of a SavedModel calls with `training=True`; nothing without one.

    Args:
      meta_graph: the SavedModel's.
    """
    graph = meta_graph.object_graph_def
    holder = children(graph, 0).get(CALL) if graph.nodes else None
    functions = _functions(meta_graph, holder, _library(meta_graph))
    return next((found for mode, found in functions if mode is True), {})


def computed_alone(meta_graph: MetaGraphDef, paths: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same of each function with which a client in Python calls layers of a Keras model one by one.

    Args:
      meta_graph: the SavedModel's.
      paths: of the layers, attribute by attribute from the root, which is the empty one.

    Returns:
      By the layer's path, the attribute that is called, and `training`, see `alone`.
    """
    graph, library = meta_graph.object_graph_def, _library(meta_graph)
    found: dict[str, dict[str, int]] = {}
    for path in paths:
        layer = at(graph, path.split("/") if path else ())
        held = {} if layer is None else children(graph, layer)
        for attribute in (name for name in CALLED_ALONE if name in held):
            for mode, bag in _functions(meta_graph, held[attribute], library):
                found[alone(path, attribute, mode)] = bag
    return found


CALLED_ALONE = (CALL, "call_and_return_all_conditional_losses")
"""The attributes of a layer that are called (keras, saved_model/layer_serialization.py)."""


def alone(path: str, attribute: str, mode: bool | None) -> str:
    """Names the function of a layer.

    Example:
      >>> alone("layer-1", "__call__", True)
      'layer-1/__call__, training=True'
    """
    return f"{path}/{attribute}, training={mode}".removeprefix("/")


def path_of(name: str) -> str:
    """The layer's path in what `alone` gives.

    Example:
      >>> path_of("layer-1/layer-0/__call__, training=True"), path_of("__call__, training=None")
      ('layer-1/layer-0', '')
    """
    return name.rpartition(", ")[0].rpartition("/")[0]


def _library(meta_graph: MetaGraphDef) -> dict[str, Sequence[NodeDef]]:
    return {function.signature.name: function.node_def for function in meta_graph.graph_def.library.function}


def _functions(
    meta_graph: MetaGraphDef, holder: int | None, library: Mapping[str, Sequence[NodeDef]]
) -> Iterator[tuple[bool | None, dict[str, int]]]:
    """What each function of an object computes, with the `training` that it is for; None where it takes none."""
    graph = meta_graph.object_graph_def
    if holder is None or not 0 <= holder < len(graph.nodes):
        return
    main = {node.name: node for node in meta_graph.graph_def.node}
    for name in graph.nodes[holder].function.concrete_functions:
        saved = graph.concrete_functions.get(name)
        if name not in library or saved is None:
            continue
        # A constant may be given to a function, as a variable is.
        given = (graph.nodes[n].constant.operation for n in saved.bound_inputs if 0 <= n < len(graph.nodes))
        bag = computed([*library[name], *(main[node] for node in given if node in main)], library)
        yield next(iter(_bools(saved.canonicalized_input_signature)), None), bag


def _bools(structure: Any) -> Iterator[bool]:
    """The booleans in a structure of arguments (struct.proto, StructuredValue)."""
    kind = structure.WhichOneof("kind")
    if kind == "bool_value":
        yield structure.bool_value
    elif kind in ("list_value", "tuple_value"):
        for part in getattr(structure, kind).values:
            yield from _bools(part)
    elif kind == "dict_value":
        for part in structure.dict_value.fields.values():
            yield from _bools(part)


def _called(node: NodeDef) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _told(node: NodeDef) -> str:
    """An op with its attributes in one line, a constant with what it holds."""
    if node.op == _CONST:
        held = content(node.attr["value"].tensor)
        return f"{_CONST} {held.dtype} {list(held.shape)} {held.digest[:16]}"
    text = repr(sorted(encoded_attributes(node, _NO_VALUES).items(), key=lambda item: item[0]))
    return f"{node.op} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
