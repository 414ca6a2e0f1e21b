"""The child's side for a Keras source: golden answers are what the loaded Keras model predicts, op by op.

The model is called eagerly and outside of training, as `Model.predict` calls it, but with neither `tf.function` nor XLA
in between: nothing of what the export makes is used.
"""

from __future__ import annotations

import dataclasses
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from migrate.errors import InputError
from migrate.export.keras_model import Loaded, ask, load, weights
from migrate.export.request import Request
from migrate.graph.protos import MetaGraphDef
from migrate.records import Failed, Signature
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Answer, Array, Call, Golden, SparseValue
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.given import load_calls
from migrate.verify.messages import KerasGoldenJob
from migrate.verify.replay import MORE_RUNS, Attempt, answer_to, answers_to, configure_eager, probe, twice
from migrate.verify.requests import synthesise


def run(job: KerasGoldenJob) -> Golden | Failed:
    """Takes the golden answers: finds calls, then replays them on freshly loaded models."""
    configure_eager(tf)
    try:
        loaded = load(job.request, with_optimizer=False)
        signature = loaded.signature
        variables = {name: fingerprint(value.numpy()) for name, value in weights(loaded.model).items()}
        skipped: dict[str, str] = {}
        if job.inputs is not None:
            calls = load_calls(job.inputs, [signature])
        else:
            calls, reason = _accepted(loaded, time.monotonic() + job.seconds)
            skipped = {} if calls else {signature.key: reason}
        sequence = twice(calls)
        # A fresh model each time: one with state answers the second call otherwise, and probing has changed it.
        first, runs = _replay(job.request, sequence), [_replay(job.request, sequence)]
        stateful = nondeterministic(sequence[::2], first[::2], first[1::2])
        if stateful or nondeterministic(sequence, first, runs[0]):
            runs += [_replay(job.request, sequence) for _ in range(MORE_RUNS)]
        again = contradictions(first, runs)
    except InputError as error:
        return Failed(str(error))
    return Golden(sequence, first, again, skipped, variables, job.request.source.runtime.value, tf.__version__)


def _replay(request: Request, calls: Sequence[Call]) -> tuple[Answer, ...]:
    loaded = load(request, with_optimizer=False)
    return answers_to(lambda call: _ask(loaded, call), calls)


def _ask(loaded: Loaded, call: Call) -> Mapping[str, Array]:
    inputs = {}
    for name, value in call.inputs.items():
        if isinstance(value, SparseValue):
            raise TypeError(f"input {name!r} takes no sparse tensor")
        inputs[name] = tf.constant(value, dtype=loaded.signature.inputs[name].dtype)
    return {name: as_array(tensor.numpy()) for name, tensor in ask(loaded, inputs).items()}


def _accepted(loaded: Loaded, deadline: float) -> tuple[tuple[Call, ...], str]:
    """The synthesised calls that the model accepts, or none and why."""

    signature = loaded.signature

    def attempt(call: Call, _: float) -> Attempt:
        found = answer_to(lambda asked: _ask(loaded, asked), call)
        if found.error:
            return None, f"no synthesised call is accepted: {found.error}: {found.message}"
        return call, ""

    (candidates,) = synthesise(_placeholders(signature), [signature])
    bounds = _index_bounds(loaded)
    if bounds:
        families = (tuple(_in_bounds(call, bounds) for call in family) for family in candidates.families)
        candidates = dataclasses.replace(candidates, families=families)
    return probe(candidates, deadline, attempt)


def _placeholders(signature: Signature) -> MetaGraphDef:
    """A graph of inputs alone, from which calls can be synthesised."""
    meta_graph = MetaGraphDef()
    for spec in signature.inputs.values():
        node = meta_graph.graph_def.node.add(name=spec.name.partition(":")[0], op="Placeholder")
        node.attr["dtype"].type = tf.dtypes.as_dtype(spec.dtype).as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(spec.shape).as_proto())
    return meta_graph


def _index_bounds(loaded: Loaded) -> dict[str, int]:
    """How many rows the table has that an input is looked up in; an index beyond them is an error on the CPU."""
    inputs = tf.nest.flatten(loaded.given)
    bounds: dict[str, int] = {}
    for layer in loaded.model.layers:
        rows = getattr(layer, "input_dim", None) or getattr(layer, "num_tokens", None)
        if type(layer).__name__ not in ("Embedding", "CategoryEncoding") or not isinstance(rows, int):
            continue
        for name, tensor in zip(loaded.signature.inputs, inputs, strict=True):
            if any(tensor is given for given in tf.nest.flatten(_input(layer))):
                bounds[name] = min(rows, bounds.get(name, rows))
    return bounds


def _input(layer: Any) -> Any:
    """What goes into a layer; None for one of a subclassed model, which has none outside of a call."""
    try:
        return layer.input
    except (AttributeError, ValueError):
        return None


def _in_bounds(call: Call, bounds: Mapping[str, int]) -> Call:
    inputs = dict(call.inputs)
    for name, rows in bounds.items():
        value = inputs[name]
        if isinstance(value, np.ndarray) and value.any():
            random = np.random.default_rng(zlib.crc32(value.tobytes()))
            inputs[name] = random.integers(0, rows, value.shape).astype(value.dtype)
    return Call(call.signature, inputs)
