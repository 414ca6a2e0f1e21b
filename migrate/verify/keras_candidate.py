"""What the candidate of a Keras model shows of itself beside its signature. TensorFlow starts here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Array, Call, Fingerprint, KerasAsked, KerasShown
from migrate.verify.candidate_state import Layout, loaded_values, loaded_variables
from migrate.verify.candidate_state import at as object_at
from migrate.verify.gradients import training_gradients
from migrate.verify.keras_graph import computed_alone, computed_in_training
from migrate.verify.keras_metadata import at, described, slot_of
from migrate.verify.object_graph import VALUE
from migrate.verify.sessions import answer_to

_MOST_CALLS = 16
"""How often a call with `training=True` is made at most, until its answer differs from the prediction."""


def stored_optimizer(tf: Any, prefix: str, paths: tuple[str, ...]) -> dict[str, Fingerprint]:
    """What a checkpoint has for variables of an optimizer, by path, as tf.train.Checkpoint restores it."""
    if not paths:
        return {}
    reader = tf.train.load_checkpoint(prefix)
    graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH_KEY))
    found = {}
    for path in paths:
        number = _stored_at(graph, path)
        keys = [a.checkpoint_key for a in graph.nodes[number].attributes if a.name == VALUE] if number else []
        if keys and reader.has_tensor(keys[0]):
            found[path] = fingerprint(as_array(reader.get_tensor(keys[0])))
    return found


def _stored_at(graph: TrackableObjectGraph, path: str) -> int | None:
    way, slot = slot_of(path)
    number = at(graph, way)
    if not slot or number is None:
        return number
    holder = at(graph, ("optimizer",))
    slots = graph.nodes[holder].slot_variables if holder is not None else ()
    wanted = (s.slot_variable_node_id for s in slots if (s.original_variable_node_id, s.slot_name) == (number, slot))
    return next((n for n in wanted if 0 <= n < len(graph.nodes)), None)


def ask_candidate(
    tf: Any,
    loaded: Any,
    layout: Layout,
    meta_graph: MetaGraphDef,
    directory: str,
    asked: KerasAsked,
    optimizer: Mapping[str, Fingerprint],
) -> KerasShown:
    """Asks a loaded candidate, whose weights have other values by now.

    Args:
      tf: the module.
      loaded: what tf.saved_model.load gave.
      layout: of its variables.
      meta_graph: of its saved_model.pb.
      directory: where it is.
      asked: what is asked.
      optimizer: what the checkpoint has, see `stored_optimizer`.
    """
    layers = described(meta_graph.object_graph_def, directory, asked.layers)
    values = dict(_loaded_optimizer(loaded, optimizer))
    losses = _losses(loaded)
    functions = computed_alone(meta_graph, asked.alone)
    if asked.call is None:
        return KerasShown(layers, values, losses=losses, alone=functions)
    call = asked.call

    def tensors(call: Call, **mode: bool) -> Mapping[str, Any]:
        given = _nested(json.loads(asked.given), {n: tf.constant(v) for n, v in call.inputs.items()})
        produced = loaded(given, **mode)
        if isinstance(produced, Mapping):
            return {str(key): value for key, value in produced.items()}
        return dict(zip(asked.outputs, tf.nest.flatten(produced), strict=True))

    def asking(**mode: bool) -> Callable[[Call], Mapping[str, Array]]:
        return lambda call: {name: as_array(value.numpy()) for name, value in tensors(call, **mode).items()}

    predict = asking(training=False) if asked.trained else asking()
    predicted, more = answer_to(predict, call), tuple(answer_to(predict, one) for one in asked.more)
    train = asking(training=True)
    trained = tuple(answer_to(train, call) for _ in range(asked.trained))
    left = loaded_values(layout, loaded)
    variables = loaded_variables(layout, loaded)
    order = dict(enumerate(layout.order))
    wanted = {name: variables[order[at]] for name, at in asked.trainable.items() if order.get(at) in variables}
    gradients = training_gradients(tf, lambda: tensors(call, training=True), asked.steady, wanted)
    unmoved = set(asked.random)
    for _ in range(_MOST_CALLS):
        for answer in (*trained, *((answer_to(train, call),) if unmoved else ())):
            unmoved -= {n for n in unmoved if not _is_equal(answer.outputs.get(n), predicted.outputs.get(n))}
        if not unmoved:
            break
    computed = computed_in_training(meta_graph) if asked.trained else {}
    shown = KerasShown(layers, values, (), losses, predicted, trained, left, tuple(sorted(unmoved)), gradients, more)
    return dataclasses.replace(shown, computed=computed, alone=functions)


def _loaded_optimizer(loaded: Any, stored: Mapping[str, Fingerprint]) -> Iterator[tuple[str, Fingerprint]]:
    """What the checkpoint has, or where a client in Python comes to a variable and finds another value, that."""
    for path, value in stored.items():
        now = value
        with contextlib.suppress(LookupError, ValueError, AttributeError):
            if not slot_of(path)[1]:
                now = fingerprint(as_array(object_at(loaded, tuple(path.split("/"))).numpy()))
        yield path, now


def _losses(loaded: Any) -> tuple[Fingerprint, ...]:
    return tuple(fingerprint(as_array(loss().numpy())) for loss in getattr(loaded, "regularization_losses", ()))


def _nested(structure: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(structure, dict):
        return {key: _nested(part, tensors) for key, part in structure.items()}
    return [_nested(part, tensors) for part in structure] if isinstance(structure, list) else tensors[structure]


def _is_equal(first: Array | None, second: Array | None) -> bool:
    if first is None or second is None:
        return first is second
    return fingerprint(first) == fingerprint(second)
