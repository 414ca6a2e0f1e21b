"""Which outputs and weights of a Keras model random numbers reach in training, by the graph of such a call; that graph.

Two loads may answer alike by chance: dropout of one row of three units has eight outcomes. TensorFlow starts here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import tensorflow as tf

from migrate.frozen import frozen
from migrate.graph.protos import GraphDef
from migrate.keras_loader.model import Loaded, ask, weights
from migrate.verify.keras_graph import computed
from migrate.verify.variables import bodies_draw, may_draw

_STATELESS = ("Random", "Stateless", "Uniform", "Normal")
"""Parts of the names of ops that draw from a seed which they are given; Keras keeps seeds in variables."""


@frozen
class Drawn:
    """What is not the same twice: names of outputs, and of weights.

    Attributes:
      outputs: names of outputs.
      weights: names of weights.
      computed: what a call in training computes, see `keras_graph.computed`; nothing where it cannot be traced.
      penalties: what the weight penalties compute beside that.
    """

    outputs: frozenset[str]
    weights: frozenset[str]
    computed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    penalties: tuple[str, ...] = ()


def drawn(loaded: Loaded) -> Drawn:
    """Finds what random numbers reach in training; everything, where the model cannot be traced."""
    names, variables = list(loaded.signature.inputs), weights(loaded.model)
    specs = [tf.TensorSpec(s.shape, tf.dtypes.as_dtype(s.dtype)) for s in loaded.signature.inputs.values()]
    own: list[int] = []

    def train(*given: Any) -> Any:
        produced = ask(loaded, dict(zip(names, given, strict=True)), True)
        own.append(len(tf.compat.v1.get_default_graph().get_operations()))
        return produced, [tf.convert_to_tensor(loss) for loss in loaded.model.losses]

    try:
        concrete = tf.function(train, autograph=False).get_concrete_function(*specs)
    except Exception:  # The user's layers may raise anything while they are traced.
        return Drawn(frozenset(loaded.signature.outputs), frozenset(variables))
    reached = _reached(concrete.graph)
    inner = {id(outer): handle for outer, handle in concrete.graph.captures}
    found, penalties = _computed(concrete.graph, own[-1])
    return Drawn(
        frozenset(name for name, tensor in concrete.structured_outputs[0].items() if tensor.name in reached),
        frozenset(n for n, v in variables.items() if id(v.handle) in inner and inner[id(v.handle)].name in reached),
        found,
        penalties,
    )


def _computed(graph: Any, own: int) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """What the first operations of a graph compute, and what those that come after them do."""
    made = GraphDef.FromString(graph.as_graph_def(add_shapes=False).SerializeToString())
    library = {function.signature.name: function.node_def for function in made.library.function}
    first = {operation.name for operation in graph.get_operations()[:own]}
    nodes = [node for node in made.node if node.name in first]
    rest = [node for node in made.node if node.name not in first]
    return computed(nodes, library), tuple(sorted(computed(rest, library)))


def _reached(graph: Any) -> Collection[str]:
    """Names of the tensors that random numbers reach; a variable's handle is one where it may be assigned such."""
    library = graph.as_graph_def(add_shapes=False).library
    bodies = bodies_draw(library) or any(_is_stateless(n.op) for f in library.function for n in f.node_def)
    reached: set[str] = set()
    before = -1
    while len(reached) != before:
        before = len(reached)
        for op in graph.get_operations():
            given = {tensor.name for tensor in op.inputs}
            if may_draw([op.type], bodies) or _is_stateless(op.type) or given & reached:
                reached |= {tensor.name for tensor in op.outputs}
                reached |= {tensor.name for tensor in op.inputs if tensor.dtype == tf.resource}
    return reached


def _is_stateless(op: str) -> bool:
    return any(part in op for part in _STATELESS)
