"""Saves a converted model, or asks one from the disk: jobs for forks of a process that has only imported TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from migrate.plan.records import Plan, VariablePlan

PRELOAD = (
    "tensorflow", "migrate.export.checkpoint", "migrate.export.module", "migrate.export.patch",
    "migrate.export.values", "migrate.rewrite.fold", "migrate.verify.candidate", "tests.rewrite.fresh",
)  # fmt: skip
"""What the process has imported from which they are forked."""


@dataclasses.dataclass(frozen=True)
class Save:
    """What to save.

    Attributes:
      meta_graph: the source's MetaGraphDef, serialized.
      prefix: of its checkpoint, or empty.
      values: the variables' values by identity, where there is no checkpoint.
      assets: directory of its assets, or empty.
      path: of the SavedModel to be written.
    """

    meta_graph: bytes
    prefix: str
    values: Mapping[str, Any]
    assets: str
    path: str


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


def run(job: Save | Ask) -> bytes:
    """The pickled answers of `tf.saved_model.load` and of a v1 Session; an error is an answer, by its class."""
    gc.disable()  # The process ends when the job does.
    if isinstance(job, Save):
        from migrate.graph.protos import MetaGraphDef
        from migrate.plan.plan import make_plan

        save(make_plan(MetaGraphDef.FromString(job.meta_graph)), job.prefix, job.values, job.assets, job.path)
        return b""
    return pickle.dumps((_function(job), _session(job)))


def save(plan: Plan, prefix: str, known: Mapping[str, Any], assets: str, path: str) -> None:
    """Saves the conversion that is planned; the arguments are as in `Save`."""
    import tensorflow as tf
    from tensorflow.python.eager.polymorphic_function import autograph_util

    from migrate.export import checkpoint, module, patch, values

    def value(variable: VariablePlan) -> Any:
        given = known.get(variable.identity)
        return tf.constant(given) if given is not None else values.value_of(plan, variable, prefix)

    tables = {name: values.table_content(fill, prefix) for name, fill in plan.tables.items()}
    with contextlib.ExitStack() as quicker:
        # Nobody calls the loaded object itself here, and a function for it takes as long as one for a signature.
        quicker.enter_context(mock.patch.object(module, "call_key", lambda keys: None))
        # TensorFlow's own wrapper of a signature has no Python control flow to be converted.
        quicker.enter_context(mock.patch.object(autograph_util, "py_func_from_autograph", lambda function, _: function))
        built = module.build(plan, assets, tables)
        keys = patch.save(built, plan, path)
    patch.patch(path, plan, built.names, path)
    prefix_of_new = os.path.join(path, "variables", "variables")
    checkpoint.write_checkpoint(plan, keys.by_variable, keys.object_graph, prefix_of_new, {}, value)


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

    from migrate.verify import candidate, sessions

    v1 = tf.compat.v1
    found: list[Any] = []
    with tf.Graph().as_default(), v1.Session(config=None if job.optimise else sessions.session_config(tf)) as session:
        meta_graph = candidate._load(tf, session, job.path, optimised=job.optimise)
        for key, fed in job.calls:
            signature = meta_graph.signature_def[key]
            feeds = {signature.inputs[name].name: value for name, value in fed.items()}
            try:
                found.append(session.run({name: info.name for name, info in signature.outputs.items()}, feeds))
            except tf.errors.OpError as error:
                found.append(type(error))
    return found
