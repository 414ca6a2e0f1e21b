"""Asks a converted model from the disk: a job for a fork of a process that has imported TensorFlow and run nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Ask:
    """What to ask.

    Attributes:
      path: the SavedModel's directory.
      calls: (signature key, inputs) pairs, in their order.
      optimise: whether TensorFlow's graph optimiser may work; it changes last bits of arithmetic.
    """

    path: str
    calls: Sequence[tuple[str, Mapping[str, Any]]]
    optimise: bool = False


def run(job: Ask) -> tuple[list[Any], list[Any]]:
    """The answers of `tf.saved_model.load` and of a v1 Session; an error is an answer, by its class."""
    return _function(job), _session(job)


def _function(job: Ask) -> list[Any]:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not job.optimise})
    loaded = tf.saved_model.load(job.path)
    found: list[Any] = []
    for key, fed in job.calls:
        function = loaded.signatures[key]
        specs = function.structured_input_signature[1]
        try:
            given = function(**{name: tf.constant(value, specs[name].dtype) for name, value in fed.items()})
            found.append({name: tensor.numpy() for name, tensor in given.items()})
        except tf.errors.OpError as error:
            found.append(type(error))
    return found


def _session(job: Ask) -> list[Any]:
    import tensorflow as tf

    from migrate.verify import replay

    v1 = tf.compat.v1
    found: list[Any] = []
    with tf.Graph().as_default(), v1.Session(config=None if job.optimise else replay._config(tf)) as session:
        if job.optimise:
            meta_graph = v1.saved_model.load(session, ["serve"], job.path)
        else:
            meta_graph = replay._load_unoptimised(tf, session, job.path)
        for key, fed in job.calls:
            signature = meta_graph.signature_def[key]
            feeds = {signature.inputs[name].name: value for name, value in fed.items()}
            try:
                found.append(session.run({name: info.name for name, info in signature.outputs.items()}, feeds))
            except tf.errors.OpError as error:
                found.append(type(error))
    return found
