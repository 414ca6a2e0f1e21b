"""What layers of a Keras 2 model compute when each is called alone, by its graph. TensorFlow starts here.

A SavedModel that Keras writes has functions of its own for each layer, beside those of the model: `loaded.layers[2](x)`
runs them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from migrate.frozen import frozen
from migrate.graph.protos import GraphDef
from migrate.keras_loader.model import Loaded, ask, takes_training
from migrate.sources.keras_source import Runtime
from migrate.verify.keras_facts import tracked
from migrate.verify.keras_graph import CALLED_ALONE, alone, computed


@frozen
class Alone:
    """What is computed.

    Attributes:
      computed: see `keras_graph.computed`, by what `keras_graph.computed_alone` calls the function.
      beside: what the layers compute of their masks and penalties, which a function may do beside it.
    """

    computed: Mapping[str, Mapping[str, int]]
    beside: tuple[str, ...]


def layers_alone(loaded: Loaded, runtime: Runtime) -> Alone:
    """Traces the model, and each of its layers that holds no other one and has one input.

    Args:
      loaded: the model.
      runtime: what loaded it. A new model of Keras 3 has no functions of layers.
    """
    found: dict[str, Mapping[str, int]] = {}
    beside: set[str] = set()
    if runtime is not Runtime.TF_KERAS:
        return Alone(found, ())
    for path, layer, given, function in _called(loaded):
        for mode in (False, True) if takes_training(layer) else (None,):
            bag = _traced(lambda x, f=function, m=mode: f(x, m), given)
            found |= {alone(path, attribute, mode): bag for attribute in CALLED_ALONE if bag is not None}
        beside |= {*(_traced(lambda x, layer=layer: layer.compute_mask(x, None), given) or ())}
    beside |= {*(_traced(lambda _: [tf.convert_to_tensor(loss) for loss in loaded.model.losses], ()) or ())}
    return Alone(found, tuple(sorted(beside)))


def _called(loaded: Loaded) -> Iterator[tuple[str, Any, Any, Any]]:
    """(path, layer, specs of what it takes, how it is called) of the model and of its layers."""
    names = list(loaded.signature.inputs)
    specs = {n: tf.TensorSpec(s.shape, tf.dtypes.as_dtype(s.dtype)) for n, s in loaded.signature.inputs.items()}
    yield (
        "",
        loaded.model,
        [specs[name] for name in names],
        lambda given, mode: ask(loaded, dict(zip(names, given, strict=True)), bool(mode)),
    )
    layer_class = importlib.import_module("tf_keras").layers.Layer
    for path, layer in tracked(loaded.model, ""):
        # `submodules` raises for a cell that has cached a mask of its dropout.
        inner = (held for name, held in tracked(layer, "") if name)
        if not path or not isinstance(layer, layer_class) or any(isinstance(held, layer_class) for held in inner):
            continue
        try:
            given = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), layer.input)
        except (AttributeError, RuntimeError, ValueError):
            continue  # It is called nowhere, or in several places.
        yield path, layer, given, lambda x, mode, layer=layer: layer(x, **({} if mode is None else {"training": mode}))


def _traced(function: Any, given: Any) -> dict[str, int] | None:
    """What a function computes of tensors; None where it cannot be traced."""
    try:
        graph = tf.function(function, autograph=False).get_concrete_function(given).graph
    except Exception:  # The user's layers may raise anything while they are traced.
        return None
    made = GraphDef.FromString(graph.as_graph_def(add_shapes=False).SerializeToString())
    return computed(made.node, {body.signature.name: body.node_def for body in made.library.function})
