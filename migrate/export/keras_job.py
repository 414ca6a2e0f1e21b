"""One export of a Keras file, as a job for a child process: a TF2 SavedModel in a staging directory."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from migrate.errors import InputError, first_line
from migrate.export.keras_messages import KerasExported, KerasExportJob
from migrate.export.names import Names, flat, name_all
from migrate.export.patch import rename, write_fingerprint
from migrate.export.saved_graph import VALUE
from migrate.export.unique_names import make_unique
from migrate.graph.protos import SavedModel, TrackableObjectGraph
from migrate.keras_loader.model import (
    SIGNATURE,
    Loaded,
    ask,
    load,
    optimizer_variables,
    plain,
    stored_optimizer,
    weights,
)
from migrate.records import Failed, Signature
from migrate.regular_files import create
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.keras_source import Runtime


class Root(tf.Module):  # type: ignore[misc]
    """What is saved for a Keras 3 model: a Reusable SavedModel (tensorflow.org/hub) around it.

    Keras 3's own export has neither `__call__` nor the optimizer.
    """

    variables: Sequence[tf.Variable] = ()
    trainable_variables: Sequence[tf.Variable] = ()


def run(job: KerasExportJob) -> KerasExported | Failed:
    """Carries a job out."""
    try:
        loaded = load(job.request, with_optimizer=True)
        names = name_all(loaded.signature)
        if job.request.source.runtime is Runtime.TF_KERAS:
            _save_tf_keras(loaded, names, job.staging)
        else:
            _save_keras(loaded, names, job.staging)
        if loaded.optimizer and not _holds(job.staging, [value for _, value in stored_optimizer(job.request.source)]):
            loaded = dataclasses.replace(loaded, optimizer="", lost="TensorFlow's exporter leaves it out")
        _patch(job.staging, loaded.signature, names, job.digest)
        keys = dict(zip(weights(loaded.model), checkpoint_keys(job.staging, "variables"), strict=True))
        _write_provenance(job, names, loaded, keys)
        write_fingerprint(job.staging)
    except InputError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(f"the new model cannot be written: {error.strerror or error}")
    except Exception as error:  # The user's layers may raise anything while they are traced.
        return Failed(f"the model cannot be exported: {type(error).__name__}: {first_line(error)}")
    compiled = loaded.compiled and job.request.source.runtime is Runtime.TF_KERAS
    resolved = loaded.resolved
    return KerasExported(loaded.signature, loaded.optimizer, loaded.lost, compiled, resolved.dropped, resolved.assumed)


def _save_tf_keras(loaded: Loaded, names: Names, directory: str) -> None:
    """Keras 2's own SavedModel: `tf_keras.models.load_model` gives the model back, layers, optimizer and all."""
    with _masks_computed(loaded.model):
        loaded.model.save(
            directory,
            save_format="tf",
            include_optimizer=loaded.compiled,
            signatures={SIGNATURE: _serving(loaded, names)},
        )


@contextlib.contextmanager
def _masks_computed(model: Any) -> Iterator[None]:
    """Has layers give their masks apart from their outputs while a model is saved.

    Keras calls saved functions in the place of layers then. A mask that is an attribute of an output is lost in these,
    and `__call__` of the new model would pay heed to none (base_layer.py, _set_mask_metadata).
    """
    # Private. A model in a model is asked for its mask by calling its layers once more, which may change its state.
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if getattr(layer, _JOINTLY, False) and not hasattr(layer, "layers")
    ]
    for layer in layers:
        setattr(layer, _JOINTLY, False)
    try:
        yield
    finally:
        for layer in layers:
            setattr(layer, _JOINTLY, True)


_JOINTLY = "_compute_output_and_mask_jointly"


def _save_keras(loaded: Loaded, names: Names, directory: str) -> None:
    root = Root()
    model = root.model = loaded.model
    root.variables = list(weights(model).values())
    trainable = {id(v) for v in model.trainable_variables}
    root.trainable_variables = [
        variable for variable, own in zip(root.variables, model.weights, strict=True) if id(own) in trainable
    ]
    held = {id(v) for v in root.variables}
    # The states of random generators are no weights, and the model itself does not track them.
    root.random_states = [v for v in map(plain, model.variables) if id(v) not in held]
    root.optimizer_variables = optimizer_variables(model) if loaded.optimizer else []
    root.regularization_losses = _regularizers(model)
    specs = list(_specs(loaded.signature, names).values())
    keys = list(loaded.signature.inputs)

    def function(inputs: Any, training: bool = False) -> Any:
        given = {keys[0]: inputs} if len(keys) == 1 else inputs
        produced = ask(loaded, given, training)
        return next(iter(produced.values())) if len(produced) == 1 else produced

    call = tf.function(function, autograph=False)
    argument = specs[0] if len(specs) == 1 else dict(zip(keys, specs, strict=True))
    for training in (False, True):
        call.get_concrete_function(argument, training=training)
    root.__call__ = call
    if any(spec.dtype != tf.as_dtype(model.compute_dtype) for spec in specs):
        _without_own_functions(model)
    tf.saved_model.save(root, directory, signatures={SIGNATURE: _serving(loaded, names)})


def _without_own_functions(model: Any) -> None:
    """Has subclassed models bring no function of their own, which Keras would trace on the dtype of their weights."""
    for layer in model._flatten_layers():
        if hasattr(type(layer), "_default_save_signature") and not getattr(layer, "inputs", None):
            type(layer)._default_save_signature = None  # Private: saving looks for functions in all attributes.


def _regularizers(model: Any) -> list[Any]:
    """A function for each of the model's weight penalties, which a caller may add to a loss."""
    # Not `model.losses`: what an earlier call has added there would become a constant.
    functions = []
    for variable in model.trainable_variables:
        if variable.regularizer is not None:
            function = tf.function(functools.partial(_penalty, variable), autograph=False)
            function.get_concrete_function()
            functions.append(function)
    return functions


def _penalty(variable: Any) -> tf.Tensor:
    return tf.convert_to_tensor(variable.regularizer(variable))


def _specs(signature: Signature, names: Names) -> dict[str, tf.TensorSpec]:
    return {
        argument: tf.TensorSpec(spec.shape, tf.dtypes.as_dtype(spec.dtype), name=argument)
        for argument, spec in zip(flat(names.arguments), signature.inputs.values(), strict=True)
    }


def _serving(loaded: Loaded, names: Names) -> Any:
    arguments = flat(names.arguments)
    results = dict(zip(loaded.signature.outputs, flat(names.results), strict=True))

    def serve(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(zip(loaded.signature.inputs, (given[name] for name in arguments), strict=True))
        produced = ask(loaded, inputs)
        return {results[name]: tf.convert_to_tensor(value) for name, value in produced.items()}

    return tf.function(serve, autograph=False).get_concrete_function(**_specs(loaded.signature, names))


def _patch(directory: str, signature: Signature, names: Names, digest: str) -> None:
    """Gives the SignatureDef Keras' own names where a Python argument could not have them, and see `make_unique`."""
    path = os.path.join(directory, "saved_model.pb")
    with open(path, "rb") as file:
        model = SavedModel.FromString(file.read())
    if any(key != name for key, name in (*names.arguments.items(), *names.results.items())):
        rename(model.meta_graphs[0].signature_def[SIGNATURE], signature, names)
    make_unique(model.meta_graphs[0], digest)
    with create(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def checkpoint_keys(directory: str, attribute: str) -> list[str]:
    """Keys, in a SavedModel's checkpoint, of the variables in a list that the saved object has under `attribute`."""
    reader = tf.train.load_checkpoint(os.path.join(directory, "variables", "variables"))
    graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH_KEY))

    def child(node: int, name: str) -> int | None:
        return next((c.node_id for c in graph.nodes[node].children if c.local_name == name), None)

    holder = child(0, attribute)
    keys: list[str] = []
    while holder is not None and (node := child(holder, str(len(keys)))) is not None:
        keys += [a.checkpoint_key for a in graph.nodes[node].attributes if a.name == VALUE]
    return keys


def _holds(directory: str, values: Sequence[Any]) -> bool:
    """Whether each of some arrays is among the tensors of optimizers in a SavedModel's checkpoint."""
    reader = tf.train.load_checkpoint(os.path.join(directory, "variables", "variables"))
    keys = [key for key in reader.get_variable_to_shape_map() if "optimizer" in key.lower()]
    found = collections.Counter(_bits(reader.get_tensor(key)) for key in keys)
    return not collections.Counter(map(_bits, values)) - found


def _bits(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(value)
    return array.dtype.name, array.shape, hashlib.blake2b(array.tobytes()).digest()


def _write_provenance(job: KerasExportJob, names: Names, loaded: Loaded, keys: Mapping[str, str]) -> None:
    content = {
        "schema_version": 1,
        **job.provenance,
        "arguments": {SIGNATURE: dict(names.arguments)},
        "results": {SIGNATURE: dict(names.results)},
        "variables": dict(keys),
        "optimizer": {"kept": loaded.optimizer, "lost": loaded.lost},
    }
    directory = os.path.join(job.staging, "assets.extra")
    os.makedirs(directory, exist_ok=True)
    with create(os.path.join(directory, "migration.json")) as file:
        file.write(json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
